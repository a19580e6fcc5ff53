"""Chooses the one volume among the frames of a folder or file, or says which there are and how to choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.image.dicom.choice import Choice
from autoseg.image.dicom.frame import Frame
from autoseg.image.dicom.stacks import Stack, stacks_of, why_no_volume
from autoseg.image.dicom.told import HARD, files_told, listed, several_told, values_told, ways_to_choose

_SHOWN = 8


@dataclass(frozen=True)
class Chosen:
    """The volume that is read.

    Args:
        stack: its frames in order.
        left_out: what of the other frames is not read, a sentence each without its end.
    """

    stack: Stack
    left_out: tuple[str, ...]


def choose(path: Path, frames: Sequence[Frame], choice: Choice) -> Chosen:
    """Find the one volume that has what was chosen.

    Localisers, and single slices beside a stack, are left out. Anything else that is left over is an error.

    Raises:
        ImageError: no frame has what was chosen, several volumes have it, or its slices are no volume.
    """
    fitting = [frame for frame in frames if choice.fits(frame)]
    if not fitting:
        raise ImageError(f"{path}: no slice has {choice}; they have {values_told(frames, choice)}")
    if mosaics := [frame for frame in fitting if frame.is_mosaic]:
        raise ImageError(
            f"{path}: {mosaics[0]} is a mosaic, which shows many slices side by side (Siemens); convert the series "
            "with dcm2niix"
        )
    stacks = stacks_of(fitting)
    if choice.time is not None:
        timed = [stack for stack in stacks if stack.time == choice.time]
        if not timed:
            raise ImageError(f"{path}: no volume has {choice}; there are {listed(stacks)}")
        stacks = timed
    stacks, scouts = _parted(stacks, lambda stack: all(frame.is_scout for frame in stack.frames))
    stacks, singles = _parted(stacks, lambda stack: len(stack.frames) == 1)
    if len(stacks) == 1 and len(singles) >= len(stacks[0].frames):
        # a stack that most slices are not of is no volume with a few slices beside it
        several = [*stacks, *singles]
        raise ImageError(f"{path}: {several_told(several)}. {ways_to_choose(path, several, choice)}")
    left_out = [f"{files_told(stack)}: a localiser" for stack in scouts]
    left_out += [f"{files_told(stack)}: {_how_apart(stack, stacks)}" for stack in singles]
    besides = f"; left out are {'; '.join(left_out[:_SHOWN])}" if left_out else ""
    if len(stacks) > 1:
        raise ImageError(f"{path}: {several_told(stacks)}{besides}. {ways_to_choose(path, stacks, choice)}")
    if why := why_no_volume(stacks[0]):
        raise ImageError(f"{path}: {why}{besides}")
    return Chosen(stacks[0], tuple(left_out))


def _parted(stacks: list[Stack], leaves: Callable[[Stack], bool]) -> tuple[list[Stack], list[Stack]]:
    """Stacks that stay, and those to leave out; where none would stay, all do."""
    stay: list[Stack] = []
    out: list[Stack] = []
    for stack in stacks:
        (out if leaves(stack) else stay).append(stack)
    return (stay, out) if stay else (stacks, [])


def _how_apart(single: Stack, stacks: Sequence[Stack]) -> str:
    """In what a single slice differs from the stack beside it."""
    frame, other = single.frames[0], max(stacks, key=lambda stack: len(stack.frames)).frames[0]
    differ = [name for name, value_of in HARD if value_of(frame) != value_of(other)]
    return f"a single slice with another {' and '.join(differ or ['stack or time'])} than the others"
