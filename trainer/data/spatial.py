"""Spatial augmentation: rotation, scaling and elastic deformation in one linear resampling.

In: the position of a patch in a case, and the transform that was drawn. Out: image (C, z, y, x) and label (z, y, x) of
the patch; only the region that the transform reaches is read. Parameters are drawn first (`draw_spatial`), then applied
to image and label alike (`cut_patch`). A device that resamples the image itself gets the region alone (`reach`).

Probabilities are nnU-Net's (Isensee et al., Nature Methods 2021, supplementary note 2; release 2.8.1): rotation 0.2,
scaling 0.2. The plan gives the ranges. Two things differ from nnU-Net. Rotation acts in mm, not in voxels, so that it
stays a rotation when voxels are not cubes; and the drawn foreground voxel keeps its position in the patch. Where the
patch rotates about one axis only (nnU-Net's "dummy 2D" rule for anisotropic patches, and every 2D configuration), the
slices across this axis are treated as independent 2D images, and nothing is interpolated between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.image.geometry import Shape, Spacing
from autoseg.image.image import resample_affinely
from autoseg.plan.configuration import Training
from trainer.data.resampling import Resampling, sample
from trainer.data.sampling import Place

ROTATION_PROBABILITY = 0.2
SCALING_PROBABILITY = 0.2
# Smallest and largest distance between control points of an elastic deformation, as a share of the patch.
ELASTIC_SPACING = (0.2, 0.5)
# Cubic B-splines never fold while control points move less than 0.4 of their distance (Rueckert et
# al., Diffeomorphic registration using B-splines, MICCAI 2006).
ELASTIC_LIMIT = 0.4

ReadRegion = Callable[[Shape, Shape], tuple[NDArray[np.float32], NDArray[np.uint8]]]


@dataclass(frozen=True)
class SpatialTransform:
    """A map from voxels of the patch to voxels of the case, over the n axes on which it acts.

    Args:
        axes: array axes that are resampled, ascending; empty = the patch is cut as it is.
        matrix: matrix (n, n) that turns a step in voxels of the patch into a step in voxels of the case.
        displacement: displacement (n, *patch_size[axes]) in voxels of the case, added to the affine map; None = none.
    """

    axes: tuple[int, ...]
    matrix: NDArray[np.float64]
    displacement: NDArray[np.float32] | None = None


IDENTITY = SpatialTransform((), np.zeros((0, 0)))


def resampled_axes(rotation: Spacing, patch_size: Shape) -> tuple[int, ...]:
    """Array axes on which a drawn transform acts: all, or those within slices if rotation is about one axis only.

    Args:
        rotation: largest rotation in degrees about each axis (z, y, x).
        patch_size: patch size in voxels (z, y, x); an axis of length 1 is not resampled.
    """
    rotating = [axis for axis in range(3) if rotation[axis] > 0]
    across_slices = rotating if len(rotating) == 1 else []
    return tuple(axis for axis in range(3) if axis not in across_slices and patch_size[axis] > 1)


def affine_matrix(angles: Spacing, zoom: float, spacing: Spacing) -> NDArray[np.float64]:
    """Matrix (3, 3) from steps in voxels of the patch to steps in voxels of the case, for rotation and zoom.

    Args:
        angles: rotation in degrees about (z, y, x); a positive angle turns the first of the two other axes towards the
            second. The rotations are multiplied as Rz Ry Rx.
        zoom: factor by which structures appear larger in the patch.
        spacing: spacing of the case in mm (z, y, x).
    """
    rotation = np.eye(3)
    for axis, degrees in enumerate(angles):
        first, second = (a for a in range(3) if a != axis)
        cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = cosine
        turn[first, second], turn[second, first] = sine, -sine
        rotation = rotation @ turn
    millimetres = np.asarray(spacing)
    return rotation * millimetres[None, :] / millimetres[:, None] / zoom


def draw_spatial(rng: np.random.Generator, training: Training, patch_size: Shape, spacing: Spacing) -> SpatialTransform:
    """Draw rotation, scaling and deformation with nnU-Net's probabilities and the plan's ranges."""
    axes = resampled_axes(training.rotation, patch_size)
    angles, zoom, displacement = (0.0, 0.0, 0.0), 1.0, None
    if rotated := rng.random() < ROTATION_PROBABILITY:
        z, y, x = (float(rng.uniform(-limit, limit)) for limit in training.rotation)
        angles = (z, y, x)
    if scaled := rng.random() < SCALING_PROBABILITY:
        zoom = float(rng.uniform(*training.scaling))
    if deformed := rng.random() < training.elastic:
        displacement = elastic_displacement(rng, tuple(patch_size[a] for a in axes))
    if not axes or not (rotated or scaled or deformed):
        return IDENTITY
    return SpatialTransform(axes, affine_matrix(angles, zoom, spacing)[np.ix_(axes, axes)], displacement)


def elastic_displacement(rng: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw a smooth displacement (n, *size) in voxels that never folds, for a patch of n axes.

    It is a cubic B-spline over control points. Their distance (a share of the patch) and the size of their random moves
    (up to the limit of folding) are drawn too.
    """
    share = rng.uniform(*ELASTIC_SPACING)
    strength = rng.uniform(0, ELASTIC_LIMIT)
    distance = [max(share * length, 1.0) for length in size]
    bases = [_spline_basis(length, d) for length, d in zip(size, distance, strict=True)]
    field = rng.uniform(-1, 1, (len(size), *(b.shape[1] for b in bases)))
    field *= strength * np.asarray(distance).reshape(-1, *[1] * len(size))
    for axis, basis in enumerate(bases):
        field = np.moveaxis(np.tensordot(basis, field, axes=(1, axis + 1)), 0, axis + 1)
    return np.ascontiguousarray(field, dtype=np.float32)


def _spline_basis(length: int, distance: float) -> NDArray[np.float64]:
    """Weights (length, control points) of cubic B-splines whose centres lie `distance` voxels apart."""
    positions = np.arange(length) / distance
    points = np.arange(-1, int(np.ceil(positions[-1])) + 2)
    t = np.abs(positions[:, None] - points[None, :])
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.where(t < 2, (2 - t) ** 3 / 6, 0.0))


@dataclass(frozen=True)
class Reached:
    """The region of a case that a transformed patch is made of, and the patch's way to it.

    Args:
        image: image (C, z, y, x) of the region; outside the case it is zero.
        label: label (z, y, x) of the region.
        patch_size: patch size in voxels (z, y, x).
        resampling: positions of the patch's voxels in the region; None = the region is the patch.
        displacement: displacement (n, *patch_size[axes]) in voxels, zero at the pivot; None = none.
        grid: the same positions as torch's grid_sample wants them; None where SimpleITK resamples.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    patch_size: Shape
    resampling: Resampling | None = None
    displacement: NDArray[np.float32] | None = None
    grid: torch.Tensor | None = None

    def image_of_patch(self) -> NDArray[np.float32]:
        """The image (C, *patch_size), linearly interpolated."""
        if self.resampling is None:
            return self.image
        if self.grid is not None:
            return sample(torch.from_numpy(self.image), self.grid, self.resampling.axes, "bilinear").numpy()
        matrix, start = self.resampling.matrix, self.resampling.start
        return np.stack([resample_affinely(channel, matrix, start, self.patch_size) for channel in self.image])

    def label_of_patch(self) -> NDArray[np.uint8]:
        """The label (patch_size), from the nearest voxel."""
        if self.resampling is None:
            return self.label
        if self.grid is not None:
            values = torch.from_numpy(self.label[None].astype(np.float32))
            return sample(values, self.grid, self.resampling.axes, "nearest")[0].numpy().astype(np.uint8)
        matrix, start = self.resampling.matrix, self.resampling.start
        return resample_affinely(self.label, matrix, start, self.patch_size, nearest=True)


def cut_patch(
    read: ReadRegion, shape: Shape, place: Place, patch_size: Shape, transform: SpatialTransform
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Read and resample one patch; outside the image it is 0 and background. Arguments are those of `reach`.

    Returns:
        The image (C, *patch_size), linearly interpolated, and the label (patch_size), from the nearest voxel.
    """
    reached = reach(read, shape, place, patch_size, transform)
    return reached.image_of_patch(), reached.label_of_patch()


def reach(read: ReadRegion, shape: Shape, place: Place, patch_size: Shape, transform: SpatialTransform) -> Reached:
    """Read the region that a transformed patch is made of.

    Args:
        read: function that reads image (C, z, y, x) and label (z, y, x) between a lower and an upper (excluded) voxel
            inside the case.
        shape: shape of the case in voxels (z, y, x).
        place: position of the patch in the case before it is transformed.
        patch_size: patch size in voxels (z, y, x).
        transform: spatial transform of the patch; `IDENTITY` cuts the patch as it is.
    """
    if not transform.axes:
        return Reached(*_read_padded(read, shape, place.lower, _end(place.lower, patch_size)), patch_size)
    # SimpleITK is faster in three dimensions, torch within slices; only torch can apply a displacement
    if len(transform.axes) == 3 and transform.displacement is None:
        return _reach_affinely(read, shape, place, patch_size, transform)
    return _reach_by_grid(read, shape, place, patch_size, transform)


def _reach_affinely(
    read: ReadRegion, shape: Shape, place: Place, patch_size: Shape, transform: SpatialTransform
) -> Reached:
    start = _start(place, transform)
    corner = transform.matrix * (np.array(patch_size) - 1)
    lowest, highest = start + np.minimum(corner, 0).sum(axis=1), start + np.maximum(corner, 0).sum(axis=1)
    lower, upper = _reached(place, patch_size, shape, {a: (lowest[a], highest[a]) for a in transform.axes})
    resampling = Resampling(transform.axes, transform.matrix, start - np.array(lower), deformed=False)
    return Reached(*_read_padded(read, shape, lower, upper), patch_size, resampling)


def _reach_by_grid(
    read: ReadRegion, shape: Shape, place: Place, patch_size: Shape, transform: SpatialTransform
) -> Reached:
    axes, displacement = transform.axes, transform.displacement
    if displacement is not None:
        at_pivot = tuple(round(place.pivot[a] - place.lower[a]) for a in axes)
        of_pivot = np.array([along[at_pivot] for along in displacement], dtype=np.float32)
        displacement = np.subtract(displacement, of_pivot.reshape(-1, *[1] * len(axes)))
    coordinates = _coordinates(place, patch_size, transform, displacement)
    extent = {a: (float(c.min()), float(c.max())) for a, c in zip(axes, coordinates, strict=True)}
    lower, upper = _reached(place, patch_size, shape, extent)
    normalised = [
        (2 * (along - lower[axis]) + 1) / (upper[axis] - lower[axis]) - 1
        for axis, along in zip(axes, coordinates, strict=True)
    ]
    # grid_sample wants the last array axis first
    grid = torch.from_numpy(np.stack(normalised[::-1], axis=-1).astype(np.float32))
    start = _start(place, transform) - np.array([lower[a] for a in axes])
    resampling = Resampling(axes, transform.matrix, start, deformed=displacement is not None)
    return Reached(*_read_padded(read, shape, lower, upper), patch_size, resampling, displacement, grid)


def _start(place: Place, transform: SpatialTransform) -> NDArray[np.float64]:
    """Position (n,) in the case of the patch's first voxel before it is displaced: the pivot stays where it is."""
    pivot = np.array([place.pivot[a] for a in transform.axes])
    return pivot - transform.matrix @ (pivot - np.array([place.lower[a] for a in transform.axes]))


def _reached(
    place: Place, patch_size: Shape, shape: Shape, extent: dict[int, tuple[float, float]]
) -> tuple[Shape, Shape]:
    """The box to read; `extent` gives the lowest and highest position that the transform reaches along some axes."""
    lower, upper = list(place.lower), list(_end(place.lower, patch_size))
    for axis, (lowest, highest) in extent.items():
        # include one voxel of zeros outside, towards which the border is interpolated, and at least one voxel inside
        lower[axis] = int(np.clip(np.floor(lowest), -1, shape[axis] - 1))
        upper[axis] = int(np.clip(np.ceil(highest) + 1, max(lower[axis] + 1, 1), shape[axis] + 1))
    return (lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2])


def _end(lower: Shape, size: Shape) -> Shape:
    return lower[0] + size[0], lower[1] + size[1], lower[2] + size[2]


def _coordinates(
    place: Place, patch_size: Shape, transform: SpatialTransform, displacement: NDArray[np.float32] | None
) -> list[NDArray[np.float32]]:
    """Position in the case of every voxel of the patch: for each resampled axis an array over these axes."""
    pivot = np.array([place.pivot[a] for a in transform.axes])
    middle = pivot - np.array([place.lower[a] for a in transform.axes])
    steps = np.meshgrid(*(np.arange(patch_size[a]) for a in transform.axes), indexing="ij", sparse=True)
    coordinates = []
    for row, start in enumerate(pivot):
        along = np.asarray(start, dtype=np.float32)
        for column, step in enumerate(steps):
            along = along + (transform.matrix[row, column] * (step - middle[column])).astype(np.float32)
        coordinates.append(along if displacement is None else along + displacement[row])
    return coordinates


def _read_padded(
    read: ReadRegion, shape: Shape, lower: tuple[int, ...], upper: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Image and label between two voxels that may lie outside the case; outside both are zero."""
    inside_lower = [min(max(first, 0), n) for first, n in zip(lower, shape, strict=True)]
    inside_upper = [min(max(last, 0), n) for last, n in zip(upper, shape, strict=True)]
    image, label = read(
        (inside_lower[0], inside_lower[1], inside_lower[2]), (inside_upper[0], inside_upper[1], inside_upper[2])
    )
    size = tuple(last - first for first, last in zip(lower, upper, strict=True))
    if label.shape == size:
        return image, label
    where = tuple(
        slice(first - start, last - start) for first, last, start in zip(inside_lower, inside_upper, lower, strict=True)
    )
    padded = np.zeros((image.shape[0], *size), dtype=np.float32)
    padded_label = np.zeros(size, dtype=np.uint8)
    padded[(slice(None), *where)] = image
    padded_label[where] = label
    return padded, padded_label
