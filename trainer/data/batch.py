"""A batch of patches, and its way from the processes that make it to the device that learns from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from autoseg.machine.device import memory_format
from trainer.lesion_loss import ClassRegions


@dataclass(frozen=True)
class Batch:
    """What the network sees in one step.

    Args:
        image: input of the network for each patch (B, C, z, y, x), float32.
        label: class index of each voxel (B, z, y, x), uint8.
        step: number of the training step, from 0.
        lesions: lesions of the label, for the lesion-wise loss; empty where it is not used.
        missing: whether nobody looked for a class in the case of each patch, (B, C) bool; None where every class was
            looked for in all cases that are trained on, so that all processes that train together have it or none has.
    """

    image: torch.Tensor
    label: torch.Tensor
    step: int
    lesions: tuple[ClassRegions, ...] = ()
    missing: torch.Tensor | None = None

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory, from which a GPU copies beside other work; torch's data loader calls it."""
        lesions = tuple(of_class.pin_memory() for of_class in self.lesions)
        return replace(
            self,
            image=self.image.pin_memory(),
            label=self.label.pin_memory(),
            lesions=lesions,
            missing=None if self.missing is None else self.missing.pin_memory(),
        )

    def to(self, device: torch.device) -> Batch:
        """The batch on a device; a GPU copies it beside other work where it lies in page-locked memory."""
        return replace(
            self,
            image=self.image.to(device, non_blocking=True, memory_format=memory_format(device)),
            label=self.label.to(device, non_blocking=True),
            lesions=tuple(of_class.to(device) for of_class in self.lesions),
            missing=None if self.missing is None else self.missing.to(device, non_blocking=True),
        )

    def ready(self) -> Batch:
        """The batch itself: its images are made."""
        return self

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All tensors of the batch."""
        others = () if self.missing is None else (self.missing,)
        return self.image, self.label, *(tensor for of_class in self.lesions for tensor in of_class.tensors), *others


class Coming(Protocol):
    """A batch on its way to a device."""

    def to(self, device: torch.device) -> Coming:
        """The same on a device."""

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All tensors of the batch."""

    def ready(self) -> Batch:
        """What the network sees, made on the device."""


def on_device(batches: Iterable[Coming], device: torch.device) -> Iterator[Batch]:
    """Yield batches on a device; a CUDA device copies the next batch while it computes with the last one.

    Args:
        batches: batches on the CPU.
        device: device that learns from them.
    """
    if device.type != "cuda":
        for batch in batches:
            yield batch.to(device).ready()
        return
    copying = torch.cuda.Stream(device)
    ahead: Coming | None = None
    for batch in batches:
        with torch.cuda.stream(copying):
            copied = batch.to(device)
        if ahead is not None:
            yield ahead.ready()
        computing = torch.cuda.current_stream(device)
        # the computation of the next step begins after its batch has arrived
        computing.wait_stream(copying)
        for tensor in copied.tensors:
            # its memory is not given to a later batch before this stream has used it
            tensor.record_stream(computing)
        ahead = copied
    if ahead is not None:
        yield ahead.ready()
