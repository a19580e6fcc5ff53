"""Comparison of label files, case by case and in parallel: files in, metrics or a problem out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from autoseg.errors import AutosegError, ImageError
from autoseg.image.image import Image, read_geometry, read_label
from autoseg.image.labels import Labels
from autoseg.machine.cores import available_cores
from autoseg.machine.map_cases import map_cases, workers_within_memory
from autoseg.metrics import CaseMetrics, case_metrics

LARGEST_OFFSET = 1e-3
"""Voxels by which the grids of reference and prediction may differ."""

# both label maps as read, their class indices and the surface metrics' copies of one class
_BYTES_PER_VOXEL = 40
_BYTES_OF_LIBRARIES = 700_000_000
# below this, starting processes takes longer than the work
_VOXELS_WORTH_PROCESSES = 30_000_000


@dataclass(frozen=True)
class Pair:
    """The two label files of a case."""

    case: str
    reference: Path
    prediction: Path


@dataclass(frozen=True)
class Compared:
    """What came of a pair.

    Args:
        rows: metrics, one a foreground class; none where there is a problem.
        problem: why it could not be compared; None where it was.
    """

    case: str
    rows: tuple[CaseMetrics, ...]
    problem: str | None


def compare_all(
    pairs: Sequence[Pair], labels: Labels, *, workers: int | None = None, threads: int | None = None
) -> list[Compared]:
    """Compare every pair, with progress; a pair that cannot be compared is reported, the rest go on.

    Args:
        pairs: cases to compare.
        labels: values and names of the classes.
        workers: processes; None = as many as the cores and free memory allow.
        threads: that may compute, of all processes together; None = as many as there are cores.
    """
    count = workers_for(pairs, threads) if workers is None else workers
    return map_cases(partial(compare, labels=labels), pairs, count, "Evaluating", name=case_of)


def compare(pair: Pair, labels: Labels) -> Compared:
    """Metrics of one pair of files."""
    try:
        reference, prediction = read_pair(pair)
        rows = case_metrics(pair.case, reference.array[0], prediction.array[0], reference.geometry.spacing, labels)
    except AutosegError as error:
        return Compared(pair.case, (), f"case {pair.case}: {error}")
    return Compared(pair.case, tuple(rows), None)


def read_pair(pair: Pair) -> tuple[Image, Image]:
    """Reference and prediction, (1, z, y, x) each, on one grid.

    Raises:
        ImageError: a file cannot be read, or the grids differ by more than `LARGEST_OFFSET`.
    """
    reference, prediction = read_label(pair.reference), read_label(pair.prediction)
    a, b = reference.geometry, prediction.geometry
    offset = a.largest_offset(b)
    if offset > LARGEST_OFFSET:
        how = (
            f"shape {b.shape} instead of {a.shape} (z, y, x)"
            if a.shape != b.shape
            else f"up to {offset:.3g} voxels away; spacing, origin or direction differ"
        )
        raise ImageError(
            f"the prediction does not lie on the reference's grid: {how} "
            f"({pair.prediction.name} against {pair.reference.name})"
        )
    return reference, prediction


def values_of(pair: Pair) -> tuple[float, ...]:
    """The values in the reference of a pair; none where it cannot be read, which comparing it reports."""
    try:
        return tuple(float(value) for value in np.unique(read_label(pair.reference).array))
    except ImageError:
        return ()


def workers_for(pairs: Sequence[Pair], threads: int | None = None) -> int:
    """Processes that threads (None = cores) and free memory allow; one where starting more would not pay."""
    sizes = [_voxels(pair) for pair in pairs]
    if sum(sizes) < _VOXELS_WORTH_PROCESSES:
        return 1
    at_most = min(threads or available_cores(), len(pairs))
    return workers_within_memory(_BYTES_OF_LIBRARIES + _BYTES_PER_VOXEL * max(sizes), at_most)


def case_of(pair: Pair) -> str:
    """Name of the case, for messages."""
    return pair.case


def _voxels(pair: Pair) -> int:
    try:
        return prod(read_geometry(pair.reference)[0].shape)
    except ImageError:
        return 0
