"""Writes DICOM files with pydicom, element by element, and reads them as an independent reader does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_rescale
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

SERIES, STUDY = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.2"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Slice:
    """One slice that is written: stored values (y, x), place, scale, and further elements by keyword."""

    voxels: np.ndarray
    position: tuple[float, float, float]
    orientation: tuple[float, ...] = AXIAL
    spacing: tuple[float, float] = (0.5, 0.75)
    thickness: float = 3.0
    scale: tuple[float, float] | None = None
    elements: dict[str, object] = field(default_factory=dict)

    def with_elements(self, **elements: object) -> Slice:
        return replace(self, elements=self.elements | elements)


def stack(voxels: np.ndarray, orientation: Sequence[float] = AXIAL, step: float = 3.0, **others: object) -> list[Slice]:
    """Slices of (z, y, x) voxels along the normal of the orientation."""
    orientation = tuple(float(n) for n in orientation)
    normal = np.cross(orientation[:3], orientation[3:])
    places = [np.array([-11.0, 7.5, 20.0]) + i * step * normal for i in range(len(voxels))]
    return [
        Slice(plane, (p[0], p[1], p[2]), orientation, thickness=step, **others)  # type: ignore[arg-type]
        for plane, p in zip(voxels, places, strict=True)
    ]


def _text(number: float) -> str:
    """A decimal string, which has at most sixteen characters."""
    return next(text for digits in range(16, 3, -1) if len(text := f"{number:.{digits}g}") <= 16)


def _texts(numbers: Sequence[float]) -> list[str]:
    return [_text(float(n)) for n in numbers]


def _image(voxels: np.ndarray, sop_class: str, syntax: str) -> Dataset:
    """A data set with voxels (y, x) or (frame, y, x), without place."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, SERIES
    dataset.Modality = "MR"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = voxels.shape[-2:]
    bits = 8 * voxels.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(voxels.dtype.kind == "i")
    order = ">" if syntax == "1.2.840.10008.1.2.2" else "<"
    content = voxels.astype(voxels.dtype.newbyteorder(order)).tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    return dataset


def _save(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def single(path: Path, one: Slice, sop_class: str = MRImageStorage, syntax: str = ExplicitVRLittleEndian) -> Path:
    """A file of one slice; an element that is None is left out."""
    dataset = _image(one.voxels, sop_class, syntax)
    dataset.ImagePositionPatient = _texts(one.position)
    dataset.ImageOrientationPatient = _texts(one.orientation)
    dataset.PixelSpacing = _texts(one.spacing)
    dataset.SliceThickness = _text(one.thickness)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    if one.scale is not None:
        dataset.RescaleSlope, dataset.RescaleIntercept = _texts(one.scale)
    for keyword, value in one.elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return _save(dataset, path)


def series(folder: Path, slices: Sequence[Slice], order: Sequence[int] | None = None, **others: str) -> Path:
    """A folder of files; the i-th by name is slice `order[i]`."""
    for i, z in enumerate(range(len(slices)) if order is None else order):
        one = slices[z]
        elements = {"InstanceNumber": z + 1} | one.elements
        single(folder / f"f{i:03d}.dcm", replace(one, elements=elements), **others)
    return folder


def _item(**elements: object) -> Items:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return Items([item])


def _groups(one: Slice, names: Sequence[str]) -> Dataset:
    """Functional groups of a frame: those of `names`."""
    group = Dataset()
    if "position" in names:
        group.PlanePositionSequence = _item(ImagePositionPatient=_texts(one.position))
    if "orientation" in names:
        group.PlaneOrientationSequence = _item(ImageOrientationPatient=_texts(one.orientation))
    if "spacing" in names:
        group.PixelMeasuresSequence = _item(PixelSpacing=_texts(one.spacing), SliceThickness=_text(one.thickness))
    if "scale" in names and one.scale is not None:
        slope, intercept = _texts(one.scale)
        group.PixelValueTransformationSequence = _item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
    content = {k: v for k, v in one.elements.items() if k in ("StackID", "TemporalPositionIndex")}
    if "content" in names and content:
        group.FrameContentSequence = _item(**content)
    if "echo" in names and "EchoTime" in one.elements:
        group.MREchoSequence = _item(EffectiveEchoTime=one.elements["EchoTime"])
    if "type" in names and "FrameType" in one.elements:
        group.MRImageFrameTypeSequence = _item(FrameType=one.elements["FrameType"])
    return group


ALWAYS_OWN = ("position", "content", "echo", "type")


def multi_frame(
    path: Path,
    slices: Sequence[Slice],
    shared: Sequence[str] = ("orientation", "spacing"),
    scale_shared: bool = False,
    syntax: str = ExplicitVRLittleEndian,
) -> Path:
    """An enhanced file of many frames in the given order; groups of `shared` are those of the first frame."""
    dataset = _image(np.stack([one.voxels for one in slices]), EnhancedMRImageStorage, syntax)
    dataset.NumberOfFrames = len(slices)
    shared = (*shared, "scale") if scale_shared else tuple(shared)
    dataset.SharedFunctionalGroupsSequence = Items([_groups(slices[0], shared)])
    own = [name for name in (*ALWAYS_OWN, "orientation", "spacing", "scale") if name not in shared]
    dataset.PerFrameFunctionalGroupsSequence = Items([_groups(one, own) for one in slices])
    return _save(dataset, path)


def values_and_places(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """By pydicom alone: for each frame its scaled values (y, x) and the LPS places (y, x, 3) of its voxels.

    The place of a voxel is by equation C.7.6.2.1-1 of the standard (PS3.3).
    """
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        dataset = dcmread(file)
        arrays = dataset.pixel_array
        if "PerFrameFunctionalGroupsSequence" not in dataset:
            yield apply_rescale(arrays, dataset), _places(dataset, dataset, dataset, arrays.shape)
            continue
        shared = dataset.SharedFunctionalGroupsSequence[0]
        for array, own in zip(arrays, dataset.PerFrameFunctionalGroupsSequence, strict=True):

            def find(name: str, own: Dataset = own, shared: Dataset = shared) -> Dataset | None:
                group = next((group for group in (own, shared) if name in group), None)
                return None if group is None else group[name].value[0]

            scale = find("PixelValueTransformationSequence")
            place = [find(f"{name}Sequence") for name in ("PlanePosition", "PlaneOrientation", "PixelMeasures")]
            yield array if scale is None else apply_rescale(array, scale), _places(*place, array.shape)


def _places(position: Dataset, orientation: Dataset, measures: Dataset, shape: tuple[int, int]) -> np.ndarray:
    row, column = np.reshape([float(n) for n in orientation.ImageOrientationPatient], (2, 3))
    between_rows, between_columns = (float(n) for n in measures.PixelSpacing)
    y, x = np.indices(shape)
    first = np.array([float(n) for n in position.ImagePositionPatient])
    return first + y[..., None] * between_rows * column + x[..., None] * between_columns * row
