"""What the training of a fold needs at hand: from its checkpoint, or, where there is none, anew."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from autoseg.console import open_console
from autoseg.device import precision
from autoseg.errors import OutOfMemory, RunFolderError
from autoseg.parallel import available_cores
from autoseg.plan import Configuration, Plan, Training, read_plan
from autoseg.run_folder import RunFolder
from autoseg.selection import set_selection_aside
from autoseg.splits import Split, read_splits
from autoseg.taking_part import splits_of
from autoseg.trained_by import refuse_other_plan_than_trained, write_trained_by
from trainer import checkpoint
from trainer.checkpoint import Requested, State
from trainer.learner import Learner
from trainer.measure import measure_step
from trainer.schedule import iterations_after

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
    run: RunFolder, name: str, index: int, device: torch.device, workers: int | None, requested: Requested
) -> Fold:
    """A fold that can be trained: as its last checkpoint left it, or from the start.

    Args:
        run: folder with plan, splits and preprocessed cases.
        name: of the configuration.
        index: of the fold.
        device: where it is trained.
        workers: processes that draw and augment patches; None chooses by the cores.
        requested: length of the schedule, instead of the plan's.

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
        state = _new_state(training, requested, decided_by, precision(device))
    else:
        state = found[0]
        _check_same(folder, state, decided_by, requested)
        _keep_versions(state, device, console)
        if device.type == "cpu":
            torch.set_num_threads(state.threads)
    learner = Learner(plan, configuration, state.training, device, seed=plan.seed + index)
    if found is not None:
        checkpoint.restore(state, found[1], learner)
        console.print(
            f"Fold {index}: going on at step {state.step} of {iterations_after(state.training, state.events)}"
        )
    count = default_workers(device) if workers is None else workers
    return Fold(run, plan, name, index, split, learner, state, count, console, None, time.monotonic(), time.monotonic())


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


def _new_state(training: Training, requested: Requested, decided_by: str, number_type: str) -> State:
    return State(
        step=0,
        training=training,
        requested=requested,
        seconds=0.0,
        threads=torch.get_num_threads(),
        torch_version=torch.__version__,
        precision=number_type,
        plan_sha256=decided_by,
    )


def _requested_training(
    plan: Plan, configuration: Configuration, requested: Requested, device: torch.device
) -> Training:
    """The plan's training settings, with the length that was asked for; an epoch of `epochs` is the plan's."""
    training = configuration.training
    if requested.epochs is not None:
        iterations = requested.epochs * training.iterations_per_epoch
        return training.model_copy(update={"iterations": iterations, "seconds": requested.seconds})
    if requested.seconds is not None:
        cost = measure_step(plan, configuration, str(device))
        if not math.isfinite(cost.seconds):
            raise OutOfMemory(device)
        iterations = max(1, int(0.9 * requested.seconds / cost.seconds))
        per_epoch = math.ceil(iterations / EPOCHS_IN_A_GIVEN_TIME)
        return training.model_copy(
            update={"iterations": iterations, "iterations_per_epoch": per_epoch, "seconds": requested.seconds}
        )
    return training


def _hash(plan: Plan, configuration: Configuration, split: Split) -> str:
    """Of everything that must stay as it is from a fold's beginning to its end."""
    # neither decides what is learned
    of_configuration = configuration.model_dump_json(exclude={"prediction", "median_shape"})
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
            f"{folder}: was begun with other --epochs or --time-budget; give the same, or delete this folder"
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
