"""How a budget is shared out, by accounts that are written by hand; 2400 s, five folds planned for 300 s each."""

import itertools

import pytest

import autoseg
from autoseg.commands.budget import (
    LEAST_SHARE,
    RESERVE,
    SECONDS_TO_START,
    SHARE_FOR_THE_REPORT,
    equal_share,
    time_of_next_fold,
)
from autoseg.plan.plan import read_plan
from autoseg.run_folder.finished_fold import write_finished
from autoseg.run_folder.plan_edits import edited_fields
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.stage import Stage
from autoseg.run_folder.time_spent import add_time, read_time_spent
from tests.autoseg.commands.stand_ins import FOLD_SECONDS
from tests.autoseg.commands.steps import edit
from tests.example_fold import finished_fold
from tests.example_plan import with_training

BUDGET = 2400.0
KEPT = (SHARE_FOR_THE_REPORT + RESERVE) * BUDGET
"""For the report and what no one foresees; each fold keeps a second for its start besides."""


def folds(first: int = 0) -> list[tuple[str, int]]:
    return [("3d", fold) for fold in range(first, 5)]


def share(run, left=None, **more) -> float | None:
    plan = read_plan(run.plan)
    return time_of_next_fold(run, plan, left or folds(), ["3d"], edits=edited_fields(run, plan), **more).share


def spend(run, seconds: float) -> None:
    """Bring what was spent besides training to so much."""
    add_time(run, "check", seconds - read_time_spent(run).total)


def test_what_is_left_is_shared_whether_it_is_more_or_less_than_planned(run) -> None:
    for spent in (100, 1450):
        spend(run, spent)
        assert share(run) == pytest.approx((BUDGET - spent - KEPT) / 5 - SECONDS_TO_START)


def test_what_a_fold_did_not_use_goes_to_those_that_follow(run) -> None:
    spend(run, 100)
    add_time(run, Stage("train", "3d", 0), 135)
    done = finished_fold(0, read_splits(run.splits)[0], seconds_training=110.0, seconds_validation=20.0)
    write_finished(run, "3d", 0, done)
    # what its validation took is kept for each that follows
    assert share(run, folds(1)) == pytest.approx((BUDGET - 235 - KEPT) / 4 - 20 - SECONDS_TO_START)


def test_the_validation_that_was_planned_is_kept_until_one_is_seen(run) -> None:
    spend(run, 100)
    plan = with_training(read_plan(run.plan), validation_seconds=30.0)
    assert time_of_next_fold(run, plan, folds(), ["3d"]).training_seconds == pytest.approx(
        (BUDGET - 100 - KEPT) / 5 - 30 - SECONDS_TO_START
    )


def test_a_fold_that_was_stopped_has_the_rest_of_its_share(run) -> None:
    spend(run, 100)
    add_time(run, Stage("train", "3d", 0), 200)
    assert share(run) == pytest.approx((BUDGET - 100 - KEPT) / 5 - SECONDS_TO_START - 200)


def test_what_the_report_takes_replaces_what_was_kept_for_it(run) -> None:
    spend(run, 100)
    assert share(run, report_seconds=300.0) == pytest.approx(
        (BUDGET - 100 - 300 - RESERVE * BUDGET) / 5 - SECONDS_TO_START
    )


def test_other_configurations_of_the_run_do_not_count(run) -> None:
    spend(run, 100)
    before = share(run)
    add_time(run, Stage("train", "2d", 0), 1000)
    assert share(run) == before


def test_a_spent_budget_still_gives_a_model(run) -> None:
    spend(run, 2 * BUDGET)
    assert share(run) == pytest.approx(LEAST_SHARE * FOLD_SECONDS)


def test_without_a_budget_or_a_time_the_plan_decides(run) -> None:
    plan = read_plan(run.plan).changed(time_budget_seconds=None)
    add_time(run, "check", 1e6)
    assert time_of_next_fold(run, plan, folds(), ["3d"]).share is None
    edit(run, r"seconds: 300\.0", "seconds: null")
    assert share(run) is None


def test_a_time_that_a_person_wrote_is_the_folds_and_the_others_share_the_rest(run) -> None:
    spend(run, 100)
    edit(run, r"seconds: 300\.0", "seconds: 90.0")
    plan = read_plan(run.plan)
    time = time_of_next_fold(run, plan, folds(), ["3d"], edits=edited_fields(run, plan))
    assert time.share is None, "the plan's, as it was written"
    assert "a fold has 1 min 30 s, as you wrote into plan.yaml: 5 min 58 s less than an equal share" in time.note


def test_run_gives_each_fold_its_share(calls, dataset, run) -> None:
    autoseg.run(dataset, run.path, device="cpu", workers=1)
    shares = [options["share"] for _, _, options in calls.trained]
    # nothing takes any time here, and training is over at once: all of it is left to the last one
    assert all(later > 1.2 * sooner for sooner, later in itertools.pairwise(shares))
    assert shares[-1] == pytest.approx(BUDGET - KEPT, rel=0.02)


def test_shares_are_equal_in_the_end() -> None:
    assert equal_share([0, 0, 0], 30) == pytest.approx(10)
    assert equal_share([10, 0, 0], 30) == pytest.approx(40 / 3)
    assert equal_share([20, 0, 0], 30) == pytest.approx(15), "one that has had more gets nothing"
    assert equal_share([5, 8], -3) == 5
