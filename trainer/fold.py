"""Training of one fold, from the plan and the preprocessed cases to weights and predictions.

Reads `plan.yaml`, `splits.json` and `preprocessed/CONFIG/`; writes `models/CONFIG/fold_K/` and
`cross_validation/CONFIG/`. Whatever interrupts it, the same command goes on from the last checkpoint,
on a CPU to the same bits.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from autoseg.device import resolve_device
from autoseg.errors import RunFolderError
from autoseg.network.weights import save_weights
from autoseg.plan import Configuration, Plan, Training, read_plan
from autoseg.run_folder import RunFolder, locked, write_text
from autoseg.splits import Split, read_splits
from trainer import checkpoint, events
from trainer.batches import Batch, BatchLoader
from trainer.checkpoint import LogRow, Requested, State
from trainer.finished import Finished
from trainer.learner import Learner
from trainer.measure import measure_step
from trainer.progress_log import write_log
from trainer.schedule import iterations_after, learning_rate
from trainer.stop import StopRequest, TrainingStopped
from trainer.whole_cases import (
    dice_at_plan_spacing,
    evaluation_network,
    pooled_dice,
    predict_validation_cases,
)

SECONDS_BETWEEN_CHECKPOINTS = 180.0
CASES_LOOKED_AT_BETWEEN = 4


@dataclass
class Fold:
    """Everything that training a fold needs at hand.

    Args:
        run: the RUN folder.
        plan: its plan.
        name: of the configuration.
        index: of the fold.
        split: its cases.
        learner: network and optimiser.
        state: the rest of the training state.
        workers: processes that draw and augment patches.
        console: for messages.
        limit: seconds, of `state.seconds`, at which training must end even if its plan gave it more.
        saved_at: clock of the last checkpoint.
        clock: up to when `state.seconds` counts.
    """

    run: RunFolder
    plan: Plan
    name: str
    index: int
    split: Split
    learner: Learner
    state: State
    workers: int
    console: Console
    limit: float | None
    saved_at: float
    clock: float

    def count_time(self) -> None:
        """Bring `state.seconds` up to now."""
        now = time.monotonic()
        self.state.seconds, self.clock = self.state.seconds + now - self.clock, now

    @property
    def folder(self) -> Path:
        """Where the fold's model lies."""
        return self.run.fold(self.name, self.index)

    @property
    def configuration(self) -> Configuration:
        """The configuration that is trained."""
        return self.plan.configuration(self.name)

    @property
    def length(self) -> int:
        """Steps of the schedule, as it now stands."""
        return iterations_after(self.state.training, self.state.events)


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
        TrainingStopped: Ctrl-C or SIGTERM; a checkpoint and weights that predict are written.
    """
    if is_finished(run, configuration, fold):
        return
    with locked(run.fold(configuration, fold) / ".lock", f"training fold {fold}"):
        requested = Requested(epochs=epochs, seconds=seconds)
        task = _open(run, configuration, fold, resolve_device(device), workers, requested)
        limits = [task.state.training.seconds, None if at_most is None else task.state.seconds + at_most]
        task.limit = min((limit for limit in limits if limit is not None), default=None)
        with StopRequest() as stop:
            while task.state.step < task.length:
                _train(task, stop)
        save_weights(run.weights(configuration, fold), task.learner.average)
        _finish(task)


def is_finished(run: RunFolder, configuration: str, fold: int) -> bool:
    """Whether the fold has been trained to its end and its validation cases are predicted."""
    return run.finished(configuration, fold).exists()


def _open(
    run: RunFolder, name: str, index: int, device: torch.device, workers: int | None, requested: Requested
) -> Fold:
    plan = read_plan(run.plan)
    configuration = plan.configuration(name)
    splits = read_splits(run.splits)
    if not 0 <= index < len(splits):
        raise RunFolderError(f"{run.splits}: has folds 0 to {len(splits) - 1}, not {index}")
    for case in (*splits[index].train, *splits[index].val):
        run.require(run.case(name, case), f"autoseg plan-and-preprocess DATASET -o {run.path} --config {name}")
    console = Console(stderr=True)
    folder = run.fold(name, index)
    plan_hash = _hash(plan, configuration)
    found = checkpoint.load(folder / "checkpoint")
    if found is None:
        training = _requested_training(plan, configuration, requested, device)
        state = State(
            step=0,
            training=training,
            requested=requested,
            seconds=0.0,
            threads=torch.get_num_threads(),
            torch_version=torch.__version__,
            plan_sha256=plan_hash,
        )
    else:
        state = found[0]
        _check_same(folder, state, plan_hash, requested, console)
        torch.set_num_threads(state.threads)
    learner = Learner(plan, configuration, state.training, device, seed=plan.seed + index)
    if found is not None:
        checkpoint.restore(found[1], learner.module, learner.average, learner.optimizer)
        console.print(
            f"Fold {index}: going on at step {state.step} of {iterations_after(state.training, state.events)}"
        )
    count = default_workers(device) if workers is None else workers
    return Fold(
        run, plan, name, index, splits[index], learner, state, count, console, None, time.monotonic(), time.monotonic()
    )


def default_workers(device: torch.device) -> int:
    """Augmentation processes: many beside a GPU; beside a network that fills the cores itself one or none.

    A process of its own on a core that the network's threads share slows every step by more than
    preparing a batch takes (benchmarks/augmentation.py).
    """
    cores = torch.get_num_threads()
    if device.type == "cuda":
        return max(1, min(12, cores - 1))
    return 1 if cores >= 4 else 0


def _requested_training(
    plan: Plan, configuration: Configuration, requested: Requested, device: torch.device
) -> Training:
    training = configuration.training
    if requested.epochs is not None:
        iterations = requested.epochs * training.iterations_per_epoch
        return training.model_copy(update={"iterations": iterations, "seconds": requested.seconds})
    if requested.seconds is not None:
        cost = measure_step(plan, configuration, device.type)
        iterations = max(1, int(0.9 * requested.seconds / cost.seconds))
        return training.model_copy(update={"iterations": iterations, "seconds": requested.seconds})
    return training


def _hash(plan: Plan, configuration: Configuration) -> str:
    decided = configuration.model_dump_json() + plan.labels.model_dump_json() + str(plan.seed)
    return hashlib.sha256(decided.encode()).hexdigest()


def _check_same(folder: Path, state: State, plan_hash: str, requested: Requested, console: Console) -> None:
    if state.plan_sha256 != plan_hash:
        raise RunFolderError(
            f"{folder}: plan.yaml was changed since this fold was begun; undo the change, or delete this folder "
            "to train it anew"
        )
    if requested != Requested() and requested != state.requested:
        raise RunFolderError(
            f"{folder}: was begun with other --epochs or --time-budget; give the same, or delete this folder"
        )
    if state.torch_version != torch.__version__:
        console.print(f"Begun with torch {state.torch_version}, going on with {torch.__version__}: bits may differ")


def _train(task: Fold, stop: StopRequest) -> None:
    """Steps until the schedule ends, or until training is set back to an earlier state."""
    state = task.state
    folders = [task.run.case(task.name, case) for case in task.split.train]
    loader = BatchLoader(
        folders,
        task.configuration,
        seed=task.plan.seed,
        fold=task.index,
        first_step=state.step,
        last_step=task.length,
        workers=task.workers,
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
            if stop.requested:
                _stop(task)
            if state.step >= task.length:
                return


def _step(task: Fold, batch: Batch) -> bool:
    """One optimiser step; False where the loss is not finite and training was set back."""
    state = task.state
    rate = learning_rate(state.step, state.training, state.events)
    loss, counts = task.learner.step(batch.image, batch.label, rate, state.step)
    if loss != loss or abs(loss) == float("inf"):
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
    folders = [task.run.case(task.name, case) for case in task.split.val[:CASES_LOOKED_AT_BETWEEN]]
    return dice_at_plan_spacing(module, folders, task.configuration, task.plan.labels.classes, task.learner.device)


def _save(task: Fold) -> None:
    learner = task.learner
    task.count_time()
    checkpoint.save(task.folder / "checkpoint", task.state, learner.module, learner.average, learner.optimizer)
    task.saved_at = time.monotonic()


def _stop(task: Fold) -> None:
    _save(task)
    save_weights(task.run.weights(task.name, task.index), task.learner.average)
    raise TrainingStopped(
        f"Stopped at step {task.state.step} of {task.length}, saved in {task.folder}. The same command goes on; "
        "the weights so far predict."
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
        events=state.events,
        dice=dice,
        classes=task.plan.labels.foreground,
    )
    write_text(task.run.finished(task.name, task.index), summary.model_dump_json(indent=1))
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
