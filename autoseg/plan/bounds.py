"""Types of the plan's fields with their bounds: what lies outside cannot be meant, or cannot be computed.

Bounds are wide: they refuse a slip of the keyboard, not an unusual choice.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from autoseg.terminal import MOST_SECONDS

Fraction = Annotated[float, Field(ge=0, le=1)]
MOST_STEPS = 100_000_000
MOST_DEVICES = 64

Seconds = Annotated[float, Field(gt=0, le=MOST_SECONDS)]
"""A duration in seconds, at most thirty years."""

Steps = Annotated[int, Field(ge=1, le=MOST_STEPS)]
Millimetres = Annotated[float, Field(ge=1e-7, le=1_000)]
"""Size of a voxel along one axis in mm, from a tenth of a nanometre to a metre."""

MedianLength = Annotated[float, Field(gt=0, le=1e6)]
"""Median length of the cases along one axis, in voxels."""

Stages = Annotated[int, Field(ge=2, le=64)]
"""Number of patch sizes from the first steps to the last ones."""

PatchLength = Annotated[int, Field(ge=1, le=8_192)]
Factor = Annotated[int, Field(ge=1, le=16)]
Features = Annotated[int, Field(ge=1, le=4_096)]
Blocks = Annotated[int, Field(ge=1, le=64)]
Degrees = Annotated[float, Field(ge=0, le=180)]
Zoom = Annotated[float, Field(ge=0.1, le=10)]


def _odd(length: int) -> int:
    if length % 2 == 0:
        raise ValueError("a kernel has an odd length, so that it has a centre")
    return length


KernelLength = Annotated[int, Field(ge=1, le=31), AfterValidator(_odd)]


def _each_once(axes: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(axes)) < len(axes):
        raise ValueError("names an axis twice")
    return axes


Axes = Annotated[tuple[Annotated[int, Field(ge=0, le=2)], ...], AfterValidator(_each_once)]
"""Array axes (0 = z, 1 = y, 2 = x), each once."""


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first is the smaller one")
    return pair


ZoomRange = Annotated[tuple[Zoom, Zoom], AfterValidator(_ascending)]
"""Smallest and largest zoom factor."""
