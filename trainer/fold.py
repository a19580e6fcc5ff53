"""Training of one fold, from the plan and the preprocessed cases to weights and predictions.

Reads `plan.yaml`, `splits.json` and `preprocessed/CONFIG/`; writes `models/CONFIG/fold_K/` and
`cross_validation/CONFIG/`. Whatever interrupts it, the same command goes on from the last checkpoint,
on a CPU to the same bits.
"""

from __future__ import annotations

import math
import shutil
import time

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from autoseg.device import resolve_device
from autoseg.errors import OutOfMemory
from autoseg.finished import Finished, write_finished
from autoseg.network.weights import save_weights
from autoseg.network_input import InputLayout
from autoseg.run_folder import RunFolder, locked
from trainer import checkpoint, events
from trainer.batches import Batch, BatchLoader
from trainer.checkpoint import LogRow, Requested, State
from trainer.opening import Fold, open_fold
from trainer.progress_log import write_log
from trainer.schedule import learning_rate
from trainer.stop import StopRequest, TrainingStopped
from trainer.whole_cases import (
    dice_at_plan_spacing,
    evaluation_network,
    pooled_dice,
    predict_validation_cases,
)

SECONDS_BETWEEN_CHECKPOINTS = 180.0
CASES_LOOKED_AT_BETWEEN = 4


def train_fold(
    run: RunFolder,
    configuration: str,
    fold: int,
    *,
    device: str = "auto",
    workers: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    at_most: float | None = None,
) -> None:
    """Train one fold, or go on with it, then predict and evaluate its validation cases.

    Args:
        run: folder with plan, splits and preprocessed cases.
        configuration: name of the configuration.
        fold: index into `splits.json`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        workers: processes that draw and augment patches; None chooses by the cores.
        epochs: length of the schedule instead of the plan's.
        seconds: time for the training instead of the plan's; the schedule's length follows.
        at_most: time from now that training may take at most, such as what is left of the budget of
            the whole run; the schedule shortens only where it would take more.

    Raises:
        RunFolderError: something it reads is missing, or another process trains this fold.
        OutOfMemory: the device's memory does not hold a step.
        TrainingStopped: Ctrl-C or SIGTERM; a checkpoint and weights that predict are written.
    """
    if is_finished(run, configuration, fold):
        return
    with locked(run.fold(configuration, fold) / ".lock", f"training fold {fold}"):
        requested = Requested(epochs=epochs, seconds=seconds)
        task = open_fold(run, configuration, fold, resolve_device(device), workers, requested)
        limits = [task.state.training.seconds, None if at_most is None else task.state.seconds + at_most]
        task.limit = min((limit for limit in limits if limit is not None), default=None)
        if not checkpoint.generations(task.folder / "checkpoint"):
            # a loss that is not finite in the first epoch goes back to this
            _save(task)
        try:
            with StopRequest() as stop:
                while task.state.step < task.length:
                    _train(task, stop)
        except torch.OutOfMemoryError:
            raise OutOfMemory(task.learner.device) from None
        save_weights(run.weights(configuration, fold), task.learner.average)
        _finish(task)


def is_finished(run: RunFolder, configuration: str, fold: int) -> bool:
    """Whether the fold has been trained to its end and its validation cases are predicted."""
    return run.finished(configuration, fold).exists()


def _train(task: Fold, stop: StopRequest) -> None:
    """Steps until the schedule ends, or until training is set back to an earlier state."""
    state = task.state
    loader = BatchLoader(
        [task.case(case) for case in task.split.train],
        task.configuration,
        layout=InputLayout.of(task.plan, task.configuration),
        seed=task.plan.seed,
        fold=task.index,
        first_step=state.step,
        last_step=task.length,
        workers=task.workers,
        pin_memory=task.learner.device.type == "cuda",
    )
    with loader, _bar(task.console) as bar:
        line = bar.add_task(f"Fold {task.index}", total=task.length, completed=state.step, loss="", dice="")
        for batch in loader:
            if not _step(task, batch):
                return
            if state.step % state.training.iterations_per_epoch == 0 or state.step == task.length:
                if not _end_epoch(task):
                    return
                bar.update(line, total=task.length)
            elif time.monotonic() - task.saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                _save(task)
            _show(bar, line, state)
            if stop.number is not None:
                _stop(task, stop.number)
            if state.step >= task.length:
                return


def _step(task: Fold, batch: Batch) -> bool:
    """One optimiser step; False where the loss is not finite and training was set back."""
    state = task.state
    rate = learning_rate(state.step, state.training, state.events)
    loss, counts = task.learner.step(batch.image, batch.label, rate, state.step)
    if not math.isfinite(loss):
        events.go_back(task.folder, task.learner, state, task.console, "the loss is not finite")
        return False
    state.step += 1
    state.loss_sum += loss
    state.counts = (counts + torch.tensor(state.counts) if state.counts else counts).tolist()
    return True


def _end_epoch(task: Fold) -> bool:
    """Log, look at whole cases, shorten if late, save; False where training collapsed and was set back."""
    state, training = task.state, task.state.training
    epoch = -(-state.step // training.iterations_per_epoch)
    steps = state.step - (epoch - 1) * training.iterations_per_epoch
    dice = pooled_dice(torch.tensor(state.counts).numpy())
    if events.collapsed(state, dice):
        events.go_back(task.folder, task.learner, state, task.console, "no foreground is predicted any more")
        return False
    if not task.learner.is_finite():
        events.go_back(task.folder, task.learner, state, task.console, "the weights are not finite")
        return False
    due = training.validate_every and epoch % training.validate_every == 0 and state.step < task.length
    val_dice = _look_at_whole_cases(task) if due else None
    task.count_time()
    row = LogRow(
        epoch=epoch,
        step=state.step,
        learning_rate=learning_rate(state.step - 1, training, state.events),
        loss=state.loss_sum / steps,
        train_dice=dice,
        val_dice=val_dice,
        seconds=state.seconds,
    )
    state.rows = [*state.rows, row]
    state.loss_sum, state.counts = 0.0, None
    events.shorten_if_late(state, task.limit, task.console)
    _save(task)
    write_log(task.folder, state.rows)
    return True


def _look_at_whole_cases(task: Fold) -> float:
    module = evaluation_network(task.plan, task.configuration, task.learner.average, task.learner.device)
    folders = [task.case(case) for case in task.split.val[:CASES_LOOKED_AT_BETWEEN]]
    return dice_at_plan_spacing(module, folders, task.plan, task.configuration, task.learner.device)


def _save(task: Fold) -> None:
    task.count_time()
    checkpoint.save(task.folder / "checkpoint", task.state, task.learner)
    task.saved_at = time.monotonic()


def _stop(task: Fold, number: int) -> None:
    if not checkpoint.is_saved(task.folder / "checkpoint", task.state.step):
        _save(task)
    save_weights(task.run.weights(task.name, task.index), task.learner.average)
    raise TrainingStopped(
        f"Stopped at step {task.state.step} of {task.length}, saved in {task.folder}. The same command goes on; "
        "the weights so far predict.",
        number,
    )


def _finish(task: Fold) -> None:
    """Predict the validation cases, write the fold's summary, and drop the training state."""
    started = time.monotonic()
    module = evaluation_network(task.plan, task.configuration, task.learner.average, task.learner.device)
    dice = predict_validation_cases(task.run, task.plan, task.name, task.split.val, module, task.learner.device)
    state = task.state
    summary = Finished(
        fold=task.index,
        steps=state.step,
        seconds_training=state.seconds,
        seconds_validation=time.monotonic() - started,
        device=str(task.learner.device),
        threads=state.threads,
        torch_version=torch.__version__,
        precision=state.precision,
        events=state.events,
        train=task.split.train,
        dice=dice,
        classes=task.plan.labels.foreground,
    )
    write_finished(task.run, task.name, task.index, summary)
    shutil.rmtree(task.folder / "checkpoint", ignore_errors=True)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("step {task.completed}/{task.total}  loss {task.fields[loss]}  Dice {task.fields[dice]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _show(bar: Progress, line: TaskID, state: State) -> None:
    steps = (state.step - 1) % state.training.iterations_per_epoch + 1
    if state.counts is not None:
        dice = pooled_dice(torch.tensor(state.counts).numpy())
        bar.update(line, completed=state.step, loss=f"{state.loss_sum / steps:.3f}", dice=f"{dice:.3f}")
    else:
        bar.update(line, completed=state.step)
