"""Makes the plan of an idea, for a time that is the same for all, and preprocesses the data set by it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from autoseg.dataset.fingerprint import Fingerprint, read_fingerprint
from autoseg.dataset.read import read_dataset
from autoseg.plan.decision import Decision, WithReasons
from autoseg.plan.plan import Plan, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, read_splits
from benchmarks.lesions.arms import Arm
from planner.additions.lesion_loss import with_lesion_loss
from planner.additions.region import learn_region, within
from planner.budget.candidate_chooser import Chooser
from planner.budget.network_candidates import Candidate, candidate_with, candidates
from planner.budget.short_schedule import short_prediction, short_training
from planner.preprocess import preprocess_dataset
from planner.rules.reference_plan import reference_plan
from trainer.measure import measure_step

CONFIG = "3d"
SHARE_FOR_FOLD = 0.97
"""Share of the time of a fold that is planned; the rest is for its start."""


def plan_and_preprocess(data: Path, run: RunFolder, arm: Arm, seconds: float, seed: int) -> Plan:
    """Write the plan of an idea and the cases that are preprocessed by it.

    Args:
        data: data set.
        run: RUN folder that has the fingerprint and the folds.
        arm: the idea.
        seconds: time of a fold, which is trained by one thread.
        seed: seed of the weights and of every draw.
    """
    decided = _decided(read_fingerprint(run.fingerprint), read_splits(run.splits), arm, seconds, seed)
    for path in (run.planned, run.plan):
        write_plan(path, decided.value, decided.reasons)
    preprocess_dataset(read_dataset(data), decided.value, CONFIG, run, workers=2)
    return decided.value


def _decided(whole: Fingerprint, splits: tuple[Split, ...], arm: Arm, seconds: float, seed: int) -> WithReasons[Plan]:
    region = learn_region(whole, splits) if arm.region else Decision(None, "whole images")
    fingerprint = within(whole, region.value)
    decisions = with_lesion_loss(reference_plan(fingerprint), fingerprint)
    decisions = decisions.changed(region=region, seed=Decision(seed, "given"), device=Decision("cpu", "measured here"))
    reference = decisions.configuration(CONFIG)
    measure = partial(measure_step, device="cpu", threads=1)
    cases = max(len(split.val) for split in splits)
    chooser = Chooser(decisions.plan, fingerprint, cases, SHARE_FOR_FOLD * seconds, measure)
    choice = chooser.choose(_candidates(reference, fingerprint, arm))
    training = short_training(
        reference.part("training"),
        choice.steps,
        choice.training_seconds,
        fingerprint,
        validations=0,
    ).changed(validation_seconds=choice.validation_seconds)
    given = {name: Decision(value, "given") for name, value in arm.training.items()}
    configuration = choice.candidate.changed(
        training=training.changed(**given), prediction=short_prediction(reference.value.prediction)
    )
    return decisions.changed(configurations={CONFIG: configuration})


def _candidates(reference: Candidate, fingerprint: Fingerprint, arm: Arm) -> list[Candidate]:
    if arm.patch is None:
        return list(candidates(reference.value, fingerprint))
    found = candidate_with(reference.value, fingerprint, arm.patch, arm.features, coarser=arm.coarser)
    return [found.changed(batch_size=Decision(arm.batch, "given")) if arm.batch else found]
