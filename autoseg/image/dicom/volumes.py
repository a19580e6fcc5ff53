"""Chooses the one volume among the frames of a folder or file, or says which there are and how to choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.image.dicom.choice import Choice
from autoseg.image.dicom.frame import Frame
from autoseg.image.dicom.stacks import TRAITS, Stack, stacks_of, why_no_volume

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
    if mosaics := [frame for frame in frames if frame.is_mosaic]:
        raise ImageError(
            f"{path}: {mosaics[0]} is a mosaic, which shows many slices side by side (Siemens); convert the series "
            "with dcm2niix"
        )
    fitting = [frame for frame in frames if choice.fits(frame)]
    if not fitting:
        raise ImageError(f"{path}: no slice has {choice}; there are {_listed(stacks_of(frames))}")
    stacks = stacks_of(fitting)
    if choice.time is not None:
        timed = [stack for stack in stacks if stack.time == choice.time]
        if not timed:
            raise ImageError(f"{path}: no volume has {choice}; there are {_listed(stacks)}")
        stacks = timed
    stacks, scouts = _parted(stacks, lambda stack: all(frame.is_scout for frame in stack.frames))
    stacks, singles = _parted(stacks, lambda stack: len(stack.frames) == 1)
    left_out = [f"{_files(stack)}: a localiser" for stack in scouts]
    left_out += [f"{_files(stack)}: {_how_apart(stack, stacks)}" for stack in singles]
    besides = f"; besides, there is {', '.join(left_out[:_SHOWN])}" if left_out else ""
    if len(stacks) > 1:
        raise ImageError(f"{path}: {_several(stacks)}{besides}. {_cure(path, stacks)}")
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


def _files(stack: Stack) -> str:
    first, last = stack.frames[0], stack.frames[-1]
    return str(first) if len(stack.frames) == 1 else f"{first} to {last} ({len(stack.frames)} slices)"


def _how_apart(single: Stack, stacks: Sequence[Stack]) -> str:
    """In what a single slice differs from the stack beside it."""
    frame, other = single.frames[0], max(stacks, key=lambda stack: len(stack.frames)).frames[0]
    differ = [name for name, value_of in _HARD if value_of(frame) != value_of(other)]
    return f"a single slice with another {' and '.join(differ or ['stack or time'])} than the others"


_HARD: tuple[tuple[str, Callable[[Frame], object]], ...] = (
    ("series", lambda frame: frame.series.uid),
    ("size", lambda frame: (frame.rows, frame.columns)),
    ("orientation", lambda frame: tuple(round(n, 3) for n in (*frame.along_row, *frame.along_column))),
    ("pixel spacing", lambda frame: tuple(round(n, 4) for n in frame.pixel_spacing)),
)
"""What frames of one volume have in common."""


def _several(stacks: Sequence[Stack]) -> str:
    """What several volumes are, and in what they differ."""
    firsts = [stack.frames[0] for stack in stacks]
    differ = [name for name, value_of in _HARD if len({value_of(frame) for frame in firsts}) > 1]
    if differ == ["orientation"] and all(len(stack.frames) == 1 for stack in stacks):
        return f"holds {len(stacks)} single slices at angles to each other (a localiser), which make no volume"
    if differ == ["orientation"]:
        return f"holds {len(stacks)} blocks of slices at angles to each other, each of them a volume: {_listed(stacks)}"
    if "series" in differ:
        return f"holds {len({frame.series.uid for frame in firsts})} DICOM series: {_listed(stacks)}"
    if differ:
        return f"holds {len(stacks)} volumes, which differ in {' and '.join(differ)}: {_listed(stacks)}"
    counts = {len(stack.frames) for stack in stacks}
    places = f"each of {counts.pop()} places occurs {len(stacks)} times" if len(counts) == 1 else "places occur often"
    return f"holds {len(stacks)} volumes ({places}): {_listed(stacks)}"


def _listed(stacks: Sequence[Stack]) -> str:
    told = [_described(stack, stacks) for stack in stacks[:_SHOWN]]
    more = f", and {len(stacks) - _SHOWN} more" if len(stacks) > _SHOWN else ""
    return "; ".join(f"({i + 1}) {text}" for i, text in enumerate(told)) + more


def _described(stack: Stack, stacks: Sequence[Stack]) -> str:
    """A stack by what sets it apart from the others."""
    first, words = stack.frames[0], []
    if len({other.frames[0].series.uid for other in stacks}) > 1:
        words.append(str(first.series))
    for _, name, value_of in TRAITS:
        if len({value_of(other.frames[0]) for other in stacks}) > 1:
            value = value_of(first)
            words.append(f"{name} {value if value not in (None, '') else 'not stated'}")
    if stack.time:
        words.append(f"time {stack.time} by {stack.told_by}")
    shape = f"{first.columns} × {first.rows} × {len(stack.frames)}"
    spacing = " × ".join(f"{number:.3g}" for number in first.pixel_spacing[::-1])
    why = why_no_volume(stack)
    words += [f"{shape} voxels of {spacing} mm in plane, from {_files(stack)}"]
    return ", ".join(words) + (f" (no volume: {why})" if why else "")


def _cure(path: Path, stacks: Sequence[Stack]) -> str:
    """How one of several volumes is chosen."""
    last = stacks[-1]
    fields = [field for field, _, value_of in TRAITS if len({value_of(stack.frames[0]) for stack in stacks}) > 1]
    given = {field: value_of(last.frames[0]) for field, _, value_of in TRAITS if field in fields}
    if len({stack.frames[0].series.uid for stack in stacks}) > 1:
        given = {"series": last.frames[0].series.uid} | given
    if last.time:
        given["time"] = last.time
    files = {frame.file for frame in last.frames}
    own = all(not files & {frame.file for frame in stack.frames} for stack in stacks[:-1])
    ways = ["give the files of each a folder of its own"] if own and path.is_dir() else []
    ways += ["convert them with dcm2niix, which writes a file for each"]
    chosen = ", ".join(f"{name}={value!r}" for name, value in given.items() if value not in (None, ""))
    ways += [f"choose one in Python, such as the last by read_image(path, Choice({chosen}))"] if chosen else []
    text = ", or ".join(ways)
    return text[0].upper() + text[1:]
