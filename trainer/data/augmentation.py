"""Augment one training patch: first spatially, then in intensity, then by mirroring, in nnU-Net's order.

In: a place in a case and two random generators. Out: image (C, z, y, x) float32 and label (z, y, x) uint8. All
transforms are drawn first (`draw_transforms`), then applied: here, or by the device that trains (`drawn_patch.py`).
With two generators, a change to the intensity transforms does not change which spatial transforms are drawn. The
transforms are autoseg's own (`spatial.py`, `intensity.py`) or, where the plan says so, those of batchgenerators
(`batchgenerators_transforms.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Training
from autoseg.plan.network_input import NO_HALO
from autoseg.run_folder.preprocessed_case import CaseRecord
from trainer.data.intensity import IntensityTransform, apply_intensity, draw_intensity
from trainer.data.sampling import Place
from trainer.data.spatial import IDENTITY, Reached, ReadRegion, SpatialTransform, draw_spatial, reach, resampled_axes


def plain_patch(
    read: ReadRegion, record: CaseRecord, place: Place, patch_size: Shape, halo: Shape = NO_HALO
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The patch without augmentation, padded with 0 and background: image (C, z, y, x) and label (z, y, x).

    Args:
        read: function that reads image and label of a box inside the case.
        record: record of the case, with its shape.
        place: position of the patch in the case.
        patch_size: patch size in voxels (z, y, x).
        halo: voxels (z, y, x) by which the image is larger than the label on each side.
    """
    return _cut(read, record, place, patch_size, halo, IDENTITY)


def augmented_patch(
    read: ReadRegion,
    record: CaseRecord,
    place: Place,
    patch_size: Shape,
    training: Training,
    rngs: tuple[np.random.Generator, np.random.Generator],
    *,
    halo: Shape = NO_HALO,
    present: tuple[bool, ...] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Draw and apply every transform to one patch: image (C, z, y, x) and label (z, y, x).

    The intensities of absent channels are not changed: channels that the case lacks are zero. Neighbouring slices in
    the halo get the same transforms as the slice between them, and nothing is mixed across slices.

    Args:
        read: function that reads image and label of a box inside the case.
        record: record of the case, with its shape, spacing and present channels.
        place: position of the patch in the case before it is transformed.
        patch_size: patch size in voxels (z, y, x).
        training: training settings with the ranges of the spatial transforms and the axes that may be mirrored.
        rngs: two random generators: for spatial transforms and mirroring, and for intensity transforms.
        halo: voxels (z, y, x) by which the image is larger than the label on each side.
        present: for each channel that `read` returns whether it is present; None = as the record says.
    """
    if training.augmentation == "batchgenerators":
        # slow to import, and not needed for autoseg's own transforms
        from trainer.data.batchgenerators_transforms import batchgenerators_patch

        return batchgenerators_patch(read, record, place, patch_size, training, rngs, halo=halo, present=present)
    drawn = draw_transforms(record, patch_size, training, rngs, halo=halo, present=present)
    image, label = _cut(read, record, place, patch_size, halo, drawn.spatial)
    apply_intensity(image, drawn.intensity)
    return mirror(image, label, drawn.flipped)


@dataclass(frozen=True)
class DrawnTransforms:
    """The transforms of one patch.

    Args:
        spatial: spatial transform, which is applied first.
        intensity: transforms of the intensities.
        flipped: axes (0 = z, 1 = y, 2 = x) along which the patch is mirrored at the end.
    """

    spatial: SpatialTransform
    intensity: IntensityTransform
    flipped: tuple[int, ...]


def draw_transforms(
    record: CaseRecord,
    patch_size: Shape,
    training: Training,
    rngs: tuple[np.random.Generator, np.random.Generator],
    *,
    halo: Shape = NO_HALO,
    present: tuple[bool, ...] | None = None,
    seed_noise: bool = False,
) -> DrawnTransforms:
    """Draw every transform of one patch.

    Args:
        record: record of the case, with its spacing and present channels.
        patch_size: patch size in voxels (z, y, x).
        training: training settings with the ranges of the spatial transforms and the axes that may be mirrored.
        rngs: two random generators: for spatial transforms and mirroring, and for intensity transforms.
        halo: voxels (z, y, x) by which the image is larger than the label on each side.
        present: for each channel whether it is present; None = as the record says.
        seed_noise: whether seeds of noise are drawn instead of its fields.
    """
    for_space, for_intensity = rngs
    spatial = draw_spatial(for_space, training, patch_size, record.spacing)
    flipped = tuple(axis for axis in training.mirror if for_space.random() < 0.5)
    intensity = draw_intensity(
        for_intensity,
        record.present if present is None else present,
        with_halo(patch_size, halo),
        resampled_axes(training.rotation, patch_size),
        unblurred=tuple(axis for axis in range(3) if halo[axis]),
        contrast_maps=training.contrast_maps,
        seed_noise=seed_noise,
    )
    return DrawnTransforms(spatial, intensity, flipped)


def mirror(
    image: NDArray[np.float32], label: NDArray[np.uint8], flipped: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Views of image (C, z, y, x) and label (z, y, x), mirrored along the axes `flipped` (0 = z, 1 = y, 2 = x)."""
    return np.flip(image, tuple(a + 1 for a in flipped)), np.flip(label, flipped)


def _cut(
    read: ReadRegion, record: CaseRecord, place: Place, patch_size: Shape, halo: Shape, transform: SpatialTransform
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The image of the patch with its halo, and the label without halo."""
    reached = reach_with_halo(read, record, place, patch_size, halo, transform)
    return reached.image_of_patch(), without_halo(reached.label_of_patch(), halo)


def reach_with_halo(
    read: ReadRegion, record: CaseRecord, place: Place, patch_size: Shape, halo: Shape, transform: SpatialTransform
) -> Reached:
    """Read the region that a patch with its halo is made of; arguments are those of `augmented_patch`."""
    z, y, x = (first - margin for first, margin in zip(place.lower, halo, strict=True))
    return reach(read, record.shape, Place((z, y, x), place.pivot), with_halo(patch_size, halo), transform)


def with_halo(patch_size: Shape, halo: Shape) -> Shape:
    """Shape (z, y, x) of the image of a patch, which is larger than the patch by the halo on each side."""
    depth, height, width = (n + 2 * margin for n, margin in zip(patch_size, halo, strict=True))
    return depth, height, width


def without_halo(label: NDArray[np.uint8], halo: Shape) -> NDArray[np.uint8]:
    """The part of a label (z, y, x) within its halo."""
    return label[tuple(slice(margin, n - margin) for margin, n in zip(halo, label.shape, strict=True))]
