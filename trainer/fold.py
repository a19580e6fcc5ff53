"""Train one fold, from the plan and the preprocessed cases to weights and predictions.

In: `plan.yaml`, `splits.json` and `preprocessed/CONFIG/`. Out: `models/CONFIG/fold_K/` and `cross_validation/CONFIG/`.
After an interruption the same command continues from the last checkpoint, on a CPU to the same bits. The clock decides
the length of the schedule and the number of threads during training. Each such decision is recorded as an event, and a
training that follows the same events has the same bits too.
"""

from __future__ import annotations

import math
import shutil
from typing import Literal

import torch

from autoseg.errors import OtherPace, OutOfMemory
from autoseg.files import locked
from autoseg.machine import clock
from autoseg.machine.device import resolve_device
from autoseg.machine.threads import computing_with
from autoseg.network.weights import save_weights
from autoseg.plan.network_input import InputLayout
from autoseg.plan.plan import read_plan
from autoseg.plan.time_shares import CASES_A_LOOK
from autoseg.run_folder.finished_fold import Finished, write_finished
from autoseg.run_folder.paths import RunFolder
from trainer import checkpoint, events
from trainer.checkpoint import LogRow, Repeated, Requested
from trainer.data.batches import Batch, BatchLoader
from trainer.fold_state import Fold
from trainer.open_fold import open_fold
from trainer.progress_bar import FoldBar
from trainer.progress_log import write_log
from trainer.schedule import learning_rate, threads_after
from trainer.stop import StopRequest, TrainingStopped
from trainer.validation import OnWindow, dice_at_plan_spacing, evaluation_network, pooled_dice, predict_validation_cases

SECONDS_BETWEEN_CHECKPOINTS = 180.0
SECONDS_BETWEEN_PICTURES = 10.0
EPOCHS_BEFORE_PACE = 2
"""After this many epochs a fold's pace is compared with the planned pace: in the first epoch the machine warms up."""

ANOTHER_MACHINE = 1.5
"""From this factor between the planned and the real pace, the plan counts as made for another machine."""

ANOTHER_AT_ONCE = 2.5
"""The same factor after only one epoch: at such a pace a second epoch may cost a large part of the time."""

FAR_ON = 1 / 3
"""A resumed fold that has used more than this share of its time is not begun anew for another pace."""

OVERRUN_WITHIN_AN_EPOCH = 1.05
"""Training ends even within an epoch when it has taken this many times its time limit."""


AtOtherPace = Literal["go on", "tell", "raise"]


def train_fold(
    run: RunFolder,
    configuration: str,
    fold: int,
    *,
    device: str = "auto",
    workers: int | None = None,
    threads: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    seconds_from_now: float | None = None,
    pace_before: float | None = None,
    follows: Finished | None = None,
    left_after: float = 0.0,
    at_other_pace: AtOtherPace = "go on",
) -> None:
    """Train one fold, or continue its training, then predict and evaluate its validation cases.

    Args:
        run: RUN folder that holds the plan, the splits and the preprocessed cases.
        configuration: name of the configuration that is trained.
        fold: index of the fold in `splits.json`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        workers: number of processes that draw and augment patches; None = chosen by the number of cores.
        threads: number of threads that compute on a CPU; None = as many as other programs leave cores for. Where
            `follows` is given, its number of threads is used.
        epochs: number of epochs instead of the plan's; the clock then no longer changes the schedule's length.
        seconds: time limit of training in seconds instead of the plan's; the schedule's length follows from it.
        seconds_from_now: seconds of training from now on, the fold's share of the whole run's time budget; they replace
            the plan's time limit. None = the plan's.
        pace_before: seconds per step of an earlier fold like this one, which set the first length of the schedule;
            None = the planned pace.
        follows: finished training of this fold that is repeated step by step; the clock then decides nothing.
        left_after: seconds that the whole run has left after this fold's training; shown in the progress bar.
        at_other_pace: what happens if the first epochs show that the plan was made for another machine: `go on`
            without a word, `tell` the user, or `raise` an error.

    Raises:
        RunFolderError: something that is read is missing, or another process trains this fold.
        OutOfMemory: the device's memory does not hold a step.
        TrainingStopped: Ctrl-C or SIGTERM came; a checkpoint and weights that can predict are written.
        OtherPace: the pace is far from the planned one and `at_other_pace` is `raise`; the fold can still be continued.
        TrainingCollapsed: training collapsed, and setting it back did not help.
    """
    if is_finished(run, configuration, fold):
        return
    where = resolve_device(device)
    repeated = None if follows is None else _repeated(run, configuration, follows)
    threads = threads if follows is None else follows.threads
    with (
        locked(run.fold(configuration, fold) / ".lock", f"training fold {fold}"),
        computing_with(threads if where.type == "cpu" else None) as computing,
    ):
        requested = Requested(epochs=epochs, seconds=seconds, follows=repeated)
        task = open_fold(run, configuration, fold, where, workers, requested, computing)
        _limit(task, seconds_from_now)
        if not checkpoint.generations(task.folder / "checkpoint"):
            _begin_with_pace(task, pace_before)
            # training is set back to this checkpoint if the loss is not finite in the first epoch
            _save(task)
        _follow(task)
        _take_threads(task)
        try:
            with StopRequest() as stop, FoldBar(task, left_after) as bar:
                while task.state.step < task.length:
                    _train(task, stop, bar, at_other_pace)
        except torch.OutOfMemoryError:
            raise OutOfMemory(task.learner.device) from None
        save_weights(run.weights(configuration, fold), task.learner.average)
        _finish(task)


def is_finished(run: RunFolder, configuration: str, fold: int) -> bool:
    """Whether the fold has been trained to its end and its validation cases are predicted."""
    return run.finished(configuration, fold).exists()


def _repeated(run: RunFolder, configuration: str, finished: Finished) -> Repeated:
    """The part of a finished training that is repeated; what files of earlier releases lack is taken from the plan."""
    planned = read_plan(run.plan).configuration(configuration).training
    return Repeated(
        iterations=finished.iterations or planned.iterations,
        iterations_per_epoch=finished.iterations_per_epoch or planned.iterations_per_epoch,
        events=finished.events,
    )


def _limit(task: Fold, seconds_from_now: float | None) -> None:
    """Set the time limit of the fold: its share of the run's time, also from an earlier start, else the plan's."""
    state = task.state
    if seconds_from_now is not None and "seconds" not in task.kept:
        state.limit = state.seconds + seconds_from_now
    task.limit = state.training.seconds if state.limit is None else state.limit


def _begin_with_pace(task: Fold, pace_before: float | None) -> None:
    """Set the first length of the schedule to what the fold's time affords, where a pace is known."""
    pace = pace_before or task.planned_pace
    if task.limit is not None and pace is not None and not task.length_is_fixed:
        known_by = "as planned" if pace_before is None else "as in the fold before"
        events.begin_with_pace(task.state, task.limit, pace, known_by, task.console)


def _train(task: Fold, stop: StopRequest, bar: FoldBar, at_other_pace: AtOtherPace) -> None:
    """Take steps until the schedule ends, training is set back, or the settings for drawing batches change."""
    state, training = task.state, task.training
    loader = BatchLoader(
        [task.case(case) for case in task.split.train],
        task.configuration.changed(training=training),
        layout=InputLayout.of(task.plan, task.configuration),
        seed=task.plan.seed,
        fold=task.index,
        first_step=state.step,
        workers=task.workers,
        pin_memory=task.learner.device.type == "cuda",
    )
    with loader:
        for batch in loader:
            if not _step(task, batch):
                return
            _end_if_time_is_over(task)
            if state.step % state.training.iterations_per_epoch == 0 or state.step == task.length:
                if not _end_epoch(task):
                    return
                _compare_pace(task, at_other_pace)
            elif clock.now() - task.saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                _save(task)
            _follow(task)
            _look_at_threads(task)
            bar.show()
            if stop.number is not None:
                _stop(task, stop.number)
            if state.step >= task.length or task.training != training:
                return


def _step(task: Fold, batch: Batch) -> bool:
    """Take one optimiser step; return False if the loss is not finite and training is set back."""
    state = task.state
    rate = learning_rate(state.step, state.training, state.events)
    loss, counts = task.learner.step(batch.image, batch.label, rate, state.step)
    if not math.isfinite(loss):
        _go_back(task, "the loss is not finite")
        return False
    state.step += 1
    state.loss_sum += loss
    state.counts = (counts + torch.tensor(state.counts) if state.counts else counts).tolist()
    return True


def _end_epoch(task: Fold) -> bool:
    """Validate, log, revise the length and save; return False if training collapsed and is set back."""
    state, training = task.state, task.state.training
    epoch = -(-state.step // training.iterations_per_epoch)
    steps = state.step - (epoch - 1) * training.iterations_per_epoch
    dice = pooled_dice(torch.tensor(state.counts).numpy())
    # an incomplete epoch may have no foreground at all, so it cannot show a collapse
    if steps == training.iterations_per_epoch and events.collapsed(state, dice):
        _go_back(task, "no foreground is predicted any more")
        return False
    if not task.learner.is_finite():
        _go_back(task, "the weights are not finite")
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
    if not task.length_is_fixed:
        events.revise_length(state, task.limit, task.console, task.expected_look(CASES_A_LOOK))
    _save(task)
    # drawing the picture takes as long as one or two steps of a small network
    drawn = state.step == task.length or clock.now() - task.drawn_at > SECONDS_BETWEEN_PICTURES
    write_log(task.folder, state.rows, drawn=drawn)
    task.drawn_at = clock.now() if drawn else task.drawn_at
    return True


def _end_if_time_is_over(task: Fold) -> None:
    """End training within an epoch if the machine is so slow that the time limit is exceeded before the epoch ends."""
    state = task.state
    if task.limit is None or task.length_is_fixed or state.step >= task.length:
        return
    # a resumed fold can be shortened at the end of its first epoch, so that the learning rate is still annealed
    if state.pace_from[0] > 0 and len(state.rows) == state.pace_since:
        return
    if task.seconds > task.limit * OVERRUN_WITHIN_AN_EPOCH:
        events.end_now(task.state, task.console)


def _compare_pace(task: Fold, at_other_pace: AtOtherPace) -> None:
    """Compare the real pace with the planned one after the first epochs.

    Where the length is fixed, the user is only told how long training takes.

    Raises:
        OtherPace: the pace is that of another machine, and the caller asked for an error in order to plan again.
    """
    state = task.state
    seen = len(state.rows) - state.pace_since
    if task.follows is not None:
        return
    if task.length_is_fixed:
        limit = task.planned.seconds if task.limit is None else task.limit
        # a short schedule may end after its first epoch
        if limit is not None and (seen == EPOCHS_BEFORE_PACE or (state.step >= task.length and seen == 1)):
            events.tell_what_it_takes(state, limit, task.console)
        return
    planned = task.planned_pace
    if seen not in (1, EPOCHS_BEFORE_PACE) or at_other_pace == "go on" or planned is None:
        return
    real, _ = events.pace_of(state)
    times = max(real / planned, planned / real)
    if times < (ANOTHER_MACHINE if seen == EPOCHS_BEFORE_PACE else ANOTHER_AT_ONCE):
        return
    # the plan is kept if much of a resumed fold would be lost, or if other programs explain the slow pace
    goes_on = state.pace_from[0] > 0 and task.limit is not None and state.seconds > FAR_ON * task.limit
    if goes_on or (real > planned and task.threads.leaves_cores):
        return
    found = OtherPace(planned, real)
    if at_other_pace == "raise":
        raise found
    task.console.print(
        f"{found}: the plan was made for another machine, or in a busy moment. The length of the schedule follows; "
        "planning again (autoseg run, or plan-and-preprocess --replan, in a new RUN folder where folds are trained) "
        f"would find a {'richer' if real < planned else 'poorer'} network for this one.",
        style="yellow",
    )


def _follow(task: Fold) -> None:
    """Apply the events that the repeated training had at this step."""
    state = task.state
    for event in task.follows or ():
        if event.kind != "restored" and event.step == state.step and event not in state.events:
            state.events = (*state.events, event)
            _take_threads(task)


def _look_at_threads(task: Fold) -> None:
    """Adapt the number of threads to the cores that other programs leave, or to the training that is repeated."""
    if task.learner.device.type != "cpu" or task.state.step >= task.length:
        return
    if task.follows is None:
        task.threads.look()
    _take_threads(task)


def _take_threads(task: Fold) -> None:
    """Set torch's number of threads; a changed number becomes an event, saved before the first step with it."""
    if task.learner.device.type != "cpu":
        return
    state, threads = task.state, task.threads
    now = threads_after(state.threads, state.events)
    if task.follows is None and threads.count != now:
        task.count_time()
        events.change_threads(state, threads.count, threads.why, task.console)
        _save(task)
        now = threads.count
    if torch.get_num_threads() != now:
        torch.set_num_threads(now)


def _go_back(task: Fold, why: str) -> None:
    events.go_back(task.folder, task.learner, task.state, task.console, why)
    _take_threads(task)


def _look_at_whole_cases(task: Fold) -> float:
    module = evaluation_network(task.plan, task.configuration, task.learner.average, task.learner.device)
    folders = [task.case(case) for case in task.split.val[:CASES_A_LOOK]]
    return dice_at_plan_spacing(module, folders, task.plan, task.configuration, task.learner.device, _on_window(task))


def _on_window(task: Fold) -> OnWindow | None:
    """Function called after each window of a whole case: on a CPU it adapts the number of threads, else None."""
    return task.threads.follow if task.learner.device.type == "cpu" and task.follows is None else None


def _save(task: Fold) -> None:
    task.count_time()
    checkpoint.save(task.folder / "checkpoint", task.state, task.learner)
    task.saved_at = clock.now()


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
    started = clock.now()
    module = evaluation_network(task.plan, task.configuration, task.learner.average, task.learner.device)
    dice = predict_validation_cases(
        task.run, task.plan, task.name, task.split.val, module, task.learner.device, _on_window(task)
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
        events=state.events,
        train=task.split.train,
        dice=dice,
        classes=task.plan.labels.foreground,
    )
    write_finished(task.run, task.name, task.index, summary)
    shutil.rmtree(task.folder / "checkpoint", ignore_errors=True)
