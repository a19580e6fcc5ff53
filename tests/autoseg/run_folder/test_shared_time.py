"""Seconds of stages side by side: the sum is what a person waited, each stage keeps what it ran."""

from time import sleep

import pytest

from autoseg.run_folder.budget_use import budget_use
from autoseg.run_folder.finished_fold import write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.shared_time import SharedTime
from autoseg.run_folder.splits import Split
from autoseg.run_folder.time_spent import Passed, add_time, add_times, read_time_spent, rename_stage
from autoseg.run_folder.timed_stage import Stage
from tests.example_fold import finished_fold
from tests.example_plan import example_plan

FOLDS = [Stage("train", "3d", fold) for fold in range(3)]


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves; no thread writes meanwhile."""
    seconds = [0.0]
    monkeypatch.setattr("autoseg.machine.clock.now", lambda: seconds[0])

    def move(by: float) -> None:
        seconds[0] += by

    return move


def test_wall_time_counts_once_and_each_fold_has_what_it_ran(run, clock) -> None:
    with SharedTime(run, every=1e6) as time:
        time.begin(FOLDS[0])
        clock(10)
        time.begin(FOLDS[1])
        clock(20)
        time.end(FOLDS[0])
        time.begin(FOLDS[2])
        clock(30)
        time.end(FOLDS[1])
        clock(5)
    spent = read_time_spent(run)
    assert spent.total == pytest.approx(65)
    assert [spent.of(fold) for fold in FOLDS] == pytest.approx([30, 50, 35])
    assert [spent.seconds[fold.text] for fold in FOLDS] == pytest.approx([20, 25, 20])


def test_what_another_stage_counts_meanwhile_is_not_counted_twice(run, clock) -> None:
    with SharedTime(run, every=1e6) as time:
        time.begin(FOLDS[0])
        clock(10)
        with time.counted_by_another():
            clock(4)
            add_time(run, Stage("look ahead at report", "3d"), 4.0)
        clock(6)
    spent = read_time_spent(run)
    assert (spent.total, spent.of(FOLDS[0])) == pytest.approx((20, 20))


def test_a_killed_process_loses_no_more_than_the_last_seconds(run) -> None:
    with SharedTime(run, every=0.02) as time:
        time.begin(FOLDS[0])
        for _ in range(500):
            if read_time_spent(run).of(FOLDS[0]) > 0:
                break
            sleep(0.02)
        assert read_time_spent(run).of(FOLDS[0]) > 0, "written while it runs"


def test_of_a_run_only_its_own_configurations_count(run) -> None:
    plan = example_plan()
    other = plan.changed(configurations={"3d": plan.configuration("3d"), "2d": plan.configuration("3d")})
    add_times(run, {Stage("train", "3d", 0): Passed(10, 10), Stage("train", "2d", 0): Passed(10, 10)})
    assert read_time_spent(run).of_run(other, ["3d"]) == 10


def test_a_renamed_stage_takes_all_of_its_time_along(run) -> None:
    add_times(run, {FOLDS[0]: Passed(10, 7), FOLDS[1]: Passed(10)})
    rename_stage(run, FOLDS[0], FOLDS[1])
    spent = read_time_spent(run)
    assert (spent.of(FOLDS[0]), spent.of(FOLDS[1]), spent.total) == (0, 27, 20)


def test_the_use_of_a_budget_is_wall_time(run) -> None:
    for fold in (0, 1):
        add_times(run, {FOLDS[fold]: Passed(60, 60)})
        split = Split(train=("a",), val=("b",))
        write_finished(run, "3d", fold, finished_fold(fold, split, seconds_training=100.0, seconds_validation=10.0))
    used = budget_use(run, example_plan(time_budget_seconds=200.0))
    assert (used.used, used.spent) == pytest.approx((110, 120))


def test_it_is_told_what_counts(run) -> None:
    add_times(run, {FOLDS[0]: Passed(60, 60), FOLDS[1]: Passed(30)})
    spent = read_time_spent(run)
    assert spent.told(FOLDS[0].text) == "2 min, of which 1 min count: others ran beside it"
    assert spent.told(FOLDS[1].text) == "30 s"
