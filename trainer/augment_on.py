"""Decides where the images of a fold's patches are augmented: by the processes that prepare batches, or by the device.

In: a fold that begins, with its network on the device. Out: `workers` or `device`, stored with the fold, since noise
has other bits on a device. A GPU takes tens of patches a second, and a core makes about as many of one sequence; so a
few cores keep a GPU waiting, and what they leave to it makes a step shorter. Where there are cores enough it only makes
the step longer. Both are measured, on CUDA alone: on a CPU the same cores would do it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autoseg.errors import InputError
from autoseg.machine import clock
from trainer.compiled import seconds_a_pass
from trainer.data.drawn_batch import DrawnBatch
from trainer.fold_batches import batches_of, noise_for
from trainer.fold_state import Fold

AugmentOn = Literal["workers", "device"]

PATCHES_TIMED = 16
ENOUGH_SECONDS, ENOUGH_OF_THE_TIME = 4.0, 0.02
"""No further batch is prepared for the choice once these seconds, or this share of the fold's time, are spent on it."""

BATCHES_AT_ONCE = 3
"""At most so many prepared batches are kept, to be finished on the device."""

WORTH_IT = 0.95
"""The device augments where a step then takes less than this share of its time; where about equal, workers do."""


@dataclass(frozen=True)
class AugmentationCost:
    """What the augmentation of a batch costs on this machine.

    Args:
        patches: number of patches that a step takes.
        workers: number of processes that prepare patches; 0 = the process that trains does, and nothing overlaps.
        whole: seconds in which a process makes a patch.
        drawn: seconds in which it makes one whose image is left to the device.
        step: seconds of a step on the device.
        on_device: seconds in which the device makes the images of a step.
    """

    patches: int
    workers: int
    whole: float
    drawn: float
    step: float
    on_device: float

    @property
    def by_workers(self) -> float:
        """Seconds between two steps where the processes augment."""
        return self._seconds(self.step, self.whole)

    @property
    def by_device(self) -> float:
        """Seconds between two steps where the device augments."""
        return self._seconds(self.step + self.on_device, self.drawn)

    @property
    def choice(self) -> AugmentOn:
        """The way with the shorter steps."""
        return "device" if self.by_device < WORTH_IT * self.by_workers else "workers"

    def told(self) -> str:
        """A sentence that tells the user what was chosen and why."""
        chosen = self.choice
        one, other = (self.by_device, self.by_workers) if chosen == "device" else (self.by_workers, self.by_device)
        rates = " and ".join(f"{max(1, self.workers) / seconds:.3g}" for seconds in (self.whole, self.drawn))
        makers = "the process that trains makes" if self.workers == 0 else f"{self.workers} processes make"
        makers = "1 process makes" if self.workers == 1 else makers
        who = "the device" if chosen == "device" else "processes"
        return (
            f"Patches are augmented by {who}: a step takes {one:.2g} s, the other way {other:.2g} s "
            f"({makers} {rates} patches a second, with and without the image; the device "
            f"takes {self.on_device:.2g} s to make the images of a step)"
        )

    def _seconds(self, step: float, of_patch: float) -> float:
        if self.workers == 0:
            return step + self.patches * of_patch
        return max(step, self.patches * of_patch / self.workers)


def choose_augmentation(task: Fold, beside: int) -> None:
    """Decide where a fold's patches are augmented, and keep the decision in its state.

    A fold keeps what it began with, and one that repeats another does as that one did. What a person wrote in the plan
    holds. Otherwise it is measured on CUDA, unless the length is fixed: then the clock decides nothing.

    Args:
        task: fold that begins or goes on.
        beside: number of trainings that share the memory of this machine, this one included.

    Raises:
        InputError: the images are to be made on MPS, where torch lacks what that needs.
    """
    state, device = task.state, task.learner.device
    if state.augment_on is None:
        state.augment_on = _known(task) or _measured(task, beside)
    if state.augment_on == "device" and device.type == "mps":
        raise InputError(
            "device mps: torch lacks 3D resampling there, so patches cannot be augmented on it; write "
            "augment_on: workers in plan.yaml and train the fold anew, or use --device cuda or cpu"
        )


def _known(task: Fold) -> AugmentOn | None:
    """What is decided without measuring; None = it is to be measured."""
    training, repeated = task.configuration.training, task.state.requested.follows
    if repeated is not None:
        return repeated.augment_on
    if training.augment_on != "auto":
        return training.augment_on
    # folds of earlier releases have no decision, and were augmented by processes
    fixed = task.length_is_fixed or task.state.step > 0
    return "workers" if fixed or training.augmentation != "autoseg" or task.learner.device.type != "cuda" else None


def _measured(task: Fold, beside: int) -> AugmentOn:
    """Measure both ways, tell the user, and take what the leading process found."""
    cost = measure_augmentation(task, beside)
    task.console.print(cost.told(), markup=False)
    return "device" if task.ranks.told(cost.choice, task.learner.device) == "device" else "workers"


def measure_augmentation(task: Fold, beside: int) -> AugmentationCost:
    """Measure what augmentation costs; all processes that train a fold together must do it at once.

    Args:
        task: fold whose network is on the device.
        beside: number of trainings that share the memory of this machine, this one included.
    """
    patches = len(task.ranks.places(task.configuration.batch_size))
    whole, drawn, prepared = _seconds_of_patches(task, beside, patches)
    batch = noise_for(task, task.configuration.changed(batch_size=patches))
    step = seconds_a_pass(task.learner, batch)
    return AugmentationCost(patches, task.workers, whole, drawn, step, _seconds_on_device(task, prepared))


def _seconds_of_patches(task: Fold, beside: int, patches: int) -> tuple[float, float, list[DrawnBatch]]:
    """Seconds of a process for a whole patch and for a drawn one, over the same patches; and some drawn batches."""
    spent, count, kept = {True: 0.0, False: 0.0}, 0, list[DrawnBatch]()
    end = clock.now() + min(ENOUGH_SECONDS, ENOUGH_OF_THE_TIME * (task.limit or math.inf))
    full = task.configuration.patch_size
    loaders = {way: batches_of(task, beside, workers=0, for_device=way, patch_size=full) for way in spent}
    while count * patches < PATCHES_TIMED and (count == 0 or clock.now() < end):
        for way, loader in loaders.items():
            # cases are read from the disk before time is taken
            loader.prepared_here(task.state.step + count)
            started = clock.now()
            batch = loader.prepared_here(task.state.step + count)
            spent[way] += clock.now() - started
            if isinstance(batch, DrawnBatch) and len(kept) < BATCHES_AT_ONCE:
                kept.append(batch)
        count += 1
    return spent[False] / (count * patches), spent[True] / (count * patches), kept


def _seconds_on_device(task: Fold, prepared: Sequence[DrawnBatch]) -> float:
    """Mean seconds in which the device makes the images of a batch."""
    moved = [batch.to(task.learner.device) for batch in prepared]
    for batch in moved:
        # the kernels are loaded before time is taken
        batch.ready().image.sum().item()
    started = clock.now()
    for batch in moved:
        batch.ready().image.sum().item()
    return (clock.now() - started) / len(moved)
