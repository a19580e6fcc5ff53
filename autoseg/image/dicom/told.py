"""Says of several volumes in what they differ, and how one of them is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from autoseg.image.dicom.choice import ONLY_ONE, Choice
from autoseg.image.dicom.frame import Frame
from autoseg.image.dicom.stacks import TRAITS, Stack, why_no_volume

_SHOWN = 8
_TYPE = "image_type"

HARD: tuple[tuple[str, Callable[[Frame], object]], ...] = (
    ("series", lambda frame: frame.series.uid),
    ("size", lambda frame: (frame.rows, frame.columns)),
    ("orientation", lambda frame: tuple(round(n, 3) for n in (*frame.along_row, *frame.along_column))),
    ("pixel spacing", lambda frame: tuple(round(n, 4) for n in frame.pixel_spacing)),
    ("patient", lambda frame: frame.series.patient),
    ("photometric interpretation", lambda frame: frame.is_inverted),
    ("kind of values (with and without Rescale Slope)", lambda frame: frame.is_scaled),
)
"""What all frames of a volume have in common: its name, and its value of a frame."""


def several_told(stacks: Sequence[Stack]) -> str:
    """What several volumes of one folder or file are, and in what they differ."""
    differ = [name for name, value_of in HARD if _varies(stacks, value_of)]
    if differ == ["orientation"] and all(len(stack.frames) == 1 for stack in stacks):
        return f"holds {len(stacks)} single slices at angles to each other (a localiser), which make no volume"
    if differ == ["orientation"]:
        return f"holds {len(stacks)} blocks of slices at angles to each other: {listed(stacks)}"
    if "series" in differ:
        return f"holds {len({stack.frames[0].series.uid for stack in stacks})} DICOM series: {listed(stacks)}"
    if differ:
        return f"holds {len(stacks)} volumes, which differ in {' and '.join(differ)}: {listed(stacks)}"
    counts = {len(stack.frames) for stack in stacks}
    if len(counts) > 1 or _varies(stacks, TRAITS[0][2]) or not _begin_together(stacks):
        return f"holds {len(stacks)} volumes: {listed(stacks)}"
    places = "its one place" if counts == {1} else f"each of its {counts.pop()} places"
    return f"holds {len(stacks)} volumes, since {places} occurs {len(stacks)} times: {listed(stacks)}"


def listed(stacks: Sequence[Stack]) -> str:
    """Stacks one after the other, each by what sets it apart."""
    values = (*[value_of for _, value_of in HARD], *[value_of for _, _, value_of in TRAITS])
    if all(stack.time for stack in stacks) and not any(_varies(stacks, value_of) for value_of in values):
        return f"times {stacks[0].time} to {stacks[-1].time} by {stacks[0].told_by}"
    told = [_described(stack, stacks) for stack in stacks[:_SHOWN]]
    more = f", and {len(stacks) - _SHOWN} more" if len(stacks) > _SHOWN else ""
    return "; ".join(f"({i + 1}) {text}" for i, text in enumerate(told)) + more


def values_told(frames: Sequence[Frame], choice: Choice) -> str:
    """The values that frames have of what was chosen, for a sentence that begins with "they have"."""
    fields: tuple[tuple[str, str, Callable[[Frame], object]], ...] = (
        ("series", "series", lambda frame: str(frame.series)),
        *TRAITS,
    )
    told = []
    for field, name, value_of in fields:
        if getattr(choice, field) is not None:
            found = dict.fromkeys(str(value_of(frame) or "not stated") for frame in frames)
            told.append(f"{name} {', '.join(list(found)[:_SHOWN])}")
    return "; ".join(told)


def ways_to_choose(path: Path, stacks: Sequence[Stack], choice: Choice = ONLY_ONE) -> str:
    """How one of several volumes is chosen, in a sentence without its end.

    Args:
        path: path of the folder or file.
        stacks: volumes that are left.
        choice: what was chosen already, which is said again.
    """
    last = stacks[-1]
    chosen = choice.narrowed(_choice_of(last, stacks))
    files = {frame.file for frame in last.frames}
    apart = all(not files & {frame.file for frame in stack.frames} for stack in stacks[:-1])
    ways = [f"give the one that is meant, such as the last: '{chosen.of(path)}'"] if chosen != choice else []
    ways += ["give the files of each a folder of its own"] if apart and path.is_dir() else []
    ways += ["convert them with dcm2niix, which writes a file for each"]
    text = ", or ".join(ways)
    return text[0].upper() + text[1:]


def _choice_of(stack: Stack, stacks: Sequence[Stack]) -> Choice:
    """What tells one stack from the others, as far as it can be chosen."""
    first = stack.frames[0]
    given = {field: value_of(first) for field, _, value_of in TRAITS if _varies(stacks, value_of)}
    if _TYPE in given:
        given[_TYPE] = _own_words(stack, stacks)
    if _varies(stacks, HARD[0][1]):
        same_number = [other for other in stacks if other.frames[0].series.number == first.series.number]
        alone = {other.frames[0].series.uid for other in same_number} == {first.series.uid}
        given["series"] = first.series.number if alone and first.series.number else first.series.uid
    if stack.time:
        given["time"] = stack.time
    return Choice(**{name: value for name, value in given.items() if value not in (None, "")})  # type: ignore[arg-type]


def files_told(stack: Stack) -> str:
    """The first and the last file of a stack."""
    first, last = stack.frames[0], stack.frames[-1]
    return str(first) if len(stack.frames) == 1 else f"{first} to {last} ({len(stack.frames)} slices)"


def _varies(stacks: Sequence[Stack], value_of: Callable[[Frame], object]) -> bool:
    return len({value_of(stack.frames[0]) for stack in stacks}) > 1


def _begin_together(stacks: Sequence[Stack]) -> bool:
    """Whether the first slices of all stacks are at one place, to half a pixel."""
    first = stacks[0].frames[0]
    return all(math.dist(stack.frames[0].position, first.position) < 0.5 * min(first.pixel_spacing) for stack in stacks)


def _described(stack: Stack, stacks: Sequence[Stack]) -> str:
    first, words = stack.frames[0], []
    if _varies(stacks, HARD[0][1]):
        words.append(str(first.series))
    for field, name, value_of in TRAITS:
        if _varies(stacks, value_of):
            value = _own_words(stack, stacks) if field == _TYPE else value_of(first)
            words.append(f"{name} {value if value not in (None, '') else 'not stated'}")
    if stack.time:
        words.append(f"time {stack.time} by {stack.told_by}")
    if any(_varies(stacks, value_of) for _, value_of in HARD):
        spacing = " × ".join(f"{number:.3g}" for number in first.pixel_spacing[::-1])
        words.append(f"{first.columns} × {first.rows} × {len(stack.frames)} voxels of {spacing} mm in plane")
    why = why_no_volume(stack)
    return ", ".join([*words, files_told(stack)]) + (f" (no volume: {why})" if why else "")


def _own_words(stack: Stack, stacks: Sequence[Stack]) -> str:
    """Of a stack's image type the first word that no other type has, else the whole."""
    own = stack.frames[0].image_type
    others = {stack.frames[0].image_type for stack in stacks} - {own}
    taken = {word.upper() for other in others for word in other.split("\\")}
    return next((word for word in own.split("\\") if word.upper() not in taken), own)
