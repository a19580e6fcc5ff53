"""Makes data sets that are labelled otherwise, to learn more than is asked for: rims, sizes, or the organ around.

In: a data set of one lesion class in NIfTI files. Out: a data set with the same images and further classes. What is
scored stays the same, since all classes but those of `ANATOMY` are put together again.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cc3d
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

LARGE_MM = 10.0
"""Diameter of the ball of its volume from which a lesion is a large one."""

ANATOMY = ("liver",)
"""Classes that are learned beside lesions and not scored."""

CLASSES = {
    "rim": ("lesion_core", "lesion_rim"),
    "size": ("lesion_small", "lesion_large"),
    "anatomy": ("lesion", "liver"),
}
"""Foreground classes of each way to label, from 1."""


def relabelled(data: Path, folder: Path, kind: str) -> Path:
    """Make the data set anew with the labels of `CLASSES[kind]`, if it is not there; return its folder.

    Args:
        data: nnU-Net folder of the data set, with `anatomyTr` beside `labelsTr` for `anatomy`.
        folder: where data sets are made.
        kind: a key of `CLASSES`.
    """
    made = folder / f"{data.name}_{kind}"
    if made.exists():
        return made
    begun = folder / f".{made.name}"
    shutil.rmtree(begun, ignore_errors=True)
    shutil.copytree(data, begun)
    description = json.loads((data / "dataset.json").read_text())
    names = ("background", *CLASSES[kind])
    (begun / "dataset.json").write_text(json.dumps(description | {"labels": {n: i for i, n in enumerate(names)}}))
    for path in sorted((begun / "labelsTr").iterdir()):
        image = sitk.ReadImage(str(path))
        lesions = sitk.GetArrayFromImage(image) > 0
        organs = begun / "anatomyTr" / path.name
        anatomy = sitk.GetArrayFromImage(sitk.ReadImage(str(organs))) if kind == "anatomy" else np.zeros_like(lesions)
        labels = sitk.GetImageFromArray(_labels(kind, lesions, anatomy, float(np.prod(image.GetSpacing()))))
        labels.CopyInformation(image)
        sitk.WriteImage(labels, str(path), useCompression=True)
    return begun.rename(made)


def _labels(kind: str, lesions: NDArray[np.bool_], anatomy: NDArray, voxel_mm3: float) -> NDArray[np.uint8]:
    """Labels (z, y, x) of a case.

    Args:
        kind: a key of `CLASSES`.
        lesions: lesions (z, y, x).
        anatomy: organs (z, y, x); 1 is the liver.
        voxel_mm3: volume of a voxel.
    """
    if kind == "anatomy":
        return np.where(lesions, 1, np.where(anatomy == 1, 2, 0)).astype(np.uint8)
    if kind == "rim":
        # within slices, since a lesion is often one or two slices thick
        core = binary_erosion(lesions, np.ones((1, 3, 3), bool))
        return (lesions * 2 - core).astype(np.uint8)
    parts, count = cc3d.connected_components(np.ascontiguousarray(lesions), connectivity=26, return_N=True)
    volumes = np.bincount(parts.ravel(), minlength=count + 1) * voxel_mm3
    large = (6 * volumes / np.pi) ** (1 / 3) >= LARGE_MM
    return np.where(lesions, 1 + large[parts], 0).astype(np.uint8)
