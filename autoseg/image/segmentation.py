"""Segmentations that name their classes: segments in layers, which may overlap, and the label map that they make.

In: what the readers of `.seg.nrrd` and DICOM SEG found. Out: a label map in the values of a data set, where each
voxel belongs to one class at most. The numbers that a file gives to its segments do not matter; their names do.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.image.geometry import Geometry

BACKGROUND = "background"
"""A segment of this name, in capitals or not, is the background of the data set."""

MOST_SEGMENTS = 10_000
_NO_SEGMENT = 2**16 - 1
_SHOWN = 8


@dataclass(frozen=True)
class Segment:
    """A segment of a file.

    Args:
        name: its name, which is that of its class; several segments of one name are of one class.
        value: value of its voxels in its layer.
        layer: number of the layer that holds it, from 0.
    """

    name: str
    value: int
    layer: int


@dataclass(frozen=True)
class Segmentation:
    """The segments of a file. Outside of its grid is background, since files are cropped to what they show.

    Args:
        path: path of the file, for messages.
        segments: its segments, in the order of the file.
        geometry: voxel grid of its layers.
        layers: number of its layers.
        read_layer: returns the values (z, y, x) of a layer, by its number.
        left_out: one sentence that names what beside it in a folder was not read; empty where there was nothing.
        made_for: grid of the image that it was made for, in each way in which the file may mean it; empty where the
            file does not state it.
    """

    path: Path
    segments: tuple[Segment, ...]
    geometry: Geometry
    layers: int
    read_layer: Callable[[int], NDArray]
    left_out: str = ""
    made_for: tuple[Geometry, ...] = ()

    def voxels(self) -> tuple[int, ...]:
        """Number of voxels of each segment.

        Raises:
            ImageError: a layer holds a value that is of no segment.
        """
        counts = np.zeros(len(self.segments) + 1, np.int64)
        for layer in range(self.layers):
            # slice by slice, since bincount needs eight bytes for each voxel
            for part in self._numbers(layer):
                counts += np.bincount(part.ravel(), minlength=len(counts))
        return tuple(int(count) for count in counts[1:])

    def to_values(self, values: Mapping[str, int], regions: Mapping[str, Sequence[int]] | None = None) -> NDArray:
        """Make one label map of all layers.

        Args:
            values: value of each class in the label map, by name; the background is 0.
            regions: values of each region of the data set, by name, for messages; None = it has none.

        Returns:
            Values (z, y, x), in the smallest integer dtype that holds all of them.

        Raises:
            ImageError: segments of different classes overlap, a class is not among `values`, or a layer holds a value
                that is of no segment.
        """
        targets = [find_class(segment.name, values) for segment in self.segments]
        classes = _classes(self.segments, targets)
        merged = np.zeros(self.geometry.shape, np.uint16)
        counts = np.zeros(len(self.segments) + 1, np.int64)
        overlaps: Counter[tuple[int, int]] = Counter()
        for layer in range(self.layers):
            for found, out in zip(self._numbers(layer), merged, strict=True):
                if not found.any():
                    continue
                counts += np.bincount(found.ravel(), minlength=len(counts))
                twice = np.logical_and(out, found)
                overlaps.update(_pairs(out[twice], found[twice], classes))
                np.copyto(out, found, where=found > 0)
        self._require_no_regions(targets, counts[1:], values, regions or {})
        self._require_declared(targets, counts[1:], values)
        self._require_apart(overlaps)
        narrow = np.result_type(*(np.min_scalar_type(value) for value in values.values()))
        # a background that is called otherwise than the data set's is 0 too
        return np.array([0, *(0 if name is None else values.get(name, 0) for name in targets)], narrow)[merged]

    def _numbers(self, layer: int) -> NDArray[np.uint16]:
        """For each voxel (z, y, x) of a layer the number of its segment, from 1; 0 where there is none."""
        inside = {segment.value: i for i, segment in enumerate(self.segments, start=1) if segment.layer == layer}
        array = self.read_layer(layer)
        look_up = _look_up({0: 0} | inside, array.dtype)
        out = np.empty(array.shape, np.uint16)
        wrong: Counter[float] = Counter()
        for found, part in zip(array, out, strict=True):
            part[...] = look_up(found)
            off = part == _NO_SEGMENT
            if off.any():
                values, counts = np.unique(found[off], return_counts=True)
                wrong.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
            if len(wrong) > _SHOWN:
                # noise has as many values as voxels
                break
        if wrong:
            told = ", ".join(f"{value:g} ({count} voxels)" for value, count in list(wrong.items())[:_SHOWN])
            where = f" of layer {layer + 1}" if self.layers > 1 else ""
            raise ImageError(
                f"{self.path}: its header names no segment for the values{where} {told}; open it in the program that "
                "wrote it, and save it again"
            )
        return out

    def _require_no_regions(
        self,
        targets: Sequence[str | None],
        counts: NDArray[np.int64],
        values: Mapping[str, int],
        regions: Mapping[str, Sequence[int]],
    ) -> None:
        """Refuse segments with voxels that are called as a region of several labels, of which they may be any."""
        of_value = {value: name for name, value in values.items()}
        several = {name: 0 for name, of_region in regions.items() if len(of_region) > 1}
        for segment, target, n in zip(self.segments, targets, counts.tolist(), strict=True):
            if n and target is None and (name := find_class(segment.name, several)) is not None:
                members = [repr(of_value[value]) for value in regions[name]]
                listed = f"{', '.join(members[:-1])} and {members[-1]}"
                raise ImageError(
                    f"{self.path}: segment {segment.name!r} ({n} voxels) is called as a region of the labels {listed}, "
                    "so that nobody can tell which of them its voxels are; make a segment of each label, called "
                    "so, instead of the region's"
                )

    def _require_declared(
        self, targets: Sequence[str | None], counts: NDArray[np.int64], values: Mapping[str, int]
    ) -> None:
        """Refuse segments with voxels whose class is not declared; one without voxels changes nothing."""
        named = zip(self.segments, targets, counts.tolist(), strict=True)
        unknown = [f"{segment.name!r} ({n} voxels)" for segment, name, n in named if n and name is None]
        if unknown:
            more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
            raise ImageError(
                f"{self.path}: label not declared: segment {', '.join(unknown[:_SHOWN])}{more}; declared are "
                f"{', '.join(values)}. Rename the segment, or declare it"
            )

    def _require_apart(self, overlaps: Mapping[tuple[int, int], int]) -> None:
        if not overlaps:
            return
        most = sorted(overlaps.items(), key=lambda item: -item[1])
        told = "; ".join(
            f"{self.segments[a - 1].name!r} and {self.segments[b - 1].name!r} in {n} voxels"
            for (a, b), n in most[:_SHOWN]
        )
        more = f"; and {len(most) - _SHOWN} more pairs" if len(most) > _SHOWN else ""
        raise ImageError(
            f"{self.path}: segments overlap, but a voxel can be of one class only: {told}{more}. Take one out of the "
            "other (in 3D Slicer: Segment Editor, Logical operators, Subtract), or delete one of them"
        )


def _look_up(numbers: Mapping[int, int], dtype: np.dtype) -> Callable[[NDArray], NDArray[np.uint16]]:
    """A function from an array of values to the numbers of their segments; `_NO_SEGMENT` for other values."""
    keys = np.array(sorted(numbers))
    found = np.array([numbers[int(key)] for key in keys], np.uint16)
    if dtype in (np.uint8, np.uint16):
        table = np.full(np.iinfo(dtype).max + 1, _NO_SEGMENT, np.uint16)
        fits = (keys >= 0) & (keys < len(table))
        table[keys[fits]] = found[fits]
        return lambda array: table[array]

    def search(array: NDArray) -> NDArray[np.uint16]:
        place = np.searchsorted(keys, array).clip(max=len(keys) - 1)
        return np.where(keys[place] == array, found[place], np.uint16(_NO_SEGMENT))

    return search


def _pairs(
    before: NDArray[np.uint16], after: NDArray[np.uint16], classes: NDArray[np.intp]
) -> dict[tuple[int, int], int]:
    """Of voxels that have two segments, the number of voxels of each pair of different classes."""
    differ = classes[before] != classes[after]
    pairs, counts = np.unique(np.stack([before[differ], after[differ]]), axis=1, return_counts=True)
    return {(a, b): n for (a, b), n in zip(pairs.T.tolist(), counts.tolist(), strict=True)}


def clean_name(path: Path, name: str) -> str:
    """A segment's name as it is compared: composed Unicode, single blanks, none around.

    Raises:
        ImageError: it is not text in UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ImageError(
            f"{path}: the name of a segment is not text in UTF-8 ({name!r:.60}); rename it in the program that wrote "
            "it, and save it again"
        ) from None
    return _composed(name)


def find_class(name: str, values: Mapping[str, int]) -> str | None:
    """Name of the class of a segment: equal to its name, or the only one that is but for upper and lower case.

    Returns:
        None where there is no such class.
    """
    if name in values or folded(name) == BACKGROUND:
        return name
    alike = [declared for declared in values if folded(declared) == folded(name)]
    return alike[0] if len(alike) == 1 else None


def folded(name: str) -> str:
    """A name without the differences that do not count: composition, blanks, upper and lower case."""
    return _composed(name).casefold()


def _composed(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


def _classes(segments: Sequence[Segment], targets: Sequence[str | None]) -> NDArray[np.intp]:
    """For each segment's number, from 1, a number that those of one class share, and no others; 0 for no segment."""
    names = [segment.name if name is None else name for segment, name in zip(segments, targets, strict=True)]
    return np.concatenate([[0], np.unique(np.array(names, dtype=object), return_inverse=True)[1] + 1]).astype(np.intp)


def require_segments(path: Path, segments: Sequence[Segment], layers: int) -> tuple[Segment, ...]:
    """Refuse segments that do not fit their layers.

    Args:
        path: path of the file, for messages.
        segments: segments that the header describes.
        layers: number of layers that the file holds.

    Raises:
        ImageError: they are too many, one has no name, the value 0 or no layer, or two names have one value in a layer.
    """
    if len(segments) > MOST_SEGMENTS:
        raise ImageError(f"{path}: its header names {len(segments)} segments, {MOST_SEGMENTS} at most are read")
    names: dict[tuple[int, int], str] = {}
    for segment in segments:
        if not segment.name:
            raise ImageError(f"{path}: a segment (value {segment.value}) has no name; give it one")
        if not 0 <= segment.layer < layers:
            raise ImageError(
                f"{path}: segment {segment.name!r} is in layer {segment.layer + 1}, and the file holds {layers}; save "
                "it again"
            )
        if segment.value == 0:
            raise ImageError(f"{path}: segment {segment.name!r} has the value 0, that of no segment; save it again")
        other = names.setdefault((segment.layer, segment.value), segment.name)
        if other != segment.name:
            raise ImageError(
                f"{path}: segments {other!r} and {segment.name!r} have the same value {segment.value}; save it again"
            )
    return tuple(segments)
