"""Train one fold, from the plan and the preprocessed cases to weights and predictions.

In: `plan.yaml`, `splits.json` and `preprocessed/CONFIG/`. Out: `models/CONFIG/fold_K/` and `cross_validation/CONFIG/`.
After an interruption the same command continues from the last checkpoint, on a CPU to the same bits. The clock decides
the length of the schedule and the number of threads during training. Each such decision is recorded as an event, and a
training that follows the same events has the same bits too.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch

from autoseg.errors import OutOfMemory
from autoseg.machine import clock
from autoseg.machine.device import computing_on, missing_layers_named, resolve_device
from autoseg.machine.device_memory import described
from autoseg.machine.threads import computing_with
from autoseg.memory import lacks_memory, said_of_memory
from autoseg.network.weights import save_weights
from autoseg.plan.plan import read_plan
from autoseg.plan.time_shares import CASES_A_VALIDATION
from autoseg.run_folder.finished_fold import Finished
from autoseg.run_folder.lock import locked
from autoseg.run_folder.paths import RunFolder
from trainer import checkpoint, events
from trainer.augment_on import choose_augmentation
from trainer.checkpoint import LogRow, Repeated, Requested
from trainer.compiled import compile_where_it_pays, use_compiled
from trainer.data.batch import Batch, on_device
from trainer.fold_batches import batches_of, noise_for
from trainer.fold_end import finish_fold, stop_fold
from trainer.fold_state import Fold
from trainer.fold_threads import adapt_threads, on_window, repeat_events, take_threads
from trainer.open_fold import open_fold
from trainer.pace import AtOtherPace, begin_with_known_pace, compare_pace, end_if_time_is_over, set_limit
from trainer.progress_bar import FoldBar, Tell
from trainer.progress_log import write_log
from trainer.ranks import joined
from trainer.schedule import gradient_clip, learning_rate
from trainer.stop_request import StopRequest
from trainer.validation import dice_at_plan_spacing, evaluation_network, pooled_dice

SECONDS_BETWEEN_PICTURES = 10.0
STEPS_BETWEEN_FETCHES = 10
"""A GPU takes this many steps before the CPU waits for their losses; on a CPU there is nothing to wait for."""


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
    beside: int = 1,
    tell: Tell | None = None,
    stop: StopRequest | None = None,
) -> None:
    """Train one fold, or continue its training, then predict and evaluate its validation cases.

    Args:
        run: RUN folder that holds the plan, the splits and the preprocessed cases.
        configuration: name of the configuration that is trained.
        fold: index of the fold in `splits.json`.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
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
        beside: number of trainings that share the memory of this machine, this one included.
        tell: function that is told the progress instead of a progress bar; None = a bar is shown.
        stop: request to stop, which may have come before training begins; None = a new one.

    Raises:
        RunFolderError: something that is read is missing, or another process trains this fold.
        OutOfMemory: the device's memory does not hold a step.
        TrainingStopped: Ctrl-C or SIGTERM came; a checkpoint and weights that can predict are written.
        OtherPace: the pace is far from the planned one and `at_other_pace` is `raise`; the fold can still be continued.
        TrainingCollapsed: training collapsed, and setting it back did not help.
    """
    if run.is_finished(configuration, fold):
        return
    repeated = None if follows is None else _repeated(run, configuration, follows)
    threads = threads if follows is None else follows.threads
    requested = Requested(epochs=epochs, seconds=seconds, follows=repeated)
    with (
        joined(resolve_device(device)) as (ranks, where),
        locked(run.fold(configuration, fold), f"training fold {fold}") if ranks.leads else nullcontext(),
        computing_on(where),
        computing_with(threads if where.type == "cpu" else None) as computing,
    ):
        task = open_fold(run, configuration, fold, where, workers, requested, computing, ranks)
        try:
            _begin(task, seconds_from_now, pace_before, beside)
            with stop or StopRequest() as asked, FoldBar(task, left_after, tell) as bar:
                while task.state.step < task.length:
                    _train(task, asked, bar, at_other_pace, beside)
                bar.tell_validation()
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            raise OutOfMemory(described(task.learner.device), said=said_of_memory(error)) from None
        finally:
            task.writer.close()
        if ranks.leads:
            save_weights(run.weights(configuration, fold), task.learner.average)
            finish_fold(task)


def _begin(task: Fold, seconds_from_now: float | None, pace_before: float | None, beside: int) -> None:
    """Prepare the steps of a fold that begins or goes on; see `train_fold` for the arguments."""
    set_limit(task, seconds_from_now)
    _choose_form(task)
    choose_augmentation(task, beside)
    begins = not checkpoint.generations(task.folder / "checkpoint")
    # the leading process writes the first checkpoint after all have looked for one
    task.ranks.wait()
    if begins:
        begin_with_known_pace(task, pace_before)
        # training is set back to this state if the loss is not finite in the first epoch
        task.end_epoch(at_once=True)
    if task.state.rows and task.ranks.leads:
        # the fold may have been killed between a checkpoint and the log; after the last one no other log follows
        write_log(task.folder, task.state.rows, drawn=True)
    repeat_events(task)
    take_threads(task)
    task.follow_the_leader(None)


def _choose_form(task: Fold) -> None:
    """Pass a random batch through the network before training on a GPU, and compile the network where that pays.

    A fold keeps the form that it began with where it can. The clock decides nothing where the length is fixed.

    Raises:
        InputError: torch lacks a layer of the network on the device.
    """
    state, learner = task.state, task.learner
    if learner.device.type == "cpu" or task.ranks.count > 1:
        return
    batch = noise_for(task, task.configuration)
    with missing_layers_named(learner.device):
        learner.pass_through(batch)
    if learner.device.type != "cuda":
        return
    if state.compiled:
        state.compiled = use_compiled(learner, batch, task.console)
    elif state.compiled is None and state.step == 0 and not task.length_is_fixed:
        state.compiled = compile_where_it_pays(learner, batch, task.length, task.console)


def _repeated(run: RunFolder, configuration: str, finished: Finished) -> Repeated:
    """The part of a finished training that is repeated; what files of earlier releases lack is taken from the plan."""
    planned = read_plan(run.plan).configuration(configuration).training
    return Repeated(
        iterations=finished.iterations or planned.iterations,
        iterations_per_epoch=finished.iterations_per_epoch or planned.iterations_per_epoch,
        events=finished.events,
        augment_on=finished.augment_on,
    )


def _train(task: Fold, stop: StopRequest, bar: FoldBar, at_other_pace: AtOtherPace, beside: int) -> None:
    """Take steps until the schedule ends, training is set back, or the settings for drawing batches change."""
    state, training, patch_size = task.state, task.training, task.patch_size
    with batches_of(task, beside, workers=task.workers, for_device=state.augment_on == "device") as loader:
        for batch in on_device(loader, task.learner.device):
            _step(task, batch)
            stops = None
            # what the clock and signals decide is looked at when losses are fetched, by all processes at the same step
            if _ends_an_epoch(task) or len(task.pending) >= _fetched_at(task):
                end_if_time_is_over(task)
                stops = task.follow_the_leader(stop.number)
                if not task.fetch():
                    _go_back(task, "the loss is not finite")
                    return
                bar.show()
            epoch_ends, saves = _ends_an_epoch(task), task.writer.is_due and not task.pending
            if epoch_ends:
                if not _end_epoch(task):
                    return
                compare_pace(task, at_other_pace)
            elif saves:
                task.save(at_once=False)
            repeat_events(task)
            adapt_threads(task)
            if task.ranks.count == 1 and not task.pending:
                # a stop may have come while the epoch was ended
                stops = stop.number
            if stops is not None:
                stop_fold(task, stops)
            if state.step >= task.length or (task.training, task.patch_size) != (training, patch_size):
                return


def _ends_an_epoch(task: Fold) -> bool:
    return task.state.step % task.state.training.iterations_per_epoch == 0 or task.state.step == task.length


def _fetched_at(task: Fold) -> int:
    return 1 if task.learner.device.type == "cpu" else STEPS_BETWEEN_FETCHES


def _step(task: Fold, batch: Batch) -> None:
    """Take one optimiser step, whose loss and counts are fetched later."""
    state = task.state
    rate = learning_rate(state.step, state.training, state.events)
    task.learner.clip = gradient_clip(state.training, state.events)
    task.pending.append(task.learner.step(batch, rate, state.step))
    state.step += 1


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
    val_dice = _validate_on_whole_cases(task) if due and task.ranks.leads else None
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
    before = state.events
    if not task.length_is_fixed and task.ranks.leads:
        expected = task.expected_validation(CASES_A_VALIDATION)
        events.revise_length(state, task.limit, task.console, expected, task.growth)
    task.follow_the_leader(None)
    # a length that the clock decided must not be decided otherwise when the fold is resumed
    task.end_epoch(at_once=state.events != before or state.step == task.length)
    # drawing the picture takes as long as one or two steps of a small network
    drawn = state.step == task.length or clock.now() - task.drawn_at > SECONDS_BETWEEN_PICTURES
    if task.ranks.leads:
        write_log(task.folder, state.rows, drawn=drawn)
    task.drawn_at = clock.now() if drawn else task.drawn_at
    return True


def _go_back(task: Fold, why: str) -> None:
    task.pending.clear()
    events.go_back(task.writer, task.learner, task.state, task.console, why)
    take_threads(task)


def _validate_on_whole_cases(task: Fold) -> float:
    module = evaluation_network(task.plan, task.configuration, task.learner.average, task.learner.device)
    folders = [task.case(case) for case in task.split.val[:CASES_A_VALIDATION]]
    return dice_at_plan_spacing(module, folders, task.plan, task.configuration, task.learner.device, on_window(task))
