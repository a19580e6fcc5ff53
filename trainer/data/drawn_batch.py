"""A batch of drawn patches: its way to the device that trains, which makes the images there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.image.geometry import Shape
from autoseg.machine.device import memory_format
from autoseg.plan.network_input import InputLayout
from trainer.data.augmentation import with_halo
from trainer.data.batch import Batch
from trainer.data.drawn_patch import DrawnPatch
from trainer.lesion_loss import ClassRegions


@dataclass(frozen=True)
class DrawnBatch:
    """What one step needs, before the images are made.

    Args:
        values: what was read and drawn for all patches, one after the other, float32. It is one tensor, so that it is
            handed over by one file of shared memory and copied to a GPU at once.
        patches: what is to be done with the values of each patch.
        layout: rule by which the network's input is assembled from an image.
        label: class index of each voxel (B, z, y, x), uint8.
        step: number of the training step, from 0.
        lesions: lesions of the label, for the lesion-wise loss; empty where it is not used.
        missing: whether nobody looked for a class in the case of each patch, (B, C) bool; None = all were looked for.
    """

    values: torch.Tensor
    patches: tuple[DrawnPatch, ...]
    layout: InputLayout
    label: torch.Tensor
    step: int
    lesions: tuple[ClassRegions, ...] = ()
    missing: torch.Tensor | None = None

    def pin_memory(self) -> DrawnBatch:
        """The batch in page-locked memory, from which a GPU copies beside other work; torch's data loader calls it."""
        lesions = tuple(of_class.pin_memory() for of_class in self.lesions)
        return replace(
            self,
            values=self.values.pin_memory(),
            label=self.label.pin_memory(),
            lesions=lesions,
            missing=None if self.missing is None else self.missing.pin_memory(),
        )

    def to(self, device: torch.device) -> DrawnBatch:
        """The batch on a device; a GPU copies it beside other work where it lies in page-locked memory."""
        return replace(
            self,
            values=self.values.to(device, non_blocking=True),
            label=self.label.to(device, non_blocking=True),
            lesions=tuple(of_class.to(device) for of_class in self.lesions),
            missing=None if self.missing is None else self.missing.to(device, non_blocking=True),
        )

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All tensors of the batch."""
        others = () if self.missing is None else (self.missing,)
        return self.values, self.label, *(tensor for of_class in self.lesions for tensor in of_class.tensors), *others

    def ready(self) -> Batch:
        """The batch with its images made, patch by patch, on the device on which it lies; nothing waits for a GPU."""
        depth, height, width = self.label.shape[1:]
        patch_size: Shape = depth, height, width
        layout, device = self.layout, self.values.device
        shape = (len(self.patches), len(layout.channels), *patch_size)
        image = torch.empty(shape, device=device, memory_format=memory_format(device)).zero_()
        read = with_halo(patch_size, layout.halo)
        counts = [patch.count(read) for patch in self.patches]
        for out, patch, values in zip(image, self.patches, self.values.split(counts), strict=True):
            layout.fill(out, patch.image(values, read), patch.available)
        return Batch(image, self.label, self.step, self.lesions, self.missing)


def joined(arrays: list[NDArray[np.float32]]) -> torch.Tensor:
    """The values of all arrays, one after the other."""
    return torch.from_numpy(np.concatenate([array.ravel() for array in arrays]))
