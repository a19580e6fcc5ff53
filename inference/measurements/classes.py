"""Measures each class of a predicted image: volume, components, largest diameters, mean probability, agreement.

In: the label map as class indices, and the probabilities behind it. Out: a `ClassMeasurement` for each foreground class
or region. Each class is looked at in its own box, slab by slab, so that memory holds one class at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from autoseg.image.class_boxes import class_boxes
from autoseg.image.geometry import Geometry, flat_axis, to_canonical
from autoseg.image.labels import Labels
from autoseg.metrics.diameters import Diameters, DiametersByShape
from autoseg.whole_image.mixture import Mixture

Place = tuple[int, int, int]


@dataclass(frozen=True)
class ClassMeasurement:
    """A class or region in a predicted image.

    Args:
        name: name of the class.
        voxels: number of its voxels.
        volume_ml: its volume in ml.
        components: number of its connected components (26 neighbours).
        largest: largest diameters of any of its components, each for itself; None where the class is absent.
        mean_probability: over its voxels, of the class; None where the class is absent.
        component_voxels: number of voxels of its largest component.
        place: a voxel (z, y, x) of its largest component, near the component's centre, in voxels of the reoriented
            image; None where the class is absent.
    """

    name: str
    voxels: int
    volume_ml: float
    components: int
    largest: Diameters | None
    mean_probability: float | None
    component_voxels: int = 0
    place: Place | None = None


def measured_classes(classes: NDArray[np.uint8], mixture: Mixture, labels: Labels) -> list[ClassMeasurement]:
    """Measure each foreground class or region, in the order of `labels.foreground`.

    Args:
        classes: predicted class indices (z, y, x) of the whole reoriented image.
        mixture: probabilities on the grid of the image's crop.
        labels: classes and regions of the data set.
    """
    found = []
    for index, (name, box) in enumerate(zip(labels.foreground, class_boxes(classes, labels), strict=True), start=1):
        if box is None:
            found.append(ClassMeasurement(name, 0, 0.0, 0, None, None))
        else:
            found.append(_measured(name, labels.mask(classes[box], index), box, mixture, index))
    return found


def axial_axis(geometry: Geometry) -> int:
    """The axis (0 = z, 1 = y, 2 = x) of a grid that lies closest to the patient's long axis."""
    return to_canonical(geometry).permutation[0]


def _measured(
    name: str, mask: NDArray[np.bool_], box: tuple[slice, ...], mixture: Mixture, index: int
) -> ClassMeasurement:
    grid = mixture.record.reoriented
    parts, count = cc3d.connected_components(mask, connectivity=26, return_N=True)
    # a poor prediction may have a million components, of which no object each is made
    numbers = cc3d.statistics(parts, no_slice_conversion=True)
    voxels, sizes = int(np.count_nonzero(mask)), numbers["voxel_counts"][1:]
    largest = int(sizes.argmax()) + 1
    centre = np.array(numbers["centroids"][largest])
    # first and last voxel along z, y and x
    bounds = np.asarray(numbers["bounding_boxes"][1:], np.int64).reshape(-1, 3, 2)
    nearest = _nearest(parts, largest, _slices(bounds[largest - 1]), centre)
    z, y, x = (int(part.start + at) for part, at in zip(box, nearest, strict=True))
    return ClassMeasurement(
        name,
        voxels,
        voxels * float(np.prod(grid.spacing)) / 1000,
        int(count),
        _largest_diameters(parts, bounds, grid),
        _mean_probability(mask, box, mixture, index),
        int(sizes.max()),
        (z, y, x),
    )


def _slices(bounds: NDArray[np.int64]) -> tuple[slice, ...]:
    """Box (z, y, x) of a component, from its first and last voxel (axis, 2)."""
    return tuple(slice(first, last + 1) for first, last in bounds.tolist())


def _nearest(
    parts: NDArray[np.integer], number: int, box: tuple[slice, ...], centre: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The voxel of a component in the plane (z) that is nearest to its centre, nearest to the centre there."""
    planes = np.arange(box[0].start, box[0].stop)
    for plane in planes[np.argsort(np.abs(planes - centre[0]), kind="stable")]:
        where = np.argwhere(parts[(plane, *box[1:])] == number) + [part.start for part in box[1:]]
        if len(where):
            return np.array([plane, *where[np.linalg.norm(where - centre[1:], axis=1).argmin()]])
    raise AssertionError("a component has voxels in its box")


def _largest_diameters(parts: NDArray[np.integer], bounds: NDArray[np.int64], grid: Geometry) -> Diameters:
    """The largest diameters of any component.

    A diameter is at most the diagonal of its component's box, so that most components need not be measured.

    Args:
        parts: number of the component at each voxel (z, y, x), from 1; 0 elsewhere.
        bounds: first and last voxel (component, axis, 2) of each component.
        grid: grid of the whole image.
    """
    axial, flat = axial_axis(grid), flat_axis(grid.shape)
    edges = (bounds[..., 1] - bounds[..., 0] + 1) * np.asarray(grid.spacing)
    in_plane = np.delete(edges, axial, axis=1)
    known, measure = dict[int, Diameters](), DiametersByShape(grid.spacing, axial, flat)
    best = [0.0, 0.0]
    for which, at_most in enumerate((np.linalg.norm(edges, axis=1), np.linalg.norm(in_plane, axis=1))):
        for number in np.argsort(-at_most, kind="stable").tolist():
            if at_most[number] <= best[which]:
                break
            if number not in known:
                known[number] = measure.of(parts[_slices(bounds[number])] == number + 1)
            best = [max(best[0], known[number].largest_mm), max(best[1], known[number].axial_mm)]
    return Diameters(*best)


def _mean_probability(mask: NDArray[np.bool_], box: tuple[slice, ...], mixture: Mixture, index: int) -> float:
    """Mean probability of a class over its voxels, which all lie in the crop."""
    lower = mixture.record.crop_lower
    z, y, x = (slice(part.start - a, part.stop - a) for part, a in zip(box, lower, strict=True))
    total = 0.0
    for planes in mixture.slabs():
        inside = slice(max(planes.start, z.start), min(planes.stop, z.stop))
        if inside.start < inside.stop:
            marked = mask[inside.start - z.start : inside.stop - z.start]
            total += float(mixture.mean(index, (inside, y, x))[marked].sum(dtype=np.float64))
    return total / int(np.count_nonzero(mask))
