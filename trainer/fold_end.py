"""The end of a fold: stopped by the user, or finished with predictions of its validation cases and a summary."""

from __future__ import annotations

import torch

from autoseg.files import discard
from autoseg.machine import clock
from autoseg.network.weights import save_weights
from autoseg.run_folder.finished_fold import Finished, write_finished
from trainer import checkpoint
from trainer.fold_state import Fold
from trainer.fold_threads import on_window
from trainer.stop_request import TrainingStopped
from trainer.validation import evaluation_network, predict_validation_cases


def stop_fold(task: Fold, number: int) -> None:
    """Save a checkpoint and weights that can predict, and end the training.

    Args:
        task: fold that is trained.
        number: number of the signal that asked for the stop.

    Raises:
        TrainingStopped: always.
    """
    task.writer.wait()
    if task.ranks.leads:
        if not checkpoint.is_saved(task.folder / "checkpoint", task.state.step):
            task.save()
        save_weights(task.run.weights(task.name, task.index), task.learner.average)
    raise TrainingStopped(
        f"Stopped at step {task.state.step} of {task.length}, saved in {task.folder}. The same command goes on; "
        "the weights so far predict.",
        number,
    )


def finish_fold(task: Fold) -> None:
    """Predict the validation cases, write the fold's summary, and drop the training state."""
    started = clock.now()
    module = evaluation_network(task.plan, task.configuration, task.learner.average, task.learner.device)
    dice = predict_validation_cases(
        task.run, task.plan, task.name, task.split.val, module, task.learner.device, on_window(task)
    )
    state = task.state
    summary = Finished(
        fold=task.index,
        steps=state.step,
        iterations=state.training.iterations,
        iterations_per_epoch=state.training.iterations_per_epoch,
        seconds_training=state.seconds,
        seconds_validation=clock.now() - started,
        device=str(task.learner.device),
        threads=state.threads,
        torch_version=torch.__version__,
        precision=state.precision,
        compiled=bool(state.compiled),
        augment_on=state.augment_on or "workers",
        events=state.events,
        train=task.split.train,
        dice=dice,
        classes=task.plan.labels.foreground,
    )
    write_finished(task.run, task.name, task.index, summary)
    discard(task.folder / "checkpoint")
