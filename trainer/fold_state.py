"""What the training of a fold needs at hand: from its checkpoint, or, where there is none, anew."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from autoseg.errors import OutOfMemory, RunFolderError
from autoseg.machine import clock
from autoseg.machine.cores import available_cores
from autoseg.machine.device import precision
from autoseg.machine.threads import Threads
from autoseg.plan.configuration import Configuration, Training
from autoseg.plan.plan import Plan, read_plan
from autoseg.run_folder.finished_fold import Event
from autoseg.run_folder.fold_cases import splits_of
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_fields, edited_in
from autoseg.run_folder.selection import set_selection_aside
from autoseg.run_folder.splits import Split, read_splits
from autoseg.run_folder.trained_by import refuse_other_plan_than_trained, write_trained_by
from autoseg.terminal import open_console
from trainer import checkpoint
from trainer.checkpoint import Requested, State
from trainer.learner import Learner
from trainer.measure import measure_step
from trainer.schedule import iterations_after, of_length, threads_after

EPOCHS_IN_A_GIVEN_TIME = 20
"""Of a fold that is given seconds: between epochs it can be shortened where it is late."""


@dataclass
class Fold:
    """Everything that training a fold needs at hand.

    Args:
        run: the RUN folder.
        plan: its plan.
        name: of the configuration.
        index: of the fold.
        split: its cases, those that have a sequence that the network sees.
        learner: network and optimiser.
        state: the rest of the training state.
        workers: processes that draw and augment patches.
        console: for messages.
        threads: that compute on a CPU.
        kept: names of fields of the plan's training that a person wrote, which nothing overrides.
        planned: the training settings of which a schedule of another length is made.
        limit: seconds, of `state.seconds`, at which training ends; None = as long as it takes.
        saved_at: clock of the last checkpoint.
        drawn_at: clock of the last picture of its progress.
        counted_to: up to when `state.seconds` counts.
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
    threads: Threads
    kept: frozenset[str]
    planned: Training
    limit: float | None
    saved_at: float
    drawn_at: float
    counted_to: float

    def count_time(self) -> None:
        """Bring `state.seconds` up to now."""
        now = clock.now()
        self.state.seconds, self.counted_to = self.state.seconds + now - self.counted_to, now

    @property
    def seconds(self) -> float:
        """Of training, up to now."""
        return self.state.seconds + clock.now() - self.counted_to

    def expected_look(self, cases: int) -> float:
        """Seconds that predicting so many of the validation cases takes by the plan; 0 where it does not say."""
        whole = self.planned.validation_seconds or 0.0
        return whole * min(1.0, cases / max(1, len(self.split.val)))

    @property
    def follows(self) -> tuple[Event, ...] | None:
        """Events of another training that this one repeats; None where it follows the clock."""
        repeated = self.state.requested.follows
        return None if repeated is None else repeated.events

    @property
    def length_is_fixed(self) -> bool:
        """Whether a person said how many steps it takes, or which training it repeats."""
        asked = self.state.requested.epochs is not None or self.follows is not None
        return asked or ("iterations" in self.kept and self.state.requested.seconds is None)

    @property
    def planned_pace(self) -> float | None:
        """Seconds a step for which autoseg planned; None where a person decided, or nothing was planned for a time."""
        of_a_person = {"seconds", "iterations"} & self.kept or self.state.requested != Requested()
        # a single step is the least of any plan, and tells of no pace
        if of_a_person or self.planned.seconds is None or self.planned.iterations == 1:
            return None
        return self.planned.seconds / self.planned.iterations

    @property
    def training(self) -> Training:
        """The settings as the schedule's present length asks for."""
        return of_length(self.planned, self.length, self.kept)

    def case(self, case: str) -> Path:
        """Where a preprocessed case lies."""
        return self.run.case(self.plan.preprocessed_as(self.name), case)

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


def open_fold(
    run: RunFolder,
    name: str,
    index: int,
    device: torch.device,
    workers: int | None,
    requested: Requested,
    threads: Threads,
) -> Fold:
    """A fold that can be trained: as its last checkpoint left it, or from the start.

    Args:
        run: folder with plan, splits and preprocessed cases.
        name: of the configuration.
        index: of the fold.
        device: where it is trained.
        workers: processes that draw and augment patches; None chooses by the cores.
        requested: length of the schedule, instead of the plan's.
        threads: that compute on a CPU; begins with those of the checkpoint.

    Raises:
        RunFolderError: something it reads is missing, this fold was begun with another plan, split or
            length, or another one of the configuration with another spacing, network or normalisation.
    """
    plan = read_plan(run.plan)
    configuration = plan.configuration(name)
    splits = read_splits(run.splits)
    if not 0 <= index < len(splits):
        raise RunFolderError(f"{run.splits}: has folds 0 to {len(splits) - 1}, not {index}")
    source = plan.preprocessed_as(name)
    for case in (*splits[index].train, *splits[index].val):
        run.require(run.case(source, case), f"autoseg plan-and-preprocess DATASET -o {run.path} --config {source}")
    refuse_other_plan_than_trained(run, plan, name)
    split = splits_of(run, plan, name, splits)[index]
    if not split.train:
        raise RunFolderError(f"{run.splits}: fold {index} of {name} has no training case with a sequence that it sees")
    console = open_console(stderr=True)
    folder = run.fold(name, index)
    decided_by = _hash(plan, configuration, split)
    found = checkpoint.load(folder / "checkpoint")
    if found is None:
        _note_beginning(run, plan, name, index, console)
        training = _requested_training(plan, configuration, requested, device)
        state = _new_state(training, requested, decided_by, precision(device), threads.count)
    else:
        state = found[0]
        _check_same(folder, state, decided_by, requested)
        _keep_versions(state, device, console)
        threads.start_with(threads_after(state.threads, state.events))
        # the machine, or what else it does, may be another than before
        checkpoint.forget_pace(state)
    learner = Learner(plan, configuration, state.training, device, seed=plan.seed + index)
    if found is not None:
        checkpoint.restore(state, found[1], learner)
        console.print(
            f"Fold {index}: going on at step {state.step} of {iterations_after(state.training, state.events)}"
        )
    return Fold(
        run=run,
        plan=plan,
        name=name,
        index=index,
        split=split,
        learner=learner,
        state=state,
        workers=default_workers(device) if workers is None else workers,
        console=console,
        threads=threads,
        kept=edited_in("training", edited_fields(run, plan), name),
        planned=configuration.training,
        limit=None,
        saved_at=clock.now(),
        drawn_at=-math.inf,
        counted_to=clock.now(),
    )


def _note_beginning(run: RunFolder, plan: Plan, name: str, index: int, console: Console) -> None:
    """Write down by what a fold begins, and that a choice which rests on a former one of it no longer holds."""
    write_trained_by(run, plan, name, index)
    if set_selection_aside(run, name):
        console.print(
            f"{run.selected} rests on models that are trained anew: it is {run.former_selection.name} now; "
            f"`autoseg select {run.path}` chooses again",
            style="yellow",
            markup=False,
            highlight=False,
        )


def default_workers(device: torch.device) -> int:
    """Augmentation processes: many beside a GPU; beside a network that fills the cores itself one or none.

    A process of its own on a core that the network's threads share slows every step by more than
    preparing a batch takes (benchmarks/augmentation.py).
    """
    if device.type == "cuda":
        # beside a GPU torch's own threads have little to do, and may be limited to one
        return max(1, min(12, available_cores() - 1))
    return 1 if torch.get_num_threads() >= 4 else 0


def _new_state(training: Training, requested: Requested, decided_by: str, number_type: str, threads: int) -> State:
    return State(
        step=0,
        training=training,
        requested=requested,
        seconds=0.0,
        threads=threads,
        torch_version=torch.__version__,
        precision=number_type,
        plan_sha256=decided_by,
    )


def _requested_training(
    plan: Plan, configuration: Configuration, requested: Requested, device: torch.device
) -> Training:
    """The plan's training settings, with the length that was asked for; an epoch of `epochs` is the plan's."""
    training = configuration.training
    if requested.follows is not None:
        length = requested.follows.model_dump(exclude={"events"})
        return training.changed(**length)
    if requested.epochs is not None:
        iterations = requested.epochs * training.iterations_per_epoch
        return training.changed(iterations=iterations, seconds=requested.seconds)
    if requested.seconds is not None:
        cost = measure_step(plan, configuration, str(device))
        if not math.isfinite(cost.seconds):
            raise OutOfMemory(device)
        iterations = max(1, int(0.9 * requested.seconds / cost.seconds))
        per_epoch = math.ceil(iterations / EPOCHS_IN_A_GIVEN_TIME)
        return training.changed(iterations=iterations, iterations_per_epoch=per_epoch, seconds=requested.seconds)
    return training


def _hash(plan: Plan, configuration: Configuration, split: Split) -> str:
    """Of everything that must stay as it is from a fold's beginning to its end."""
    # none of them decides what is learned
    not_in_training = {"validation_seconds"}
    # folds that were begun before there were such fields go on
    not_in_training |= {
        name for name in ("by_length", "foreground_prior") if getattr(configuration.training, name) is None
    }
    not_learned: dict[str, Any] = {"prediction": True, "median_shape": True, "training": not_in_training}
    of_configuration = configuration.model_dump_json(exclude=not_learned)
    decided = of_configuration + plan.labels.model_dump_json() + str(plan.seed) + split.model_dump_json()
    return hashlib.sha256(decided.encode()).hexdigest()


def _check_same(folder: Path, state: State, decided_by: str, requested: Requested) -> None:
    if state.plan_sha256 != decided_by:
        raise RunFolderError(
            f"{folder}: plan.yaml, or this fold in splits.json, was changed since this fold was begun; undo the "
            "change, or delete this folder to train it anew"
        )
    if requested != Requested() and requested != state.requested:
        raise RunFolderError(
            f"{folder}: was begun with other --epochs, --time-budget or --follow; give the same, or delete this folder"
        )


def _keep_versions(state: State, device: torch.device, console: Console) -> None:
    """Tell where torch or the number type is another than so far; of the number types all are kept."""
    if state.torch_version != torch.__version__:
        console.print(f"Begun with torch {state.torch_version}, going on with {torch.__version__}: bits may differ")
    now = precision(device)
    # earlier releases did not say, and computed in single precision on every CPU
    so_far = state.precision or ("float32" if device.type == "cpu" else now)
    last = so_far.rpartition(", ")[2]
    if last != now:
        console.print(f"Trained in {last} so far, going on in {now}, as this device does: bits differ")
        so_far += f", {now}"
    state.precision = so_far
