"""Makes the plan of an idea, for a time that is the same for all, and preprocesses the data set by it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from autoseg.dataset.fingerprint import Fingerprint, read_fingerprint
from autoseg.dataset.read import read_dataset
from autoseg.plan.decision import Decision
from autoseg.plan.plan import Plan, read_plan, write_plan
from autoseg.plan.region import Region
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, read_splits
from benchmarks.lesions.arms import Arm
from planner.additions.lesion_loss import with_lesions
from planner.additions.region import learn_region, within
from planner.budget import candidate_chooser, network_candidates
from planner.budget.candidate_chooser import Choice, Chooser, enough_steps
from planner.budget.network_candidates import (
    LARGEST_BATCH_3D,
    Candidate,
    candidates,
    complete_spacing,
    narrowed,
    slimmed,
)
from planner.budget.short_schedule import short_prediction, short_training
from planner.preprocess import preprocess_dataset
from planner.rules.network_size import Target, network_for
from planner.rules.reference_plan import PlannedDecisions, reference_plan
from planner.rules.spacing import axis_order, coarser_spacing, median_shape
from planner.rules.topology import plan_topology
from trainer.measure import measure_step

CONFIG = "3d"
SHARE_FOR_FOLD = 0.97
"""Share of the time of a fold that is planned; the rest is for its start."""

WITHOUT_A_CLOCK = {name: Decision(None, "the number of steps is given") for name in ("seconds", "by_length")}
"""Training settings of a fold that takes its steps however long they take."""


@dataclass(frozen=True)
class Length:
    """How long a fold is trained, by one thread.

    Args:
        seconds: time of a fold, by which its plan is chosen.
        steps: number of steps that it takes, however long they take; None = what the time affords.
    """

    seconds: float
    steps: int | None = None


def plan_and_preprocess(data: Path, run: RunFolder, arm: Arm, length: Length, seed: int, folds: Sequence[int]) -> Plan:
    """Write the plan of an idea, if it is not there, and the cases that are preprocessed by it.

    Args:
        data: folder or `cases.csv` of the raw data set.
        run: RUN folder that has the fingerprint and the folds.
        arm: what the plan has that others have not.
        length: how long a fold is trained.
        seed: seed of the weights and of every draw.
        folds: numbers of the folds that are compared.
    """
    if not run.plan.exists():
        splits = read_splits(run.splits)
        compared = [splits[fold] for fold in folds]
        decided = _decided(read_fingerprint(run.fingerprint), compared, arm, length, seed)
        for path in (run.planned, run.plan):
            write_plan(path, decided.value, decided.reasons)
    plan = read_plan(run.plan)
    preprocess_dataset(read_dataset(data), plan, CONFIG, run, workers=2)
    return plan


def _decided(whole: Fingerprint, splits: Sequence[Split], arm: Arm, length: Length, seed: int) -> PlannedDecisions:
    decisions, fingerprint = decided_before(whole, splits, region=arm.region, seed=seed)
    reference = decisions.configuration(CONFIG)
    chooser = chooser_for(decisions, fingerprint, splits, length.seconds)
    enough = arm.enough_steps or enough_steps(decisions.plan)
    with mock.patch.object(candidate_chooser, "enough_steps", lambda plan: enough):
        choice = chooser.choose(_candidates(reference, fingerprint, arm))
    given: dict[str, Decision[Any]] = {name: Decision(value, "given") for name, value in arm.training.items()}
    steps = choice.steps.value if length.steps is None else length.steps
    if length.steps is not None:
        given |= WITHOUT_A_CLOCK
    return trained_by(decisions, choice, steps, fingerprint, given, arm.predict_mirrored)


def decided_before(
    whole: Fingerprint, splits: Sequence[Split], *, region: bool, seed: int
) -> tuple[PlannedDecisions, Fingerprint]:
    """The plan before time is looked at, and the fingerprint within its region.

    Args:
        whole: fingerprint of the data set.
        splits: the folds that are compared; the region knows none of their validation cases.
        region: whether a region is learned.
        seed: seed of the weights and of every draw.
    """
    learned = learned_without_validation(whole, splits) if region else Decision(None, "whole images")
    fingerprint = within(whole, learned.value)
    decisions = with_lesions(reference_plan(fingerprint), fingerprint)
    changed = decisions.changed(region=learned, seed=Decision(seed, "given"), device=Decision("cpu", "measured here"))
    return changed, fingerprint


def chooser_for(
    decisions: PlannedDecisions, fingerprint: Fingerprint, splits: Sequence[Split], seconds: float
) -> Chooser:
    """What chooses a plan for folds of so many seconds, each trained by one thread."""
    cases = max(len(split.val) for split in splits)
    measure = partial(measure_step, device="cpu", threads=1)
    return Chooser(decisions.plan, fingerprint, cases, SHARE_FOR_FOLD * seconds, measure)


def trained_by(
    decisions: PlannedDecisions,
    choice: Choice,
    steps: int,
    fingerprint: Fingerprint,
    given: Mapping[str, Decision[Any]],
    predict_mirrored: tuple[int, ...] = (),
) -> PlannedDecisions:
    """The plan with one configuration alone: a choice that is trained for so many steps.

    Args:
        decisions: the plan before time was looked at.
        choice: the candidate, and what time affords with it.
        steps: number of steps of a fold.
        fingerprint: fingerprint within the region.
        given: further fields of the training settings.
        predict_mirrored: axes (0 = z, 1 = y, 2 = x) that prediction mirrors.
    """
    reference = decisions.configuration(CONFIG)
    training = short_training(
        reference.part("training"),
        replace(choice.steps, value=steps),
        choice.training_seconds,
        fingerprint,
        validations=0,
    ).changed(validation_seconds=choice.validation_seconds)
    configuration = choice.candidate.changed(
        training=training.changed(**given), prediction=short_prediction(reference.value.prediction, predict_mirrored)
    )
    return decisions.changed(configurations={CONFIG: configuration})


def plan_like(other: RunFolder, run: RunFolder, arm: Arm) -> Plan:
    """Write the plan of an idea that differs from another one in its training alone, and take its preprocessed cases.

    Args:
        other: RUN folder of the other idea, with its plan and its cases.
        run: RUN folder of this one.
        arm: the idea whose plan is written; it has the other one's patch, network and spacing.
    """
    plan = read_plan(other.plan)
    configuration = plan.configuration(CONFIG)
    configuration = configuration.changed(
        training=configuration.training.changed(**arm.training),
        prediction=configuration.prediction.changed(mirror=arm.predict_mirrored),
    )
    plan = plan.changed(configurations={CONFIG: configuration})
    for path in (run.planned, run.plan):
        write_plan(path, plan, {})
    if not run.preprocessed(CONFIG).exists():
        begun = run.preprocessed(CONFIG).with_name(f".{CONFIG}")
        shutil.rmtree(begun, ignore_errors=True)
        shutil.copytree(other.preprocessed(CONFIG), begun, copy_function=os.link)
        begun.rename(run.preprocessed(CONFIG))
    return plan


def learned_without_validation(fingerprint: Fingerprint, splits: Sequence[Split]) -> Decision[Region | None]:
    """The region that is learned from the cases that no compared fold validates, so that it knows none of the answers.

    Args:
        fingerprint: fingerprint of all cases.
        splits: the folds that are compared.
    """
    validated = {name for split in splits for name in split.val}
    left = tuple(case for case in fingerprint.cases if case.case not in validated)
    names = [case.case for case in left]
    # each case once left out, as the folds that are compared are not to be looked at
    folds = [Split(train=tuple(n for n in names if n != name), val=(name,)) for name in names]
    return learn_region(fingerprint.changed(cases=left), folds)


def _candidates(reference: Candidate, fingerprint: Fingerprint, arm: Arm) -> list[Candidate]:
    if arm.patch is None:
        across = arm.voxels_across or network_candidates.VOXELS_ACROSS_A_LESION
        with mock.patch.object(network_candidates, "VOXELS_ACROSS_A_LESION", across):
            return list(candidates(reference.value, fingerprint))
    spacing = full = np.array(complete_spacing(reference.value, fingerprint))
    while (spacing / full).max() < arm.coarser:
        spacing = coarser_spacing(spacing)
    target_spacing = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
    shape = median_shape(fingerprint, target_spacing)
    axes = axis_order(target_spacing, shape).value
    target = Target(reference.value.network.architecture, 0.0, fingerprint.labels.outputs, axes)
    topology = plan_topology([target_spacing[a] for a in axes], [arm.patch[a] for a in axes])
    batch = arm.batch or min(reference.value.batch_size, LARGEST_BATCH_3D)
    found = reference.changed(
        spacing=Decision(target_spacing, "given"),
        median_shape=Decision(shape, "voxels of the median case at this spacing"),
        patch_size=Decision(target.in_array_order(topology.patch_size, 1), "given"),
        batch_size=Decision(batch, "given"),
        network=slimmed(narrowed(network_for(target, topology), arm.features)),
    )
    return [found]
