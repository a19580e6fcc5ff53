"""Augmentation of one training patch: spatial, then intensity, then mirroring, as nnU-Net orders them.

In: a place in a case and a random generator. Out: image (C, z, y, x) float32 and label (z, y, x)
uint8. Two generators, so that a change to the intensity transforms leaves the spatial ones as drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Training
from autoseg.plan.network_input import NO_HALO
from autoseg.run_folder.preprocessed_case import CaseRecord
from trainer.data.intensity import augment_intensity, mirror
from trainer.data.sampling import Place
from trainer.data.spatial import IDENTITY, ReadRegion, SpatialTransform, cut_patch, draw_spatial, resampled_axes


def plain_patch(
    read: ReadRegion, record: CaseRecord, place: Place, patch_size: Shape, halo: Shape = NO_HALO
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The patch as it is, padded with 0 and background: image (C, z, y, x) and label (z, y, x).

    The image has `halo` voxels more than the label on each side.
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

    Channels that are not present stay as they are: those that the case lacks are zero. Neighbouring
    slices in the halo go through the transforms of the slice between them, and nothing is mixed
    across slices.

    Args:
        read: gives image and label of a box inside the case.
        record: of the case: its shape, spacing and present channels.
        place: where the patch lies before it is transformed.
        patch_size: voxels (z, y, x).
        training: ranges of the spatial transforms and axes that may be mirrored.
        rngs: for the spatial transforms and mirroring, and for the intensity transforms.
        halo: voxels that the image has more than the label on each side.
        present: for each channel that `read` gives whether it is there; None = as the record says.
    """
    spatial, intensity = rngs
    transform = draw_spatial(spatial, training, patch_size, record.spacing)
    flipped = tuple(axis for axis in training.mirror if spatial.random() < 0.5)
    image, label = _cut(read, record, place, patch_size, halo, transform)
    axes = resampled_axes(training.rotation, patch_size)
    across = tuple(axis for axis in range(3) if halo[axis])
    augment_intensity(image, record.present if present is None else present, axes, intensity, unblurred=across)
    return mirror(image, label, flipped)


def _cut(
    read: ReadRegion, record: CaseRecord, place: Place, patch_size: Shape, halo: Shape, transform: SpatialTransform
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The patch with its halo, and the label without."""
    z, y, x = (first - margin for first, margin in zip(place.lower, halo, strict=True))
    depth, height, width = (n + 2 * margin for n, margin in zip(patch_size, halo, strict=True))
    widened = Place((z, y, x), place.pivot)
    image, label = cut_patch(read, record.shape, widened, (depth, height, width), transform)
    return image, label[tuple(slice(margin, margin + n) for margin, n in zip(halo, patch_size, strict=True))]
