"""Reads a label file as the label map of a data set, whatever names and numbers the file gives to its classes.

A plain label map holds the values of the data set. A segmentation (`.seg.nrrd`, MITK, DICOM SEG) names its classes:
its voxels get the values that the data set gives to these names.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.image.dicom import seg
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, is_dicom, read_label, read_layers
from autoseg.image.image_header import read_header
from autoseg.image.labels import IGNORE, Labels
from autoseg.image.nrrd_segments import segments_of
from autoseg.image.segmentation import Segmentation
from autoseg.image.slicer_reference import grids_of_its_image
from autoseg.image.text_headers import NRRD_ENDINGS

# 3D Slicer saves segmentations as such where the surface is their source
_SURFACES = (".vtm", ".vtp", ".stl", ".obj", ".ply")


def read_labels(path: Path, labels: Labels, onto: Geometry | None = None) -> Image:
    """Read a label file in the values of a data set.

    Args:
        path: path of the file, or of a folder of DICOM.
        labels: values and names of the data set.
        onto: geometry of the image; it tells the slice distance of a DICOM segmentation that states none.

    Returns:
        The label map (1, z, y, x). That of a segmentation is `cropped`; that of a plain file may hold any value.

    Raises:
        ImageError: in the cases of `read_label`; segments overlap, or have names that the data set does not declare.
    """
    found = read_segmentation(path, onto)
    if found is None:
        return read_label(path)
    values = dict(zip(labels.names, labels.values, strict=True))
    if labels.ignore is not None:
        values[IGNORE] = labels.ignore
    array = found.to_values(values, {region.name: region.values for region in labels.regions})
    return Image(array[None], found.geometry, found.left_out, cropped=True, made_for=found.made_for)


def names_classes(path: Path) -> bool:
    """Whether a label file names its classes, by its header alone.

    Raises:
        ImageError: its header cannot be read.
    """
    path = Path(path)
    if is_dicom(path):
        return seg.find_segmentation(path) is not None
    return path.name.lower().endswith(NRRD_ENDINGS) and segments_of(path, read_header(path)) is not None


def read_segmentation(path: Path, onto: Geometry | None = None) -> Segmentation | None:
    """Read a segmentation; None for a plain label map.

    Args:
        path: path of the file, or of a folder of DICOM.
        onto: geometry of the image; it tells the slice distance of a DICOM segmentation that states none.

    Raises:
        ImageError: in the cases of `read_label`, or the description of the segments is damaged.
    """
    path = Path(path)
    if path.name.lower().endswith(_SURFACES):
        raise ImageError(
            f"{path}: is a surface, from which no label map is read; in 3D Slicer, make the segmentation a binary "
            "labelmap (module Segmentations, Representations) and save it as .seg.nrrd"
        )
    if is_dicom(path):
        held = seg.find_segmentation(path)
        if held is None:
            return None
        found = seg.read_segmentation(held[0], onto)
        return replace(found, left_out=held[1])
    if not path.name.lower().endswith(NRRD_ENDINGS):
        return None
    header = read_header(path)
    segments = segments_of(path, header)
    if segments is None:
        return None
    image = read_layers(path)
    if image.array.ndim != 4:
        raise ImageError(f"{path}: a segmentation has layers of three dimensions; save it again")
    layer = partial(_layer, image.array)
    made_for = grids_of_its_image(header)
    return Segmentation(path, segments, image.geometry, len(image.array), layer, made_for=made_for)


def _layer(array: NDArray, layer: int) -> NDArray:
    return array[layer]
