"""A patch whose image is made by the device that trains, from what a process read and drew for it.

In: a place in a case and two random generators. Out: the label, as the CPU makes it, the values that were read, and a
`DrawnPatch`, which says what is to be done with them. The transforms are drawn by the same function and from the same
generators as those that the CPU applies (`augmentation.draw_transforms`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Training
from autoseg.run_folder.preprocessed_case import CaseRecord
from trainer.data.augmentation import draw_transforms, reach_with_halo, without_halo
from trainer.data.device_augmentation import change_intensity
from trainer.data.intensity import IntensityTransform
from trainer.data.resampling import Resampling, resample_region
from trainer.data.sampling import Place
from trainer.data.spatial import ReadRegion


@dataclass(frozen=True)
class DrawnPatch:
    """What is to be done with the values that were read for a patch; its own size does not grow with theirs.

    Args:
        region: shape (C, z, y, x) of the region of the case that was read.
        resampling: positions of the patch's voxels in the region; None = the region is the patch.
        intensity: transforms of the intensities.
        flipped: axes (0 = z, 1 = y, 2 = x) along which the patch is mirrored at the end.
        available: for each channel of the region whether the network may see it.
    """

    region: tuple[int, ...]
    resampling: Resampling | None
    intensity: IntensityTransform
    flipped: tuple[int, ...]
    available: tuple[bool, ...]

    def count(self, patch_size: Shape) -> int:
        """Number of values that were read and drawn for the patch: its region, then its displacement."""
        return math.prod(self.region) + math.prod(self._displacement(patch_size))

    def image(self, values: torch.Tensor, patch_size: Shape) -> torch.Tensor:
        """Make the image (C, *patch_size) on the device on which the values lie; nothing here waits for a GPU.

        Args:
            values: the patch's values as `draw_patch` returns them, one after the other, float32; not changed.
            patch_size: shape (z, y, x) of the image in voxels, with its halo.
        """
        count = math.prod(self.region)
        region, drawn = values[:count].view(self.region), self._displacement(patch_size)
        if self.resampling is None:
            image = region.clone()
        else:
            displacement = values[count:].view(drawn) if math.prod(drawn) else None
            image = resample_region(region, self.resampling, displacement, patch_size)
        change_intensity(image, self.intensity)
        return image.flip([axis + 1 for axis in self.flipped])

    def _displacement(self, patch_size: Shape) -> tuple[int, ...]:
        """Shape (n, *patch_size[axes]) of the displacement; its first length is 0 where there is none."""
        axes = self.resampling.axes if self.resampling is not None and self.resampling.deformed else ()
        return len(axes), *(patch_size[axis] for axis in axes)


def draw_patch(
    read: ReadRegion,
    record: CaseRecord,
    place: Place,
    patch_size: Shape,
    training: Training,
    rngs: tuple[np.random.Generator, np.random.Generator],
    *,
    halo: Shape,
    available: tuple[bool, ...],
) -> tuple[DrawnPatch, tuple[NDArray[np.float32], ...], NDArray[np.uint8]]:
    """Draw every transform of one patch, read its region, and make its label.

    Arguments are those of `augmentation.augmented_patch`; its `present` is `available` here.

    Returns:
        What is to be done, the arrays of values for it (region, then displacement), and the label (z, y, x).
    """
    drawn = draw_transforms(record, patch_size, training, rngs, halo=halo, present=available, seed_noise=True)
    reached = reach_with_halo(read, record, place, patch_size, halo, drawn.spatial)
    values = (reached.image,) if reached.displacement is None else (reached.image, reached.displacement)
    label = np.flip(without_halo(reached.label_of_patch(), halo), drawn.flipped)
    return (
        DrawnPatch(reached.image.shape, reached.resampling, drawn.intensity, drawn.flipped, available),
        values,
        label,
    )
