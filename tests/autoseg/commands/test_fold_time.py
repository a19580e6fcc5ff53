"""How a budget is shared out, by accounts that are written by hand; 2400 s, five folds planned for 300 s each."""

import itertools

import pytest

import autoseg
from autoseg.commands.fold_time import time_of_next_fold
from autoseg.plan.plan import read_plan
from autoseg.plan.time_shares import LEAST_SHARE, RESERVE, SECONDS_TO_START, SHARE_FOR_THE_REPORT
from autoseg.run_folder.finished_fold import write_finished
from autoseg.run_folder.plan_edits import edited_fields
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.time_spent import add_time, read_time_spent
from autoseg.run_folder.timed_stage import Stage
from tests.autoseg.commands.stand_ins import FOLD_SECONDS
from tests.autoseg.commands.steps import edit
from tests.example_fold import finished_fold

BUDGET = 2400.0
KEPT = (SHARE_FOR_THE_REPORT + RESERVE) * BUDGET
"""For the report and what no one foresees; each fold keeps a second for its start besides."""


def folds(first: int = 0) -> list[tuple[str, int]]:
    return [("3d", fold) for fold in range(first, 5)]


def seconds(run, left=None, **more) -> float | None:
    plan = read_plan(run.plan)
    time = time_of_next_fold(run, plan, left or folds(), ["3d"], edits=edited_fields(run, plan), **more)
    return time.training_seconds


def spend(run, in_all: float) -> None:
    """Bring what was spent besides training to so much."""
    add_time(run, Stage("check"), in_all - read_time_spent(run).total)


def test_what_is_left_is_shared_whether_it_is_more_or_less_than_planned(run) -> None:
    for spent in (100, 1450):
        spend(run, spent)
        assert seconds(run) == pytest.approx((BUDGET - spent - KEPT) / 5 - SECONDS_TO_START)


def test_what_a_fold_did_not_use_goes_to_those_that_follow(run) -> None:
    spend(run, 100)
    add_time(run, Stage("train", "3d", 0), 135)
    done = finished_fold(0, read_splits(run.splits)[0], seconds_training=110.0)
    write_finished(run, "3d", 0, done.changed(seconds_validation=20.0))
    # what its validation took is kept for each that follows
    assert seconds(run, folds(1)) == pytest.approx((BUDGET - 235 - KEPT) / 4 - 20 - SECONDS_TO_START)


def test_the_validation_that_was_planned_is_kept_until_one_is_seen(run) -> None:
    spend(run, 100)
    plan = read_plan(run.plan)
    configuration = plan.configurations["3d"]
    training = configuration.training.changed(validation_seconds=30.0)
    changed = {"3d": configuration.changed(training=training)}
    plan = plan.changed(configurations=changed)
    assert time_of_next_fold(run, plan, folds(), ["3d"]).training_seconds == pytest.approx(
        (BUDGET - 100 - KEPT) / 5 - 30 - SECONDS_TO_START
    )


def test_a_fold_that_was_stopped_has_the_rest_of_its_share(run) -> None:
    spend(run, 100)
    add_time(run, Stage("train", "3d", 0), 200)
    assert seconds(run) == pytest.approx((BUDGET - 100 - KEPT) / 5 - SECONDS_TO_START - 200)


def test_what_the_report_takes_replaces_what_was_kept_for_it(run) -> None:
    spend(run, 100)
    assert seconds(run, report_seconds=300.0) == pytest.approx(
        (BUDGET - 100 - 300 - RESERVE * BUDGET) / 5 - SECONDS_TO_START
    )


def test_other_configurations_of_the_run_do_not_count(run) -> None:
    spend(run, 100)
    before = seconds(run)
    add_time(run, Stage("train", "2d", 0), 1000)
    assert seconds(run) == before


def test_a_spent_budget_still_gives_a_model(run) -> None:
    spend(run, 2 * BUDGET)
    assert seconds(run) == pytest.approx(LEAST_SHARE * FOLD_SECONDS)


def test_without_a_budget_or_a_time_the_plan_decides(run) -> None:
    plan = read_plan(run.plan).changed(time_budget_seconds=None)
    add_time(run, Stage("check"), 1e6)
    assert time_of_next_fold(run, plan, folds(), ["3d"]).training_seconds is None
    edit(run, r"seconds: 300\.0", "seconds: null")
    assert seconds(run) is None


def test_a_time_that_a_person_wrote_is_the_folds_and_the_others_share_the_rest(run) -> None:
    spend(run, 100)
    edit(run, r"seconds: 300\.0", "seconds: 90.0")
    plan = read_plan(run.plan)
    time = time_of_next_fold(run, plan, folds(), ["3d"], edits=edited_fields(run, plan))
    assert time.training_seconds is None, "the plan's, as it was written"
    assert "a fold has 1 min 30 s, as you wrote into plan.yaml: 5 min 58 s less than an equal share" in time.note


def test_run_gives_each_fold_its_share(calls, dataset, run) -> None:
    autoseg.run(dataset, run.path, device="cpu", workers=1)
    shares = [options["seconds_from_now"] for _, _, options in calls.trained]
    # nothing takes any time here, and training is over at once: all of it is left to the last one
    assert all(later > 1.2 * sooner for sooner, later in itertools.pairwise(shares))
    assert shares[-1] == pytest.approx(BUDGET - KEPT, rel=0.02)
