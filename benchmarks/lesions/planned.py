"""Makes the plan of an idea, for a time that is the same for all, and preprocesses the data set by it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np

from autoseg.dataset.fingerprint import Fingerprint, read_fingerprint
from autoseg.dataset.read import read_dataset
from autoseg.plan.decision import Decision, WithReasons
from autoseg.plan.plan import Plan, read_plan, write_plan
from autoseg.plan.region import Region
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, read_splits
from benchmarks.lesions.arms import Arm
from planner.additions.lesion_loss import with_lesion_loss
from planner.additions.region import learn_region, within
from planner.budget import network_candidates
from planner.budget.candidate_chooser import Chooser
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
from planner.rules.reference_plan import reference_plan
from planner.rules.spacing import axis_order, coarser_spacing, median_shape
from planner.rules.topology import plan_topology
from trainer.measure import measure_step

CONFIG = "3d"
SHARE_FOR_FOLD = 0.97
"""Share of the time of a fold that is planned; the rest is for its start."""


def plan_and_preprocess(data: Path, run: RunFolder, arm: Arm, seconds: float, seed: int, folds: Sequence[int]) -> Plan:
    """Write the plan of an idea, if it is not there, and the cases that are preprocessed by it.

    Args:
        data: folder or `cases.csv` of the raw data set.
        run: RUN folder that has the fingerprint and the folds.
        arm: what the plan has that others have not.
        seconds: time of a fold, which is trained by one thread.
        seed: seed of the weights and of every draw.
        folds: numbers of the folds that are compared.
    """
    if not run.plan.exists():
        splits = read_splits(run.splits)
        compared = [splits[fold] for fold in folds]
        decided = _decided(read_fingerprint(run.fingerprint), compared, arm, seconds, seed)
        for path in (run.planned, run.plan):
            write_plan(path, decided.value, decided.reasons)
    plan = read_plan(run.plan)
    preprocess_dataset(read_dataset(data), plan, CONFIG, run, workers=2)
    return plan


def _decided(whole: Fingerprint, splits: Sequence[Split], arm: Arm, seconds: float, seed: int) -> WithReasons[Plan]:
    region = learned_without_validation(whole, splits) if arm.region else Decision(None, "whole images")
    fingerprint = within(whole, region.value)
    decisions = with_lesion_loss(reference_plan(fingerprint), fingerprint)
    decisions = decisions.changed(region=region, seed=Decision(seed, "given"), device=Decision("cpu", "measured here"))
    reference = decisions.configuration(CONFIG)
    measure = partial(measure_step, device="cpu", threads=1)
    cases = max(len(split.val) for split in splits)
    chooser = Chooser(decisions.plan, fingerprint, cases, SHARE_FOR_FOLD * seconds, measure)
    choice = chooser.choose(_candidates(reference, fingerprint, arm))
    training = short_training(
        reference.part("training"), choice.steps, choice.training_seconds, fingerprint, validations=0
    ).changed(validation_seconds=choice.validation_seconds)
    given = {name: Decision(value, "given") for name, value in arm.training.items()}
    configuration = choice.candidate.changed(
        training=training.changed(**given), prediction=short_prediction(reference.value.prediction)
    )
    return decisions.changed(configurations={CONFIG: configuration})


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
    target = Target(reference.value.network.architecture, 0.0, fingerprint.labels.classes, axes)
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
