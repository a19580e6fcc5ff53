"""Groups frames into stacks, and judges whether a stack is a volume: even, upright, each place once.

Frames of another series or patient, size, orientation or pixel spacing are never of one volume, nor are those whose
values mean something else: inverted beside plain ones, scaled beside unscaled ones. What a frame leaves out sets it not
apart: a patient beside a stated one, a scale beside one that changes nothing. Those of another stack, image
type, echo, b-value, inversion or time are told apart only where a place occurs more than once, or where each is a
volume between the slices of the others: within a volume these may change from slice to slice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.image.dicom.frame import Frame, Series
from autoseg.image.geometry import Geometry

# largest difference of cosines within a volume; half a slice of 500 mm is moved by less than 0.2 mm
_SAME_COSINE = 5e-4
# largest difference of pixel spacing within a volume, as a share; 500 pixels are moved by a twentieth of one
_SAME_SPACING = 1e-4
# frames of more orientations or spacings are refused at once: each is compared with all others
_MOST_GROUPS = 1_000
# two slices are at one place if they are nearer to each other than this share of a pixel
_SAME_PLACE = 0.01
# largest deviation of a slice from an even grid, and of a gap from the usual one, as shares of the slice distance; a
# missing slice doubles a gap
_UNEVEN, _UNEVEN_GAP = 0.25, 0.5
# by at most so much of a pixel the last slice is shifted against the first
_SHIFTED = 0.5
# parts of fewer slices are no volumes between the slices of others
_LEAST_BETWEEN = 3
# a part of a stack is told by a trait only if it has at least this share of the stack's places
_LEAST_PLACES = 0.5

TRAITS: tuple[tuple[str, str, Callable[[Frame], object]], ...] = (
    ("stack", "stack", lambda frame: frame.stack),
    ("image_type", "image type", lambda frame: frame.image_type),
    ("echo", "echo time in ms", lambda frame: frame.echo),
    ("b_value", "b-value in s/mm²", lambda frame: frame.b_value),
    ("inversion", "inversion time in ms", lambda frame: frame.inversion),
)
"""What tells copies apart: the field of `Choice`, its name in words, and its value of a frame."""


@dataclass(frozen=True)
class Stack:
    """Frames that are parallel, of one size and spacing, in the order of their places.

    Args:
        frames: its frames, along the normal of the slices.
        time: its number among the stacks at the same places, from 1; 0 where time does not tell it apart.
        told_by: name of the element that ordered it in time.
    """

    frames: tuple[Frame, ...]
    time: int = 0
    told_by: str = ""

    @property
    def along(self) -> NDArray[np.float64]:
        """(frame,) place in mm of each frame along the normal of the first."""
        return np.array([frame.position for frame in self.frames]) @ self.frames[0].normal


def stacks_of(frames: Sequence[Frame]) -> list[Stack]:
    """All stacks of a folder or file, in the order of their first frames."""
    sized: defaultdict[tuple[object, ...], list[Frame]] = defaultdict(list)
    for frame in _filled_in(frames):
        size, meaning = (frame.rows, frame.columns), (frame.is_inverted, frame.is_scaled)
        sized[frame.series.uid, frame.series.patient, size, meaning].append(frame)
    parallel = [group for same in sized.values() for group in _parallel(same)]
    return [stack for group in parallel for stack in _told_apart(_ordered(group))]


def patients_stated(series: Iterable[Series]) -> dict[str, str]:
    """Return the patient of each series of which some files state one, and the others the same or none.

    Args:
        series: what each file states of its series; the keys of the result are their identifiers.
    """
    stated: defaultdict[str, set[str]] = defaultdict(set)
    for one in series:
        # without a series nothing says that files belong together
        if one.uid and one.patient:
            stated[one.uid].add(one.patient)
    return {uid: next(iter(patients)) for uid, patients in stated.items() if len(patients) == 1}


def _filled_in(frames: Sequence[Frame]) -> Iterator[Frame]:
    """The frames, with the patient that others of their series state, and without scales where none changes a value."""
    patients = patients_stated(frame.series for frame in frames)
    scaled = {frame.series.uid for frame in frames if (frame.slope, frame.intercept) != (1, 0)}
    for frame in frames:
        series, is_scaled = frame.series, frame.is_scaled and frame.series.uid in scaled
        patient = patients.get(series.uid, series.patient)
        if patient != series.patient or is_scaled != frame.is_scaled:
            frame = replace(frame, series=replace(series, patient=patient), is_scaled=is_scaled)
        yield frame


def _parallel(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Group frames by orientation and pixel spacing."""
    exact: defaultdict[tuple[float, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        exact[*frame.along_row, *frame.along_column, *frame.pixel_spacing].append(frame)
    groups: list[list[Frame]] = []
    firsts = np.empty((0, 8))
    # in the order of their numbers, so that the order of files decides nothing
    for key, same in sorted(exact.items(), key=lambda item: item[0]):
        value = np.array(key)
        off = np.abs(firsts - value)
        limit = np.concatenate([np.full(6, _SAME_COSINE), _SAME_SPACING * value[6:]])
        near = np.flatnonzero((off <= limit).all(axis=1))
        if near.size:
            groups[near[0]] += same
        else:
            if len(groups) == _MOST_GROUPS:
                raise ImageError(
                    f"{same[0].file}: its frames point in over {_MOST_GROUPS} directions; they make no volume"
                )
            groups.append(list(same))
            firsts = np.vstack([firsts, value])
    place = {id(frame): i for i, frame in enumerate(frames)}
    return sorted(groups, key=lambda group: min(place[id(frame)] for frame in group))


def _ordered(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    along = np.array([frame.position for frame in frames]) @ frames[0].normal
    return tuple(frames[i] for i in np.argsort(along, kind="stable"))


def places_of(stack: Stack) -> list[list[Frame]]:
    """The frames at each place of a stack, in its order."""
    near = _SAME_PLACE * min(stack.frames[0].pixel_spacing)
    along = stack.along
    starts = [0, *(np.flatnonzero(np.diff(along) > near) + 1), len(along)]
    return [list(stack.frames[a:b]) for a, b in pairwise(starts)]


def _told_apart(frames: tuple[Frame, ...]) -> list[Stack]:
    """Split parallel frames where places occur several times, by what the copies differ in."""
    stack = Stack(frames)
    places = places_of(stack)
    if len(places) == len(frames):
        parts = _by_value(frames, TRAITS[0][2])
        if len(parts) > 1 and why_no_volume(stack):
            return [Stack(part) for part in parts]
        for _, _, value_of in TRAITS[1:]:
            parts = _by_value(frames, value_of)
            if _are_interleaved(parts):
                return [Stack(part) for part in parts]
        return [stack]
    for field, _, value_of in TRAITS:
        parts = _by_value(frames, value_of)
        if len(parts) > 1 and (field == "stack" or all(_covers(part, places) for part in parts)):
            return [found for part in parts for found in _told_apart(part)]
    return _by_time(places) or [stack]


def _are_interleaved(parts: Sequence[tuple[Frame, ...]]) -> bool:
    """Whether parts are volumes of their own that lie between each other's slices, as echoes half a slice apart do."""
    if len(parts) < 2 or min(map(len, parts)) < _LEAST_BETWEEN:
        return False
    stacks = [Stack(part) for part in parts]
    if any(why_no_volume(stack) for stack in stacks):
        return False
    begins, ends = zip(*((stack.along[0], stack.along[-1]) for stack in stacks), strict=True)
    # parts that follow each other are stations of one scan
    return max(begins) < min(ends)


def _by_value(frames: Sequence[Frame], value_of: Callable[[Frame], object]) -> list[tuple[Frame, ...]]:
    parts: defaultdict[object, list[Frame]] = defaultdict(list)
    for frame in frames:
        parts[value_of(frame)].append(frame)
    return [tuple(part) for part in parts.values()]


def _covers(part: Sequence[Frame], places: Sequence[Sequence[Frame]]) -> bool:
    members = {(frame.file, frame.index) for frame in part}
    held = sum(any((frame.file, frame.index) in members for frame in place) for place in places)
    return held >= _LEAST_PLACES * len(places)


def _by_time(places: Sequence[Sequence[Frame]]) -> list[Stack]:
    """One stack for each time, if every place occurs equally often and one element orders all copies."""
    if len({len(place) for place in places}) != 1:
        return []
    for name in dict.fromkeys(name for name, _ in places[0][0].times):
        values = [[dict(frame.times).get(name) for frame in place] for place in places]
        kinds = {type(value) for place in values for value in place}
        if kinds in ({float}, {str}) and all(len(set(place)) == len(place) for place in values):
            copies = [sorted(place, key=lambda frame: dict(frame.times)[name]) for place in places]
            return [Stack(tuple(frames), i + 1, name) for i, frames in enumerate(zip(*copies, strict=True))]
    return []


def why_no_volume(stack: Stack) -> str:
    """Why the frames of a stack make no volume, as a sentence without its end; empty where they make one."""
    places = places_of(stack)
    if double := next((place for place in places if len(place) > 1), None):
        return _why_double(places, double)
    along = stack.along
    if len(along) < 2:
        return "" if stack.frames[0].thickness else "has no Slice Thickness, and no other slice tells it"
    gaps = np.diff(along)
    # of two gaps the smaller one
    usual = float(np.quantile(gaps, 0.5, method="lower"))
    off = np.abs(along - np.linspace(along[0], along[-1], len(along))).max()
    if off > _UNEVEN * gaps.mean() or np.abs(gaps - usual).max() > _UNEVEN_GAP * usual:
        return _why_uneven(stack, gaps, usual)
    return _why_shifted(stack)


def _why_double(places: Sequence[Sequence[Frame]], double: Sequence[Frame]) -> str:
    count = sum(len(place) > 1 for place in places)
    first, second = double[:2]
    if first.instance and first.instance == second.instance:
        return f"{first} and {second} are the same slice twice (SOP Instance UID): remove one"
    values = dict(second.times)
    differ = [name for name, value in first.times if values.get(name) != value]
    differ += [name for _, name, value_of in TRAITS if value_of(first) != value_of(second)]
    told = f"they differ in {', '.join(differ)}" if differ else "nothing in them tells which is meant"
    where = f"{count} of {len(places)} places occur more than once, such as in {first} and {second}"
    return f"{where}; {told}: remove those that are not meant"


def _why_uneven(stack: Stack, gaps: NDArray[np.float64], usual: float) -> str:
    at = int(np.abs(gaps - usual).argmax())
    missing = round(float(gaps[at]) / usual) - 1
    where = f"after slice {at + 1} of {len(stack.frames)} ({stack.frames[at]})"
    sizes = f"gap {gaps[at]:.2f} mm, otherwise {usual:.2f} mm"
    if missing > 0 and abs(gaps[at] - (missing + 1) * usual) <= _UNEVEN * usual:
        several = "one slice is" if missing == 1 else f"{missing} slices are"
        return f"{several} missing {where} ({sizes}): export the series again, whole"
    return (
        f"its slices are not evenly spaced, first {where} ({sizes}): resample them in 3D Slicer "
        "(module Resample Scalar Volume), and draw or resample the label on the result"
    )


def _why_shifted(stack: Stack) -> str:
    first = stack.frames[0]
    positions = np.array([frame.position for frame in stack.frames])
    through = positions - positions[0]
    aside = np.linalg.norm(through - np.outer(through @ first.normal, first.normal), axis=1)
    if (shift := float(aside.max())) > _SHIFTED * min(first.pixel_spacing):
        return (
            f"its slices are shifted against each other by {shift:.1f} mm in all, as with a tilted gantry: convert the "
            "series with a tool that corrects the tilt, such as dcm2niix"
        )
    return ""


def geometry_of(stack: Stack) -> Geometry:
    """Geometry of a stack that is a volume: axis z along the normal, y along columns, x along rows."""
    first, along = stack.frames[0], stack.along
    count = len(stack.frames)
    distance = float(along[-1] - along[0]) / (count - 1) if count > 1 else float(first.thickness or 0)
    x, y, z = (float(number) for number in first.normal)
    return Geometry(
        shape=(count, first.rows, first.columns),
        spacing=(distance, *first.pixel_spacing),
        origin=first.position,
        direction=((x, y, z), first.along_column, first.along_row),
    )
