"""How a budget was used, by accounts that are written by hand."""

from io import StringIO

import pytest
from rich.console import Console

from autoseg.commands.messages import say_time
from autoseg.plan.plan import write_plan
from autoseg.run_folder.budget_use import budget_use
from autoseg.run_folder.finished_fold import Event, write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split
from autoseg.run_folder.time_spent import add_time
from autoseg.run_folder.timed_stage import Stage
from inference.report.run_facts import run_facts
from tests.example_fold import finished_fold
from tests.example_plan import example_plan


def test_use_is_work_and_neither_planning_nor_waiting(tmp_path) -> None:
    run = RunFolder(tmp_path)
    for stage, seconds in {
        Stage("check"): 3,
        Stage("plan"): 7,
        Stage("preprocess", "3d"): 20,
        Stage("train", "3d", 0): 130,
        Stage("look ahead at report", "3d"): 5,
        Stage("report", "3d"): 10,
        Stage("select"): 2,
    }.items():
        add_time(run, stage, seconds)
    event = Event(kind="lengthened", step=40, iterations=90, rate_factor=1.0, reason="a step takes 0.1 s")
    threads = event.changed(kind="threads", threads=1, reason="others")
    of_fold = finished_fold(
        0,
        Split(train=("a",), val=("b",)),
        seconds_training=100.0,
        seconds_validation=15.0,
        events=(event, threads),
    )
    write_finished(run, "3d", 0, of_fold)
    planned = example_plan(time_budget_seconds=200.0, planned_again=("3d",))
    used = budget_use(run, planned)
    assert used.used == pytest.approx(20 + 100 + 15 + 10 + 2)
    assert used.spent == pytest.approx(177)
    assert used.revisions == ("3d: planned again after its first epochs", "3d, fold 0, step 40: a step takes 0.1 s")
    assert "planned 3 min 20 s, took 2 min 57 s (88%), of which 2 min 27 s for steps" in used.text()
    assert "2 revisions of schedules, 1 changes of threads" in used.text()
    assert (
        "no limit was planned, took 2 min 57 s, of" in budget_use(run, planned.changed(time_budget_seconds=None)).text()
    )


def test_a_run_over_its_time_is_told_once_and_the_same_by_screen_and_report(tmp_path) -> None:
    """A budget is wall time: also what is no work counts."""
    run = RunFolder(tmp_path)
    add_time(run, Stage("plan"), 31)
    add_time(run, Stage("preprocess", "3d"), 45)
    plan = example_plan(time_budget_seconds=60.0)
    console = Console(record=True, width=200, file=StringIO())
    say_time(console, run, plan)
    printed = console.export_text()
    assert printed.count("1 min 16 s (127%)") == 1 and printed.count("%") == 1
    assert "of which 45 s for steps" in printed
    write_plan(run.plan, plan, {})
    facts = {fact.what: fact.value for fact in run_facts(run, plan, "3d", []).times}
    assert facts["taken"] == "1 min 16 s (127% of the budget)"
    assert [value for value in facts.values() if "%" in value] == [facts["taken"]]
