"""A short training is one that fits its steps, and mirrors only where sides may be confused."""

import pytest

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.configuration import Training
from autoseg.plan.decision import Decision, WithReasons
from planner.budget.short_schedule import (
    STEPS_FOR_DROPOUT,
    STEPS_FOR_MIRRORING,
    affordable_dropout,
    mirrored_axes,
    short_prediction,
    short_training,
)
from planner.rules.reference_plan import reference_plan
from tests.planner.fingerprints import fingerprint
from tests.planner.structures import with_structures

LONG, SHORT = STEPS_FOR_MIRRORING, STEPS_FOR_MIRRORING - 1
CASES = fingerprint([(1.0, 1.0, 1.0)] * 3, [(40, 48, 48)] * 3)


def structures(centroids: dict[str, float]) -> Fingerprint:
    """Three cases with a ball for each name, at the given share of the width."""
    return with_structures(CASES, {name: [5000.0] for name in centroids}, centroids)


def moved(measured: Fingerprint, name: str, places: list[float | None]) -> Fingerprint:
    """The fingerprint with one class at another place in each case; None where it is absent."""
    cases = []
    for case, place in zip(measured.cases, places, strict=True):
        size = {"volume_mm3": 0.0, "components_mm3": ()} if place is None else {}
        entry = case.classes[name].changed(centroid_x=place, **size)
        cases.append(case.changed(classes=case.classes | {name: entry}))
    return measured.changed(cases=tuple(cases))


def short(reference: Training, steps: int, measured: Fingerprint) -> Training:
    """Training settings of a fold that takes so many steps in a minute."""
    decided = Decision(steps, "what a minute affords"), Decision(60.0, "a minute")
    return short_training(WithReasons(reference), *decided, measured).value


@pytest.fixture
def reference() -> Training:
    training = reference_plan(CASES).plan.configurations["3d"].training
    assert training.mirror == (0, 1, 2)
    return training


def test_kidneys_are_not_mirrored_from_left_to_right(reference: Training) -> None:
    kidneys = structures({"right kidney": 0.3, "left kidney": 0.7, "spine": 0.5})
    decided = mirrored_axes(reference, LONG, kidneys)
    assert decided.value == (0, 1)
    assert "right kidney" in decided.reason
    assert "left kidney" in decided.reason
    assert "spine" not in decided.reason


def test_classes_in_the_middle_or_on_either_side_are_mirrored_along_every_axis(reference: Training) -> None:
    assert mirrored_axes(reference, LONG, structures({"spine": 0.52, "cord": 0.48})).value == (0, 1, 2)
    either = moved(structures({"lesion": 0.5}), "lesion", [0.2, 0.8, 0.25])
    assert mirrored_axes(reference, LONG, either).value == (0, 1, 2)


def test_a_class_absent_from_some_cases_is_judged_by_the_others(reference: Training) -> None:
    some = moved(structures({"liver": 0.5}), "liver", [None, 0.2, 0.3])
    assert mirrored_axes(reference, LONG, some).value == (0, 1)
    assert mirrored_axes(reference, LONG, moved(some, "liver", [None, None, None])).value == (0, 1, 2)


def test_lateral_classes_leave_a_2d_configuration_its_other_axis() -> None:
    flat = reference_plan(CASES).plan.configurations["2d"].training
    assert mirrored_axes(flat, LONG, structures({"liver": 0.2})).value == (1,)
    assert mirrored_axes(flat, LONG, structures({"spine": 0.5})).value == (1, 2)


def test_short_schedules_do_without_mirroring(reference: Training) -> None:
    middle = structures({"spine": 0.5})
    assert short(reference, SHORT, middle).mirror == ()
    assert short(reference, LONG, middle).mirror == (0, 1, 2)
    assert short(reference, LONG, structures({"liver": 0.2})).mirror == (0, 1)


@pytest.mark.parametrize(("steps", "rate"), [(1, 0.008), (150, 0.008), (1000, 0.008), (4000, 0.004), (100_000, 0.002)])
def test_the_learning_rate_is_high_where_steps_are_few(reference: Training, steps: int, rate: float) -> None:
    training = short(reference, steps, structures({"spine": 0.5}))
    assert training.learning_rate == rate


@pytest.mark.parametrize("steps", [1, 19, 20, 21, 599, 600, 12_345])
def test_epochs_hold_the_steps_and_whole_cases_are_validated_on_the_way(reference: Training, steps: int) -> None:
    training = short(reference, steps, structures({"spine": 0.5}))
    # a copy with changed fields is not validated by itself
    assert Training.model_validate(training.model_dump()) == training
    assert training.iterations == steps
    assert training.seconds == 60.0
    epochs = -(-steps // training.iterations_per_epoch)
    assert epochs <= 20
    assert epochs == 20 or training.iterations_per_epoch * 20 - steps < 20
    assert training.validate_every >= 1
    # predictions before the last epoch, as many as the planner allows time for
    assert (epochs - 1) // training.validate_every <= 3


def test_rotation_stays_within_the_reference(reference: Training) -> None:
    flat = reference.changed(rotation=(180.0, 0.0, 15.0))
    rotation = short(flat, 600, structures({"spine": 0.5})).rotation
    assert rotation[1] == 0
    assert rotation[2] == 15
    assert 0 < rotation[0] < 180


def test_foreground_is_expected_to_be_rare_where_steps_are_few(reference: Training) -> None:
    assert reference.foreground_prior is None
    assert short(reference, 600, structures({"spine": 0.5})).foreground_prior == 0.01


def test_what_time_does_not_change_is_the_references(reference: Training) -> None:
    changed = reference.changed(batch_dice=True, gradient_clip=5.0, deep_supervision=False)
    training = short(changed, 600, structures({"spine": 0.5}))
    assert training.batch_dice
    assert training.gradient_clip == 5.0
    assert not training.deep_supervision


def test_prediction_is_not_mirrored_and_overlaps_as_before() -> None:
    reference = reference_plan(CASES).plan.configurations["3d"].prediction
    assert reference.mirror
    assert short_prediction(reference).value == reference.changed(mirror=())


def test_sequences_are_dropped_in_proportion_to_the_steps(reference: Training) -> None:
    cases = structures({"spine": 0.5})
    planned = reference.changed(sequence_dropout=0.4)
    expected = {1: 0.0, STEPS_FOR_DROPOUT // 10: 0.04, STEPS_FOR_DROPOUT: 0.4, 10 * STEPS_FOR_DROPOUT: 0.4}
    for steps, probability in expected.items():
        assert short(planned, steps, cases).sequence_dropout == probability
        decided = affordable_dropout(WithReasons(planned, {"sequence_dropout": "a case lacks one"}), steps)
        assert decided.reason.startswith(f"a case lacks one; {steps} ")
    assert short(reference, 300, cases).sequence_dropout == 0
