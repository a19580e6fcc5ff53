"""Opens a fold for training, from its last checkpoint or, where there is none, from the start.

In: a RUN folder, the fold, and what the user asked for. Out: a `Fold`, which holds everything that training needs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from autoseg.errors import OutOfMemory, RunFolderError
from autoseg.image.annotated_classes import AnnotatedClasses, known_by_none, missing_in_training
from autoseg.image.labels import Labels
from autoseg.machine import clock
from autoseg.machine.cores import available_cores
from autoseg.machine.device import precision
from autoseg.machine.threads import Threads
from autoseg.plan.configuration import Configuration, Training
from autoseg.plan.plan import Plan, read_plan
from autoseg.plan.time_shares import steps_in
from autoseg.run_folder.fold_cases import splits_of_configuration
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_fields, edited_in
from autoseg.run_folder.preprocessed_case import require_intact_once
from autoseg.run_folder.selection import set_selection_aside
from autoseg.run_folder.split_notes import note_on_classes
from autoseg.run_folder.splits import Split, read_splits
from autoseg.run_folder.trained_by import refuse_other_plan_than_trained, write_trained_by
from autoseg.run_folder.trained_on import write_trained_on
from autoseg.terminal import open_console
from trainer import checkpoint
from trainer.checkpoint import Requested, State
from trainer.checkpoint_writer import CheckpointWriter
from trainer.data.case_store import annotated_in
from trainer.fold_state import Fold
from trainer.learner import Learner
from trainer.measure import measure_step
from trainer.patch_growth import patch_growth
from trainer.ranks import ALONE, Ranks
from trainer.schedule import iterations_after, threads_after

EPOCHS_IN_A_GIVEN_TIME = 20
"""Number of epochs of a fold whose time the user gives: it can be shortened at the end of each if it is late."""

LATER_FIELDS = (
    "augment_on",
    "augmentation",
    "beta2",
    "by_length",
    "contrast_maps",
    "foreground_prior",
    "pasted_lesions",
    "patch_growth",
)
"""Training settings that earlier releases lacked; without effect where they have their default."""


def open_fold(
    run: RunFolder,
    name: str,
    index: int,
    device: torch.device,
    workers: int | None,
    requested: Requested,
    threads: Threads,
    ranks: Ranks = ALONE,
) -> Fold:
    """Open a fold for training: in the state of its last checkpoint, or from the start.

    Args:
        run: RUN folder that holds the plan, the splits and the preprocessed cases.
        name: name of the configuration that is trained.
        index: index of the fold in `splits.json`.
        device: device on which the fold is trained.
        workers: number of processes that draw and augment patches; None = chosen by the number of cores.
        requested: length or time of the schedule that the user asked for instead of the plan's.
        threads: number of threads that compute on a CPU; set to the checkpoint's number where there is a checkpoint.
        ranks: processes that train the fold together; the leading one alone writes.

    Raises:
        InputError: the processes cannot share the batch evenly.
        RunFolderError: something that is read is missing; or this fold was begun with another plan, split or length;
            or another fold of the configuration was begun with another spacing, network or normalisation.
        OutOfMemory: a time was asked for, and the device's memory does not hold a step.
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
    split = splits_of_configuration(run, plan, name, splits)[index]
    if not split.train:
        raise RunFolderError(f"{run.splits}: fold {index} of {name} has no training case with a sequence that it sees")
    ranks.places(configuration.batch_size)
    console = open_console(stderr=True) if ranks.leads else Console(quiet=True)
    _require_intact_cases(run, source, split, console)
    folder = run.fold(name, index)
    decided_by = _hash(plan, configuration, split)
    found = checkpoint.load(folder / "checkpoint")
    if found is None:
        annotated = [annotated_in(run.case(source, case)) for case in split.train]
        if ranks.leads:
            _note_beginning(run, plan, name, index, split, console)
            _tell_unknown(plan.labels, index, annotated, console)
        partly = missing_in_training(plan.labels, annotated) is not None
        training = _requested_training(plan, configuration, requested, device, partly)
        state = _new_state(training, requested, decided_by, precision(device), threads.count)
    else:
        state = found.state
        _check_same(folder, state, decided_by, requested)
        _keep_versions(state, device, console)
        threads.start_with(threads_after(state.threads, state.events))
        # the machine may be another one now, or its other programs may have changed
        checkpoint.forget_pace(state)
    state = _same_for_all(state, ranks, device)
    learner = Learner(plan, configuration, state.training, device, plan.seed + index, ranks)
    if found is not None:
        checkpoint.restore(found, learner)
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
        workers=default_workers(device, ranks.count) if workers is None else workers,
        console=console,
        threads=threads,
        kept=edited_in("training", edited_fields(run, plan), name),
        planned=configuration.training,
        limit=None,
        writer=CheckpointWriter(
            folder / "checkpoint",
            state.training.iterations_per_epoch,
            beside=device.type != "cpu",
            ranks=ranks,
        ),
        ranks=ranks,
        drawn_at=-math.inf,
        counted_to=clock.now(),
    )


def _require_intact_cases(run: RunFolder, source: str, split: Split, console: Console) -> None:
    """Refuse cases whose files have changed since they were written; cases of earlier releases cannot be checked."""
    folders = [run.case(source, case) for case in (*split.train, *split.val)]
    with ThreadPoolExecutor(available_cores()) as pool:
        if not all(list(pool.map(require_intact_once, folders))):
            console.print(
                f"{run.preprocessed(source)}: written by an earlier release without checksums, so a damaged file would "
                "not be noticed. You can go on. If you want it noticed, delete this folder, and `autoseg "
                "plan-and-preprocess` makes it again",
                style="yellow",
            )


def _note_beginning(run: RunFolder, plan: Plan, name: str, index: int, split: Split, console: Console) -> None:
    """Record plan and cases that a fold begins with, and set aside a selection that rests on a former model of it."""
    write_trained_by(run, plan, name, index)
    write_trained_on(run, plan, name, index, split)
    if set_selection_aside(run, name):
        console.print(
            f"{run.selected} rests on models that are trained anew: it is {run.former_selection.name} now; "
            f"`autoseg select {run.path}` chooses again",
            style="yellow",
        )


def _tell_unknown(labels: Labels, index: int, annotated: Sequence[AnnotatedClasses], console: Console) -> None:
    """Say which classes none of a fold's training cases knows, since the fold learns them as absent."""
    if unknown := known_by_none(labels, annotated):
        console.print(note_on_classes(index, len(annotated), unknown), style="yellow", markup=False, soft_wrap=True)


def _same_for_all(state: State, ranks: Ranks, device: torch.device) -> State:
    """The state of the leading process: what it measured, or found, holds for all."""
    told = ranks.told(state.model_dump_json(), device)
    return state if ranks.leads else State.model_validate_json(told)


def default_workers(device: torch.device, processes: int = 1) -> int:
    """Number of augmentation processes: many with a GPU; one or none if the network itself computes on the cores.

    A process on a core that the network's threads also use slows each step by more time than it takes to prepare a
    batch (benchmarks/augmentation.py).

    Args:
        device: device that trains.
        processes: number of processes that train a fold together; the result is for each of them.
    """
    if device.type == "cuda":
        # with a GPU torch's own threads have little work, and their number may be limited to one
        return max(1, min(12, available_cores() // processes - 1))
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
    plan: Plan, configuration: Configuration, requested: Requested, device: torch.device, partly: bool
) -> Training:
    """The plan's training settings with the requested length; `epochs` are epochs of the plan's length."""
    training = configuration.training
    if requested.follows is not None:
        length = requested.follows.model_dump(exclude={"events", "augment_on"})
        return training.changed(**length)
    if requested.epochs is not None:
        iterations = requested.epochs * training.iterations_per_epoch
        return training.changed(iterations=iterations, seconds=requested.seconds)
    if requested.seconds is not None:
        cost = measure_step(plan, configuration, str(device), partly_annotated=partly)
        if not math.isfinite(cost.seconds):
            raise OutOfMemory(device)
        iterations = steps_in(requested.seconds, cost.seconds * patch_growth(configuration).mean_work(0.0))
        per_epoch = math.ceil(iterations / EPOCHS_IN_A_GIVEN_TIME)
        return training.changed(iterations=iterations, iterations_per_epoch=per_epoch, seconds=requested.seconds)
    return training


def _hash(plan: Plan, configuration: Configuration, split: Split) -> str:
    """Hash of everything that must not change between the start and the end of a fold's training."""
    # this field does not decide what is learned
    not_in_training = {"validation_seconds"}
    # folds that were begun before these fields existed can be continued
    fields = type(configuration.training).model_fields
    not_in_training |= {name for name in LATER_FIELDS if getattr(configuration.training, name) == fields[name].default}
    not_learned: dict[str, Any] = {"prediction": True, "median_shape": True, "training": not_in_training}
    of_configuration = configuration.model_dump_json(exclude=not_learned)
    cases = split.model_dump_json(include={"train", "val"})
    decided = of_configuration + plan.labels.model_dump_json() + str(plan.seed) + cases
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
    """Tell the user if torch's version or the dtype has changed, and record all dtypes in the state."""
    if state.torch_version != torch.__version__:
        console.print(f"Begun with torch {state.torch_version}, going on with {torch.__version__}: bits may differ")
    now = precision(device)
    # earlier releases did not record the dtype, and computed in single precision on every CPU
    so_far = state.precision or ("float32" if device.type == "cpu" else now)
    last = so_far.rpartition(", ")[2]
    if last != now:
        console.print(f"Trained in {last} so far, going on in {now}, as this device does: bits differ")
        so_far += f", {now}"
    state.precision = so_far
