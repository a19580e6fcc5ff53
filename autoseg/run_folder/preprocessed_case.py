"""A preprocessed case on disk: one folder that can be read patch by patch without the raw data.

The folder holds `image.b2nd` (channel, z, y, x) float32 and `label.b2nd` (z, y, x) uint8 class indices at the
configuration's spacing, chunked and compressed (blosc2); `foreground.safetensors`, the voxels that patches are
drawn from; `reference.nii.gz`, the label map in the data set's values at the image's own geometry; and
`case.json`, the record by which arrays are brought back to that geometry.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from autoseg.disk.checksums import DAMAGED, changed_files, write_checksums
from autoseg.errors import RunFolderError
from autoseg.files import FileModel, disk_errors_named, read_utf8
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses
from autoseg.image.geometry import Corners, Geometry, Reorientation, Shape, Spacing
from autoseg.image.nifti.fields import NiftiFields
from autoseg.names import PlainName
from autoseg.run_folder.array_file import open_array

if TYPE_CHECKING:
    import blosc2


class CaseRecord(FileModel):
    """`case.json`: the steps that lead from the stored image to the preprocessed arrays.

    Args:
        case: name of the case.
        stored: geometry of the image as the user's file has it.
        reorientation: flips and permutation of the stored axes, the first step.
        crop_lower, crop_upper: box of the crop to non-zero and to the plan's region, in voxels of the reoriented image
            (z, y, x), upper end excluded; the second step.
        spacing: spacing (z, y, x) of the preprocessed arrays in mm; resampling to it is the third step.
        shape: shape (z, y, x) of the preprocessed arrays in voxels.
        present: for each channel, whether the case has the sequence.
        nifti: transforms and unit of the user's file as they are stored, which predictions get; None where it is no
            NIfTI file, and in cases of earlier releases.
        annotated: classes that were looked for in the label map: names, or "all", as in cases of earlier releases,
            which knew no others. It says nothing where there is no label map.
    """

    schema_version: Literal[1] = 1
    case: PlainName
    stored: Geometry
    reorientation: Reorientation
    crop_lower: Shape
    crop_upper: Shape
    spacing: Spacing
    shape: Shape
    present: tuple[bool, ...]
    nifti: NiftiFields | None = None
    annotated: AnnotatedClasses = EVERY

    @property
    def reoriented(self) -> Geometry:
        """Geometry of the whole image after reorientation."""
        return self.reorientation.apply_to_geometry(self.stored)

    @property
    def crop(self) -> Corners:
        """The box of the crop, in voxels of the reoriented image (z, y, x)."""
        return self.crop_lower, self.crop_upper

    @property
    def cropped_shape(self) -> Shape:
        """Shape (z, y, x) of the crop in voxels, before resampling."""
        z, y, x = (upper - lower for lower, upper in zip(self.crop_lower, self.crop_upper, strict=True))
        return z, y, x


@dataclass(frozen=True)
class Foreground:
    """A sample of the voxels on which training patches are centred.

    Args:
        voxels: (n, 3) indices (z, y, x) into the preprocessed arrays.
        classes: (n,) foreground class or region of each voxel, counted from 1; 0 = any annotated voxel, of which there
            are some in cases with ignored voxels alone.
        lesions: (n,) number of the connected component of each voxel, counted within its class from 0.
        weights: (n,) number of voxels of the component that each sampled voxel stands for, itself included; None
            in cases preprocessed by earlier releases.
    """

    voxels: NDArray[np.int32]
    classes: NDArray[np.uint8]
    lesions: NDArray[np.int32]
    weights: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class PreprocessedCase:
    """An opened preprocessed case; slicing an array reads only that part from disk.

    Args:
        record: steps that lead from the stored image to the arrays.
        image: (channel, z, y, x) float32, normalised; absent channels are zero.
        label: (z, y, x) uint8 class indices.
        foreground: sample of foreground voxels on which patches are centred.
        reference: path of the label map at the image's own geometry.
    """

    record: CaseRecord
    image: blosc2.NDArray
    label: blosc2.NDArray
    foreground: Foreground
    reference: Path


def write_case(
    folder: Path, record: CaseRecord, image: NDArray[np.float32], label: NDArray[np.uint8], foreground: Foreground
) -> None:
    """Write the arrays and the record of a case; the caller writes `reference.nii.gz`.

    Args:
        folder: folder of the case, which exists.
        record: steps that led from the stored image to the arrays.
        image: (channel, z, y, x) float32, normalised.
        label: (z, y, x) uint8 class indices.
        foreground: sample of foreground voxels on which patches are centred.
    """
    with disk_errors_named(folder, RuntimeError, SafetensorError):
        _write_arrays(folder, image, label, foreground)
    (folder / "case.json").write_text(record.model_dump_json(indent=1), encoding="utf-8")
    write_checksums(folder, ("image.b2nd", "label.b2nd", "foreground.safetensors", "case.json"))


def _write_arrays(folder: Path, image: NDArray[np.float32], label: NDArray[np.uint8], foreground: Foreground) -> None:
    # imported where it is used, since it takes long to import and many commands open no case
    import blosc2

    for name, array in (("image", image), ("label", label)):
        blosc2.asarray(
            np.ascontiguousarray(array),
            chunks=_chunks(array.shape),
            urlpath=str(folder / f"{name}.b2nd"),
            mode="w",
            cparams=blosc2.CParams(codec=blosc2.Codec.ZSTD, clevel=3, nthreads=1),
        )
    # safetensors writes the memory of an array as it lies and ignores its strides
    drawn = {
        "voxels": foreground.voxels,
        "classes": foreground.classes,
        "lesions": foreground.lesions,
        "weights": foreground.weights,
    }
    save_file(
        {k: np.ascontiguousarray(v) for k, v in drawn.items() if v is not None}, folder / "foreground.safetensors"
    )


def require_intact(folder: Path) -> bool:
    """Refuse a case whose files have changed since they were written.

    Returns:
        Whether the case has checksums; those of earlier releases have none.

    Raises:
        RunFolderError: a file of the case is not as it was written; the message names it and says what to do.
    """
    changed = changed_files(folder)
    if changed:
        raise RunFolderError(
            f"{folder / changed[0]}: {DAMAGED}; delete {folder}, which costs no other case and no model, and "
            "run `autoseg plan-and-preprocess` again"
        )
    return changed is not None


def require_intact_once(folder: Path) -> bool:
    """As `require_intact`; in one process a case is read for it once, as long as its files' sizes and times stay."""
    stamps = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(folder.iterdir())]
    return _known_intact(folder, tuple(stamps))


@cache
def _known_intact(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> bool:
    return require_intact(folder)


def read_record(folder: Path) -> CaseRecord:
    """Read `case.json`.

    Raises:
        RunFolderError: the case is not preprocessed or its record is damaged.
    """
    try:
        return CaseRecord.model_validate_json(read_utf8(folder / "case.json"))
    except FileNotFoundError:
        raise RunFolderError(f"{folder}: not preprocessed; run `autoseg plan-and-preprocess`") from None
    except ValidationError as error:
        raise RunFolderError(f"{folder / 'case.json'}: damaged ({error.error_count()} wrong fields)") from None


def open_case(folder: Path) -> PreprocessedCase:
    """Open a preprocessed case.

    Raises:
        RunFolderError: a file of the case is missing or damaged.
    """
    record = read_record(folder)
    try:
        image, label = open_array(folder / "image.b2nd"), open_array(folder / "label.b2nd")
        foreground = Foreground(**load_file(folder / "foreground.safetensors"))
        _require_fit(record, image, label, foreground)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise RunFolderError(
            f"{folder}: damaged ({error}); delete this folder and run `autoseg plan-and-preprocess` again"
        ) from None
    return PreprocessedCase(record, image, label, foreground, folder / "reference.nii.gz")


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Chunk shape: at most 64 voxels along each axis of one channel, so that a patch touches few chunks."""
    spatial = tuple(min(64, n) for n in shape[-3:])
    return (1, *spatial) if len(shape) == 4 else spatial


def _require_fit(record: CaseRecord, image: blosc2.NDArray, label: blosc2.NDArray, foreground: Foreground) -> None:
    """Raise a `ValueError` where the arrays of a case are not of the shapes and dtypes that its record tells."""
    if (*image.shape,) != (len(record.present), *record.shape) or image.dtype != np.float32:
        raise ValueError("image.b2nd does not fit case.json")
    if (*label.shape,) != record.shape or label.dtype != np.uint8:
        raise ValueError("label.b2nd does not fit case.json")
    count = len(foreground.voxels)
    columns = (foreground.classes, foreground.lesions, foreground.weights)
    if foreground.voxels.shape != (count, 3) or any(c is not None and c.shape != (count,) for c in columns):
        raise ValueError("the arrays of foreground.safetensors do not fit each other")
    kinds = {array.dtype.kind for array in (foreground.voxels, foreground.classes, foreground.lesions)}
    if kinds - {"i", "u"} or ((foreground.voxels < 0) | (foreground.voxels >= record.shape)).any():
        raise ValueError("foreground.safetensors names voxels that case.json does not have")
