"""Which of several volumes in a folder or file of DICOM is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from autoseg.image.dicom.frame import Frame

# two numbers in milliseconds or s/mm² are the same if they differ by less than this share
_SAME_NUMBER = 1e-3


@dataclass(frozen=True)
class Choice:
    """What the volume that is read must have; None = anything, and it is refused where several volumes remain.

    Args:
        series: identifier (Series Instance UID), number or description of its series.
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

    def fits(self, frame: Frame) -> bool:
        """Whether a frame has what was chosen, except for the time, which is counted over all frames."""
        words = frame.image_type.upper().split("\\")
        type_fits = self.image_type is None or self.image_type.upper() in (*words, frame.image_type.upper())
        series = (frame.series.uid, frame.series.number, frame.series.description)
        return (
            type_fits
            and (self.series is None or self.series in series)
            and (self.stack is None or self.stack == frame.stack)
            and _same(self.echo, frame.echo)
            and _same(self.b_value, frame.b_value)
            and _same(self.inversion, frame.inversion)
        )

    def __str__(self) -> str:
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ", ".join(f"{name}={value!r}" for name, value in given if value is not None)


ONLY_ONE = Choice()
"""Nothing is chosen: there must be one volume."""


def _same(wanted: float | None, found: float | None) -> bool:
    if wanted is None:
        return True
    return found is not None and math.isclose(wanted, found, rel_tol=_SAME_NUMBER, abs_tol=_SAME_NUMBER)
