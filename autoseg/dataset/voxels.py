"""Reads the voxels of a case: its channels on one grid, its label map, and all problems that are found in them.

The check of a data set and the reading of a case share this code, so that every case that passed the check can
be read: the check lists the problems, reading raises them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.case import Case
from autoseg.dataset.findings import Findings
from autoseg.dataset.grids import covered_share, difference, overlap, placed_on, same_voxels
from autoseg.dataset.label_values import check_values
from autoseg.dataset.lattice import padded_onto_one
from autoseg.dataset.off_grid import on_another_sequence, why_off_grid
from autoseg.dataset.pictures import fitted
from autoseg.errors import ImageError
from autoseg.image.geometry import ROUNDING_VOXELS, Geometry
from autoseg.image.image import Image, read_image, resample_onto
from autoseg.image.integrity import voxel_files_elsewhere
from autoseg.image.label_file import read_labels
from autoseg.image.labels import Labels

# in label maps with a wider range, values are counted by sorting instead of in a table
_LARGEST_TABLE = 1 << 16
_LARGEST_VALUE = 1 << 62


@dataclass(frozen=True)
class LabelMap:
    """A label map on its image's grid.

    Args:
        array: values (z, y, x) of the data set, which are those of the file unless it names its classes.
        counts: number of voxels of each value.
    """

    array: NDArray
    counts: Mapping[float, int]


def read_channels(case: Case, findings: Findings) -> Image | None:
    """Read all channels of a case onto the grid of the first present one.

    A channel on another grid that overlaps with the first is resampled (linear), with a warning.

    Returns:
        The image, (channel, z, y, x) float32, in which absent channels are zero; None if problems were added to
        `findings`.
    """
    before = len(findings.problems)
    if not any(case.present):
        findings.problem("has no image; at least one sequence must be given")
        return None
    image = _from_one_file(case, findings) if case.several_channels_in_one_file else _from_files(case, findings)
    return image if len(findings.problems) == before else None


def read_label_map(
    path: Path, labels: Labels, image: Image | None, findings: Findings, images: Sequence[Path | None] = ()
) -> LabelMap | None:
    """Read a label map and bring it to the axis order of its image.

    Args:
        path: file of the label map.
        labels: labels whose values may occur.
        image: the image, of which the place counts; None = it could not be read, and only the values are checked.
        findings: list to which problems and warnings are added.
        images: images of the case, to tell on which of them a label lies that is not on the first one's grid.

    Returns:
        The label map; None if problems were added to `findings`.
    """
    before = len(findings.problems)
    geometry, others = (None, ()) if image is None else (image.geometry, image.others)
    try:
        label = read_labels(path, labels, geometry)
    except ImageError as error:
        findings.problem(f"label: {error}")
        return None
    if label.made_for and geometry is not None:
        _tell_of_another_image(path, label.made_for, (geometry, *others), findings)
    if label.cropped and geometry is not None:
        try:
            label, off = padded_onto_one(label, geometry, others)
        except ImageError as error:
            findings.problem(on_another_sequence(path, label, images) or f"label {path} {error}")
            return None
        if off > ROUNDING_VOXELS:
            findings.warn(f"label {path} lies up to {off:.3g} voxels beside its image; it is taken as it is")
    _tell_files_elsewhere(path, findings)
    for note in (label.left_out, *label.notes, label.rounded):
        if note:
            findings.warn(f"label {note}")
    findings.did(path, *label.done)
    counts = count_values(label.array)
    check_values(path, counts, labels, findings)
    if image is None or geometry is None:
        return None if len(findings.problems) > before else LabelMap(label.array[0], counts)
    placed = placed_on(label, geometry, others)
    if placed is None:
        findings.problem(on_another_sequence(path, label, images) or why_off_grid(path, label, image))
    if placed is None or len(findings.problems) > before:
        return None
    if placed.beside:
        findings.warn(f"label {path} lies beside the grid of the image ({placed.beside}): taken as lying on it")
    return LabelMap(placed.array[0], counts)


def _tell_of_another_image(
    path: Path, made_for: Sequence[Geometry], grids: Sequence[Geometry], findings: Findings
) -> None:
    """Tell that a segmentation was made for an image of another grid; its own voxels may fit all the same."""
    if not any(same_voxels(stated, grid) for stated in made_for for grid in grids):
        findings.warn(
            f"label {path} was made for an image of another grid, as its header says "
            f"({difference(made_for[0], grids[0])}): is it the segmentation of this image? It is taken as it is"
        )


def count_values(array: NDArray) -> dict[float, int]:
    """Count the voxels of each value in a label map, smallest value first; all NaN count as one value."""
    lowest, highest = (array.min(), array.max()) if array.size else (0, 0)
    whole = array.dtype.kind in "iu" or bool(np.isfinite([lowest, highest]).all() and (np.rint(array) == array).all())
    # the table is made with 64-bit integers
    narrow = whole and max(abs(int(lowest)), abs(int(highest))) < _LARGEST_VALUE
    if narrow and int(highest) - int(lowest) < _LARGEST_TABLE:
        counts = np.zeros(int(highest) - int(lowest) + 1, np.int64)
        # slice by slice, since bincount needs eight bytes for each voxel
        for part in array.reshape(-1, *array.shape[-2:]):
            counts += np.bincount((part.astype(np.int64) - int(lowest)).ravel(), minlength=len(counts))
        return {float(value + int(lowest)): int(counts[value]) for value in np.flatnonzero(counts)}
    values, occurrences = np.unique(array, return_counts=True)
    return {float(v): int(n) for v, n in zip(values, occurrences, strict=True)}


def _from_one_file(case: Case, findings: Findings) -> Image | None:
    path = next(image for image in case.images if image is not None)
    image = _read(case, path, findings)
    if image is None or (image := fitted(case, path, image, findings)) is None:
        return None
    present = np.flatnonzero(case.present)
    held = image.array.shape[0]
    # where only some sequences are used, the file may hold all channels or only these
    if held not in (len(case.images), len(present)):
        _wrong_channels(case, path, held, len(case.images), findings)
        return None
    used = image.array if held == len(present) else image.array[present]
    for channel, voxels in zip(present, used, strict=True):
        _check_voxels(f"channel {channel} of {path}", voxels, findings)
    if len(present) == len(case.images):
        return image
    out = np.zeros((len(case.images), *image.geometry.shape), np.float32)
    out[present] = used
    return replace(image, array=out)


def _from_files(case: Case, findings: Findings) -> Image | None:
    """Read the channels one after the other into one array, so that memory holds each voxel about once."""
    out: NDArray[np.float32] | None = None
    first: tuple[Path, Image] | None = None
    for channel, path in enumerate(case.images):
        image = None if path is None else _read(case, path, findings)
        if path is None or image is None or (image := fitted(case, path, image, findings)) is None:
            continue
        if image.modality:
            findings.modalities[channel] = image.modality
        if image.array.shape[0] != 1:
            _wrong_channels(case, path, image.array.shape[0], 1, findings)
            continue
        _check_voxels(str(path), image.array[0], findings)
        if first is None or out is None:
            # without its voxels, so that they are freed
            first = path, replace(image, array=np.zeros((0, 0, 0, 0), np.float32))
            out = np.zeros((len(case.images), *image.geometry.shape), np.float32)
        placed = _placed(path, image, first[0], first[1].geometry, findings)
        if placed is not None:
            out[channel] = placed[0]
    return None if out is None or first is None else replace(first[1], array=out)


def _placed(path: Path, image: Image, first: Path, target: Geometry, findings: Findings) -> NDArray | None:
    """Bring a channel (channel, z, y, x) onto the grid of the first one; None where the two do not overlap."""
    placed = placed_on(replace(image, others=()), target)
    if placed is not None:
        if placed.beside:
            findings.warn(f"{path} lies beside the grid of {first} ({placed.beside}): taken as lying on it")
        return placed.array
    if image.sized_by:
        findings.problem(
            f"{path} and {first} are not pictures of one size ({difference(image.geometry, target)}); pictures have no "
            "place by which one could be resampled onto the other"
        )
        return None
    if not overlap(target, image.geometry):
        findings.problem(
            f"{path} and {first} do not overlap in space; are they of the same patient and examination, "
            "and are their positions (origin, direction) right?"
        )
        return None
    findings.warn(
        f"{path} is on another grid than {first} ({difference(image.geometry, target)}): resampled onto it, "
        f"covers {100 * covered_share(target, image.geometry):.0f} % of it"
    )
    return resample_onto(image, target).array


def _read(case: Case, path: Path, findings: Findings) -> Image | None:
    if path in case.held:
        return case.held[path]
    try:
        image = read_image(path, pixel_spacing=case.pixel_spacing)
    except ImageError as error:
        findings.problem(str(error))
        return None
    _tell_files_elsewhere(path, findings)
    for note in (image.left_out, *image.notes):
        if note:
            findings.warn(note)
    findings.did(path, *image.done)
    return image


def _tell_files_elsewhere(path: Path, findings: Findings) -> None:
    """Warn of a header that takes its voxels from another folder: a stranger's header may name a private file."""
    if elsewhere := voxel_files_elsewhere(path):
        findings.warn(f"{path}: its header takes the voxels from {elsewhere[0]}, outside of its folder; is that meant?")


def _wrong_channels(case: Case, path: Path, found: int, expected: int, findings: Findings) -> None:
    if found > 1 == expected:
        findings.problem(
            f"{path} is 4D: it holds {found} volumes, and one is expected for each sequence; save the volume that is "
            "meant as a file (or an array) of its own"
        )
        return
    hint = ""
    if found == 1 < expected and path in case.held:
        hint = "; give an image for each sequence, as a dict by their names"
    elif found == 1 < expected:
        # the user may have given a folder of single-sequence images whose names do not follow the convention
        hint = "; name a case's files CASE_0000, CASE_0001 …, or list them in a cases.csv, which `autoseg table` writes"
    findings.problem(f"wrong number of channels: {path} holds {found}, expected {expected}{hint}")


def _check_voxels(what: str, voxels: NDArray[np.float32], findings: Findings) -> None:
    finite = np.isfinite(voxels)
    if not finite.all():
        wrong = int(voxels.size - np.count_nonzero(finite))
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        findings.problem(
            f"{what}: {wrong} of {voxels.size} voxels are NaN or infinite, the first at (z, y, x) = {where}; "
            "replace them by a number (0 for background)"
        )
    elif voxels.min() == voxels.max():
        findings.problem(f"{what}: constant image, every voxel is {voxels.flat[0]:g}; replace it or leave it out")
