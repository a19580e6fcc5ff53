"""The resolution that a picture states, and whether it is a measurement.

PNG, TIFF, JPEG and BMP can state pixels per inch, centimetre or metre. Cameras, screens and printers write such
numbers too, and theirs say nothing of the object. So round numbers of pixels per inch are not taken. A PNG file that
autoseg writes states the size of its pixels in a text too, which holds whatever number that is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoseg.image.sound_geometry import LARGEST_SPACING_MM, LEAST_SPACING_MM

PixelSpacing = tuple[float, float]
"""Distance in mm between rows, and between columns: (y, x)."""

NO_MEASUREMENT = (
    *(72, 75, 90, 96, 100, 120, 144, 150, 160, 180, 192, 200, 220, 240, 250, 266, 288, 300, 314, 350, 360, 400),
    *(480, 600, 720, 1200, 2400, 4800),
)
"""Pixels per inch that software writes without having measured anything: 72 and 96 are screens', 300 is a printer's."""

MM_PER_INCH = 25.4

SPACING_KEY = "autoseg pixel spacing"
"""Name of the text in a PNG file of autoseg that states the size of its pixels, whatever pixels per inch it has."""

_SPACING_TEXT = re.compile(r"(\d[\d.e-]{0,29}) (\d[\d.e-]{0,29}) mm \(y, x\)", re.ASCII)
_SAME = 0.01
# PNG has whole pixels per metre
_ROUNDING = 5e-4


@dataclass(frozen=True)
class Resolution:
    """What a picture states of the size of its pixels.

    Args:
        spacing: spacing (y, x) in mm; None where none is stated that was measured.
        said: what it states instead, as the end of a sentence that begins with "it".
    """

    spacing: PixelSpacing | None
    said: str


def resolution_of(info: Mapping[Any, Any]) -> Resolution:
    """Return the resolution in a picture's header.

    Args:
        info: what Pillow found in the header.

    Raises:
        ValueError: the text of autoseg states no size that a pixel can have.
    """
    if SPACING_KEY in info:
        return Resolution(_of_text(info[SPACING_KEY]), "")
    # one pixel per inch is what a writer leaves where it was told nothing
    if (dpi := _pair(info.get("dpi"))) is not None and dpi != (1.0, 1.0):
        across, down = dpi
        if all(_is_no_measurement(number) for number in dpi):
            return Resolution(
                None,
                f"states {_dpi(dpi)} pixels per inch, as screens, printers and cameras write it, which is no "
                f"measurement (it would be {MM_PER_INCH / across:.4g} mm a pixel)",
            )
        spacing = _rounded(MM_PER_INCH / down), _rounded(MM_PER_INCH / across)
        if not all(LEAST_SPACING_MM <= mm <= LARGEST_SPACING_MM for mm in spacing):
            return Resolution(None, f"states {spacing[1]:g} mm a pixel, which cannot be meant")
        return Resolution(spacing, "")
    ratio = _pair(info.get("resolution") or info.get("aspect") or info.get("jfif_density"))
    if ratio is None or ratio == (1.0, 1.0):
        return Resolution(None, "states no resolution")
    return Resolution(None, f"states a resolution of {ratio[0]:g} × {ratio[1]:g} (x, y) without a unit")


def spacing_text(spacing: PixelSpacing) -> str:
    """Text that states a spacing (y, x) in mm exactly, for `SPACING_KEY`.

    Examples:
        >>> spacing_text((0.254, 0.1))
        '0.254 0.1 mm (y, x)'
    """
    down, across = map(float, spacing)
    return f"{down!r} {across!r} mm (y, x)"


def _of_text(text: object) -> PixelSpacing:
    """The spacing (y, x) that `spacing_text` wrote."""
    found = _SPACING_TEXT.fullmatch(text) if isinstance(text, str) else None
    try:
        down, across = map(float, found.groups() if found else ())
    except ValueError:
        raise ValueError(f"its text {SPACING_KEY!r} is no spacing") from None
    if not all(LEAST_SPACING_MM <= mm <= LARGEST_SPACING_MM for mm in (down, across)):
        raise ValueError(f"its text {SPACING_KEY!r} states {down:g} × {across:g} mm (y, x), which cannot be meant")
    return down, across


def _pair(value: object) -> tuple[float, float] | None:
    """Two positive numbers (x, y), or None."""
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    try:
        across, down = float(value[0]), float(value[1])
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if across > 0 and down > 0 and math.isfinite(across * down) else None


def _is_no_measurement(dpi: float) -> bool:
    return any(abs(dpi - known) <= _ROUNDING * known for known in NO_MEASUREMENT)


def _dpi(dpi: tuple[float, float]) -> str:
    across, down = (str(round(number)) for number in dpi)
    return across if across == down else f"{across} × {down}"


def _rounded(mm: float) -> float:
    # as exact as the file can state it
    return float(f"{mm:.6g}")


def alike(a: PixelSpacing, b: PixelSpacing) -> bool:
    """Whether two spacings (y, x) are the same to 1 %: formats round them."""
    return all(abs(one - other) <= _SAME * other for one, other in zip(a, b, strict=True))


def in_mm(spacing: PixelSpacing) -> str:
    """A spacing (y, x) as a text.

    Examples:
        >>> in_mm((0.25, 0.25)), in_mm((0.5, 0.25))
        ('0.25 mm', '0.5 × 0.25 mm (y, x)')
    """
    down, across = (f"{number:.4g}" for number in spacing)
    return f"{down} mm" if down == across else f"{down} × {across} mm (y, x)"
