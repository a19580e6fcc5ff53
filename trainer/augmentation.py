"""Augmentation of one training patch: spatial, then intensity, then mirroring, as nnU-Net orders them.

In: a place in a case and a random generator. Out: image (C, z, y, x) float32 and label (z, y, x)
uint8. Two generators, so that a change to the intensity transforms leaves the spatial ones as drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autoseg.geometry import Shape
from autoseg.plan import Training
from autoseg.preprocessed import CaseRecord
from trainer.intensity import augment_intensity, mirror
from trainer.sampling import Place
from trainer.spatial import IDENTITY, ReadRegion, cut_patch, draw_spatial, resampled_axes


def plain_patch(
    read: ReadRegion, record: CaseRecord, place: Place, patch_size: Shape
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The patch as it is, padded with 0 and background: image (C, z, y, x) and label (z, y, x)."""
    return cut_patch(read, record.shape, place, patch_size, IDENTITY)


def augmented_patch(
    read: ReadRegion,
    record: CaseRecord,
    place: Place,
    patch_size: Shape,
    training: Training,
    rngs: tuple[np.random.Generator, np.random.Generator],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Draw and apply every transform to one patch: image (C, z, y, x) and label (z, y, x).

    Channels that the case lacks are zero before and after.

    Args:
        read: gives image and label of a box inside the case.
        record: of the case: its shape, spacing and present channels.
        place: where the patch lies before it is transformed.
        patch_size: voxels (z, y, x).
        training: ranges of the spatial transforms and axes that may be mirrored.
        rngs: for the spatial transforms and mirroring, and for the intensity transforms.
    """
    spatial, intensity = rngs
    transform = draw_spatial(spatial, training, patch_size, record.spacing)
    flipped = tuple(axis for axis in training.mirror if spatial.random() < 0.5)
    image, label = cut_patch(read, record.shape, place, patch_size, transform)
    augment_intensity(image, record.present, resampled_axes(training.rotation, patch_size), intensity)
    return mirror(image, label, flipped)
