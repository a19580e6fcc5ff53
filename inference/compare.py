"""Compares label files case by case and in parallel. In: pairs of files. Out: metrics or a problem for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path

from autoseg.dataset.grids import difference, placed_on
from autoseg.dataset.lattice import on_one_lattice
from autoseg.errors import AutosegError, ImageError
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses, names_of_unknown
from autoseg.image.flat.resolution import alike, in_mm
from autoseg.image.geometry import ROUNDING_VOXELS
from autoseg.image.image import Image, read_geometry, read_label
from autoseg.image.label_file import names_classes, read_labels
from autoseg.image.labels import Labels
from autoseg.machine.cores import available_cores
from autoseg.machine.map_cases import map_cases, workers_within_memory
from autoseg.metrics import CaseMetrics, case_metrics

# both label maps as read, their class indices, and the copies of one class that the surface metrics make
_BYTES_PER_VOXEL = 40
_BYTES_OF_LIBRARIES = 700_000_000
# with fewer voxels in all cases together, starting processes takes longer than the comparison
_VOXELS_WORTH_PROCESSES = 30_000_000


@dataclass(frozen=True)
class Pair:
    """The two label files of a case, and the classes that were looked for in the reference."""

    case: str
    reference: Path
    prediction: Path
    annotated: AnnotatedClasses = EVERY


@dataclass(frozen=True)
class Compared:
    """Result of comparing a pair.

    Args:
        case: name of the case.
        rows: metrics of each foreground class that was looked for; empty where the pair could not be compared.
        problem: sentence that says why the pair could not be compared; None where it was compared.
        warnings: what was done to compare the pair, one sentence each.
        not_annotated: names of the foreground classes or regions that have no row, since nobody looked for them.
    """

    case: str
    rows: tuple[CaseMetrics, ...]
    problem: str | None
    warnings: tuple[str, ...] = ()
    not_annotated: tuple[str, ...] = ()


def compare_all(
    pairs: Sequence[Pair], labels: Labels, *, workers: int | None = None, threads: int | None = None
) -> list[Compared]:
    """Compare every pair and show progress; a pair that cannot be compared is reported, and the others go on.

    Args:
        pairs: files of the cases to compare.
        labels: label values and names of the classes.
        workers: number of processes; None = as many as the cores and the free memory allow.
        threads: threads that all processes together may use; None = as many as there are cores.

    Returns:
        One result for each pair, in the order of `pairs`.
    """
    count = workers_for(pairs, threads) if workers is None else workers
    return map_cases(partial(compare, labels=labels), pairs, count, "Evaluating", name=case_of)


def compare(pair: Pair, labels: Labels) -> Compared:
    """Compare one pair of files; an `AutosegError` becomes the problem of the result."""
    try:
        reference, prediction = read_pair(pair, labels)
        arrays, spacing = (reference.array[0], prediction.array[0]), reference.geometry.spacing
        rows = case_metrics(pair.case, *arrays, spacing, labels, annotated_classes=pair.annotated)
    except AutosegError as error:
        return Compared(pair.case, (), f"case {pair.case}: {error}")
    told = [
        note
        for image in (reference, prediction)
        for note in (image.left_out, image.rounded, *image.notes, *image.done)
        if note
    ]
    warnings = tuple(f"case {pair.case}: {note}" for note in told)
    return Compared(pair.case, tuple(rows), None, warnings, names_of_unknown(labels, pair.annotated))


def read_pair(pair: Pair, labels: Labels) -> tuple[Image, Image]:
    """Read reference and prediction, two images (1, z, y, x) on one grid, in the values of `labels`.

    Files that are cropped to what they show get the grid of the other. Flipped and permuted axes of the prediction are
    turned, as planning does it with label maps. The notes of the prediction say where the two lie beside each other.

    Raises:
        ImageError: a file cannot be read, or the grids differ by more than a twentieth of a voxel.
    """
    reference, prediction = _read_both(pair, labels)
    if reference.cropped or prediction.cropped:
        try:
            reference, prediction, off = on_one_lattice(reference, prediction)
        except ImageError as error:
            names = (pair.reference.name, pair.prediction.name)
            cropped, other = names if reference.cropped else names[::-1]
            raise ImageError(f"{cropped} {error} (beside {other})") from None
        return _told_beside(pair, reference, prediction, f"up to {off:.3g} voxels" if off > ROUNDING_VOXELS else "")
    same_shape = reference.geometry.shape == prediction.geometry.shape
    if same_shape and reference.sized_by and prediction.sized_by == "stated":
        reference = _sized_as(reference, prediction, pair)
    placed = placed_on(prediction, reference.geometry, reference.others)
    if placed is None:
        raise ImageError(
            "the prediction does not lie on the reference's grid: "
            f"{difference(prediction.geometry, reference.geometry)} ({pair.prediction.name} against "
            f"{pair.reference.name}); predict the image that the reference was drawn on"
        )
    return _told_beside(pair, reference, replace(prediction, array=placed.array), placed.beside)


def _sized_as(reference: Image, prediction: Image, pair: Pair) -> Image:
    """The reference with the pixels of the prediction, which are those of its image, or what --spacing gave.

    Label maps seldom state the size of their pixels; where one states another, it is told.
    """
    (_, *own), (_, *taken) = reference.geometry.spacing, prediction.geometry.spacing
    sized = replace(reference, geometry=prediction.geometry)
    if reference.sized_by == "assumed" or alike((own[0], own[1]), (taken[0], taken[1])):
        return sized
    note = (
        f"{pair.reference.name} states {in_mm((own[0], own[1]))} a pixel, and {in_mm((taken[0], taken[1]))} is taken, "
        f"as {pair.prediction.name} states it"
    )
    return replace(sized, done=(*reference.done, note))


def _told_beside(pair: Pair, reference: Image, prediction: Image, beside: str) -> tuple[Image, Image]:
    """Both on the reference's grid, with a note of the prediction that says by how much it lies beside, if it does."""
    note = f"{pair.prediction.name} lies beside {pair.reference.name} ({beside}): taken as lying on its grid"
    # what the headers say of themselves is told where the images are read
    told = Image(prediction.array, reference.geometry, prediction.left_out, rounded=prediction.rounded)
    return replace(reference, notes=()), replace(told, notes=(note,) if beside else ())


def _read_both(pair: Pair, labels: Labels) -> tuple[Image, Image]:
    """Reference and prediction; a plain one is read first, since its grid tells the slice distance of the other."""
    if names_classes(pair.reference):
        prediction = read_labels(pair.prediction, labels)
        onto = None if prediction.cropped else prediction.geometry
        return read_labels(pair.reference, labels, onto), prediction
    reference = read_label(pair.reference)
    return reference, read_labels(pair.prediction, labels, reference.geometry)


def workers_for(pairs: Sequence[Pair], threads: int | None = None) -> int:
    """Number of processes that the threads (None = all cores) and the free memory allow.

    It is 1 where the work is too small to start more processes.
    """
    sizes = [voxels_of(pair) for pair in pairs]
    if sum(sizes) < _VOXELS_WORTH_PROCESSES:
        return 1
    at_most = min(threads or available_cores(), len(pairs))
    return workers_within_memory(_BYTES_OF_LIBRARIES + _BYTES_PER_VOXEL * max(sizes), at_most)


def case_of(pair: Pair) -> str:
    """Name of the pair's case, which messages use."""
    return pair.case


def voxels_of(pair: Pair) -> int:
    """Number of voxels of the pair's larger file, since one may be cropped; 0 where neither can be read."""
    voxels = 0
    for file in (pair.reference, pair.prediction):
        with suppress(ImageError):
            voxels = max(voxels, prod(read_geometry(file)[0].shape))
    return voxels
