"""The resolution that a picture states, and whether it is a measurement.

PNG, TIFF, JPEG and BMP can state pixels per inch, centimetre or metre. Cameras, screens and printers write such
numbers too, and theirs say nothing of the object. So round numbers of pixels per inch are not taken.
"""

from __future__ import annotations

import math
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

_MM_PER_INCH = 25.4
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
    """
    # one pixel per inch is what a writer leaves where it was told nothing
    if (dpi := _pair(info.get("dpi"))) is not None and dpi != (1.0, 1.0):
        across, down = dpi
        if all(_is_no_measurement(number) for number in dpi):
            return Resolution(
                None,
                f"states {_dpi(dpi)} pixels per inch, as screens, printers and cameras write it, which is no "
                f"measurement (it would be {_MM_PER_INCH / across:.4g} mm a pixel)",
            )
        spacing = _rounded(_MM_PER_INCH / down), _rounded(_MM_PER_INCH / across)
        if not all(LEAST_SPACING_MM <= mm <= LARGEST_SPACING_MM for mm in spacing):
            return Resolution(None, f"states {spacing[1]:g} mm a pixel, which cannot be meant")
        return Resolution(spacing, "")
    ratio = _pair(info.get("resolution") or info.get("aspect") or info.get("jfif_density"))
    if ratio is None or ratio == (1.0, 1.0):
        return Resolution(None, "states no resolution")
    return Resolution(None, f"states a resolution of {ratio[0]:g} × {ratio[1]:g} (x, y) without a unit")


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
