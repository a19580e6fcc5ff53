"""Segmentations that name their classes, written with pynrrd, highdicom and pydicom rather than with autoseg.

Arrays are (z, y, x); a grid is a `Geometry`, whose numbers are put into the headers by hand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import nrrd
import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Geometry, Shape

OBLIQUE = ((0.0, 0.6, 0.8), (-1.0, 0.0, 0.0), (0.0, -0.8, 0.6))
"""Directions of z, y and x of a grid that lies oblique in the patient; its canonical axes are permuted and flipped."""

Named = tuple[str, int, int]
"""Name, value and layer of a segment."""


def grid(shape: Shape = (7, 8, 9), direction: tuple[tuple[float, float, float], ...] = OBLIQUE) -> Geometry:
    return Geometry(shape, (3.0, 0.7, 1.25), (-31.5, 12.25, 104.0), direction)


def cropped(geometry: Geometry, lower: Shape, upper: Shape) -> Geometry:
    """The grid of the voxels from `lower` to `upper` (z, y, x), by adding steps to the place of the first voxel."""
    place = np.array(geometry.origin)
    for direction, spacing, n in zip(geometry.direction, geometry.spacing, lower, strict=True):
        place = place + np.array(direction) * spacing * n
    z, y, x = (b - a for a, b in zip(lower, upper, strict=True))
    return Geometry((z, y, x), geometry.spacing, tuple(place), geometry.direction)


def nrrd_file(path: Path, layers: NDArray, geometry: Geometry, keys: dict[str, str], axis: str = "list") -> Path:
    """Write layers (layer, z, y, x), or one (z, y, x), with keys in the header."""
    directions = [list(np.array(d) * s) for d, s in zip(geometry.direction, geometry.spacing, strict=True)][::-1]
    kinds = ["domain"] * 3
    if layers.ndim == 4:
        directions, kinds = [[np.nan] * 3, *directions], [axis, *kinds]
    header = {
        "space": "left-posterior-superior",
        "space directions": np.array(directions),
        "space origin": np.array(geometry.origin),
        "kinds": kinds,
        "encoding": "gzip",
        **keys,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # sizes are those of layer, x, y, z
    array = np.moveaxis(layers, (1, 2, 3), (3, 2, 1)) if layers.ndim == 4 else layers.transpose(2, 1, 0)
    nrrd.write(str(path), array, header, index_order="F")
    return path


def slicer_keys(segments: Sequence[Named]) -> dict[str, str]:
    keys = {
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|Closed surface|",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for i, (name, value, layer) in enumerate(segments):
        keys |= {
            f"Segment{i}_ID": f"Segment_{i + 1}",
            f"Segment{i}_Name": name,
            f"Segment{i}_LabelValue": str(value),
            f"Segment{i}_Layer": str(layer),
            f"Segment{i}_Color": "0.5 0.68 0.5",
            f"Segment{i}_Tags": "Segmentation.Status:inprogress|",
        }
    return keys


def slicer(path: Path, layers: NDArray, geometry: Geometry, segments: Sequence[Named]) -> Path:
    return nrrd_file(path, layers, geometry, slicer_keys(segments))


def mitk(path: Path, layers: NDArray, geometry: Geometry, groups: Sequence[Sequence[tuple[str, int]]]) -> Path:
    described = [{"labels": [{"name": name, "value": value, "opacity": 0.6} for name, value in one]} for one in groups]
    keys = {
        "modality": "org.mitk.multilabel.segmentation",
        "org.mitk.multilabel.segmentation.version": "1",
        "org.mitk.multilabel.segmentation.labelgroups": json.dumps(described),
    }
    return nrrd_file(path, layers, geometry, keys, axis="vector")
