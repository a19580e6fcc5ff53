"""The colours of classes in previews and in everything that viewers open: label files, `.seg.nrrd` and DICOM.

The first seven are those of Okabe and Ito (jfly.uni-koeln.de/color, 2008) without black, which people with any kind of
colour blindness tell apart. Further ones are darker and lighter shades of these; no two classes have the same colour.
"""

from __future__ import annotations

import re

Colour = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""

_FIRST: tuple[Colour, ...] = (
    *((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)),
)
_WHITE = 255
# shades stay this far, as a fraction, from black and from white
_FARTHEST = 0.75
_HEX = re.compile(r"#[0-9A-Fa-f]{6}")


def colour_of(number: int) -> Colour:
    """Colour of a class or region; it depends on nothing but its number.

    Args:
        number: number of the class or region, from 1.

    Examples:
        >>> colour_of(1), colour_of(8)
        ((230, 159, 0), (144, 99, 0))
    """
    cycle, place = divmod(number - 1, len(_FIRST))
    if cycle == 0:
        return _FIRST[place]
    # odd cycles are darker, even ones lighter; each is halfway between two former ones
    share = _FARTHEST * _between(1 + (cycle - 1) // 2)
    towards = 0 if cycle % 2 else _WHITE
    red, green, blue = (round(value + share * (towards - value)) for value in _FIRST[place])
    return red, green, blue


def _between(number: int) -> float:
    """The numbers 1/2, 1/4, 3/4, 1/8 and so on (van der Corput), which fill the range from 0 to 1 evenly."""
    found, part = 0.0, 0.5
    while number:
        number, bit = divmod(number, 2)
        found, part = found + bit * part, part / 2
    return found


def written_colour(colour: Colour) -> str:
    """A colour as text, such as `#E69F00`."""
    return "#{:02X}{:02X}{:02X}".format(*colour)


def parsed_colour(text: str) -> Colour | None:
    """The colour that a text such as `#E69F00` states; None where it states none."""
    if not _HEX.fullmatch(text):
        return None
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:], 16)
