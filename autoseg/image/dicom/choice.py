"""Which of several volumes in a folder or file of DICOM is read, as an object and as text after a path."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote

from autoseg.errors import ImageError
from autoseg.image.dicom.frame import Frame, Series
from autoseg.image.path_choice import split_choice

# two numbers in milliseconds or s/mm² are the same if they differ by less than this share
_SAME_NUMBER = 1e-3
# what would end a value or a part of a path
_ESCAPED = re.compile(r"[%&?/\\\x00-\x1f]")


@dataclass(frozen=True)
class Choice:
    """What the volume that is read must have; None = anything, and it is refused where several volumes remain.

    Args:
        series: identifier (Series Instance UID), number or description of its series; of the description also a
            pattern, such as `*t1*sag*`, in upper or lower case.
        stack: its Stack ID, as the file has it.
        image_type: a word of its Image Type or Frame Type, such as `M` or `PHASE`, or all of them with a backslash
            between.
        echo: its echo time in ms.
        b_value: its diffusion b-value in s/mm².
        inversion: its inversion time in ms.
        time: its number in time, from 1, where each place was acquired several times.
    """

    series: str | None = None
    stack: str | None = None
    image_type: str | None = None
    echo: float | None = None
    b_value: float | None = None
    inversion: float | None = None
    time: int | None = None

    def fits_series(self, series: Series) -> bool:
        """Whether the volumes of a series may be meant."""
        wanted = self.series
        return (
            wanted is None
            or wanted in (series.uid, series.number, series.description)
            or fits_pattern(wanted, series.description)
        )

    def fits(self, frame: Frame) -> bool:
        """Whether a frame has what was chosen, except for the time, which is counted over all frames."""
        words = frame.image_type.upper().split("\\")
        type_fits = self.image_type is None or self.image_type.upper() in (*words, frame.image_type.upper())
        return (
            type_fits
            and self.fits_series(frame.series)
            and (self.stack is None or self.stack == frame.stack)
            and _same(self.echo, frame.echo)
            and _same(self.b_value, frame.b_value)
            and _same(self.inversion, frame.inversion)
        )

    def narrowed(self, further: Choice) -> Choice:
        """The choice with what a further one asks for in its place or beside it."""
        asked = {field.name: getattr(further, field.name) for field in fields(self)}
        return replace(self, **{name: value for name, value in asked.items() if value is not None})

    def text(self) -> str:
        """The choice as it stands after a path, such as `series=3&echo=4.92`; empty where nothing is chosen."""
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return "&".join(f"{name}={_escaped(value)}" for name, value in given if value is not None)

    def of(self, place: Path) -> Path:
        """The path that names what is chosen at a place, such as `scan?echo=4.92`."""
        text = self.text()
        return Path(f"{place}?{text}") if text else place

    def __str__(self) -> str:
        return self.text().replace("&", " and ")


ONLY_ONE = Choice()
"""Nothing is chosen: there must be one volume."""

_NUMBERS = {"echo": float, "b_value": float, "inversion": float, "time": int}
_NAMES = tuple(field.name for field in fields(Choice))


def place_and_choice(path: Path, choice: Choice = ONLY_ONE) -> tuple[Path, Choice]:
    """Split a path such as `scan?echo=4.92`; what it chooses is added to `choice`.

    Raises:
        ImageError: the text after the question mark is no choice.
    """
    place, text = split_choice(path)
    given: dict[str, str | float | int] = {}
    for part in text.split("&") if text else ():
        name, _, value = part.partition("=")
        if name not in _NAMES:
            raise ImageError(f"{path}: {name!r} cannot be chosen; there are {', '.join(_NAMES)}")
        if name in given or not value:
            raise ImageError(f"{path}: {name} is given {'twice' if name in given else 'no value'}; correct it")
        given[name] = _value(path, name, unquote(value))
    return place, replace(choice, **given)  # type: ignore[arg-type]


def fits_pattern(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern with `*`, `?` and `[…]`, in upper or lower case."""
    return fnmatchcase(text.casefold(), pattern.casefold())


def _value(path: Path, name: str, text: str) -> str | float | int:
    if name not in _NUMBERS:
        return text
    try:
        number = float(_NUMBERS[name](text))
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        kind = "a whole number" if name == "time" else "a number, such as 4.92"
        raise ImageError(f"{path}: {name} is {text!r:.40}, and must be {kind}")
    return int(number) if name == "time" else number


def _escaped(value: object) -> str:
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _same(wanted: float | None, found: float | None) -> bool:
    if wanted is None:
        return True
    return found is not None and math.isclose(wanted, found, rel_tol=_SAME_NUMBER, abs_tol=_SAME_NUMBER)
