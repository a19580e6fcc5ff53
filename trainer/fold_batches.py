"""The batches of a fold's training, from its cases and its seed."""

from __future__ import annotations

from autoseg.image.annotated_classes import missing_in_training
from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import InputLayout
from trainer.data.batch import Batch
from trainer.data.batches import BatchLoader
from trainer.data.case_store import annotated_in
from trainer.fold_state import Fold
from trainer.measure import random_batch


def batches_of(
    task: Fold, beside: int, *, workers: int, for_device: bool, patch_size: Shape | None = None
) -> BatchLoader:
    """The batches of a fold from its present step on, with its present settings.

    Args:
        task: fold that is trained.
        beside: number of trainings that share the memory of this machine, this one included.
        workers: number of processes that prepare batches; 0 = the calling process does.
        for_device: whether the device that trains augments the images.
        patch_size: shape (z, y, x) of the patches in voxels; None = that of the present step.
    """
    return BatchLoader(
        [task.case(case) for case in task.split.train],
        task.configuration.changed(training=task.training, patch_size=patch_size or task.patch_size),
        layout=InputLayout.of(task.plan, task.configuration),
        labels=task.plan.labels,
        seed=task.plan.seed,
        fold=task.index,
        first_step=task.state.step,
        workers=workers,
        for_device=for_device,
        pin_memory=task.learner.device.type == "cuda",
        beside=beside * task.ranks.count,
        places=task.ranks.places(task.configuration.batch_size),
    )


def noise_for(task: Fold, configuration: Configuration) -> Batch:
    """A batch of noise on the fold's device that costs as much as its batches do.

    Args:
        task: fold that is trained.
        configuration: the fold's configuration, with the batch size that is asked for.
    """
    partly = missing_in_training(task.plan.labels, [annotated_in(task.case(case)) for case in task.split.train])
    return random_batch(task.plan, configuration, partly_annotated=partly is not None).to(task.learner.device)
