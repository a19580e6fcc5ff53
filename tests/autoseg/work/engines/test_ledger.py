"""Which units can be placed, tried again, given up: a run of five units, by hand."""

import pytest

from autoseg.work.engines.ledger import Ended, Ledger, told_failures
from autoseg.work.unit import Needs, Unit

NEEDS = Needs(1, None, 0, None)
UNITS = (
    Unit("plan", "plan", NEEDS, ()),
    Unit("prepare", "prepare", NEEDS, ("plan",)),
    Unit("train-0", "train", NEEDS, ("prepare",)),
    Unit("train-1", "train", NEEDS, ("prepare",)),
    Unit("report", "report", NEEDS, ("train-0", "train-1")),
)
GOOD, LOST, REFUSED = Ended(0), Ended(None, "node 7", "its node was lost"), Ended(2, "node 7", "no such file", "a.log")


def ready(ledger: Ledger) -> list[str]:
    return [unit.name for unit in ledger.take_ready()]


def begun(retries: int = 2) -> Ledger:
    """Plan and preparation are done, and both trainings are placed."""
    ledger = Ledger(UNITS, retries, {"plan", "prepare"})
    assert ready(ledger) == ["train-0", "train-1"]
    return ledger


def test_a_unit_is_placed_once_those_before_it_are_done_and_once_alone() -> None:
    ledger = Ledger(UNITS, 0, set())
    assert ready(ledger) == ["plan"] and ready(ledger) == []
    assert ledger.end("plan", GOOD) == "done" and ready(ledger) == ["prepare"]
    ledger.end("prepare", GOOD)
    assert ready(ledger) == ["train-0", "train-1"]
    ledger.end("train-1", GOOD)
    assert ready(ledger) == []
    ledger.end("train-0", GOOD)
    assert ready(ledger) == ["report"] and ledger.end("report", GOOD) == "done"
    assert not ledger.failed and ledger.not_begun() == []


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_unit_is_tried_again_as_often_as_was_set(retries) -> None:
    ledger = begun(retries)
    for _ in range(retries):
        assert ledger.end("train-0", LOST) == "again" and ready(ledger) == ["train-0"]
    assert ledger.end("train-0", LOST) == "failed" and ready(ledger) == []
    ledger.end("train-1", GOOD)
    assert ledger.not_begun() == ["report"] and list(ledger.failed) == ["train-0"]


def test_an_error_of_the_user_is_not_tried_again_and_is_told_with_its_log() -> None:
    ledger = begun()
    assert ledger.end("train-0", REFUSED) == "failed"
    told = told_failures(ledger)
    assert "1 unit failed" in told and "train-0: failed: no such file (on node 7); what it printed: a.log" in told
    assert "not begun, since they wait for these: report" in told
    ledger.end("train-1", Ended(1)), ledger.end("train-1", Ended(1)), ledger.end("train-1", Ended(1))
    told = told_failures(ledger)
    assert "2 units failed" in told and "train-1: failed in 3 tries: it ended with status 1" in told


def test_units_that_follow_from_the_plan_take_the_place_of_those_before() -> None:
    ledger = Ledger(UNITS[:1], 0, set())
    ready(ledger)
    ledger.end("plan", GOOD)
    ledger.units = UNITS
    assert ready(ledger) == ["prepare"]


WITH_RESULTS = (*UNITS[:1], Unit("other", "prepare", NEEDS, ("plan",)), *UNITS[1:4])
WITH_RESULTS += (Unit("train-2", "train", NEEDS, ("other",)),)
WITH_RESULTS += (Unit("results", "study", NEEDS, ("plan",), ("train-0", "train-1", "train-2")),)


def test_what_waits_for_the_end_of_others_begins_once_none_of_them_can_go_on() -> None:
    ledger = Ledger(WITH_RESULTS, 1, {"plan", "prepare"})
    assert ready(ledger) == ["other", "train-0", "train-1"]
    # train-2 never begins
    assert ledger.end("other", REFUSED) == "failed" and ready(ledger) == []
    ledger.end("train-0", GOOD)
    assert ready(ledger) == [] and ledger.end("train-1", LOST) == "again"
    assert ready(ledger) == ["train-1"] and ledger.end("train-1", LOST) == "failed"
    assert ready(ledger) == ["results"] and ledger.end("results", GOOD) == "done"
    assert set(ledger.failed) == {"other", "train-1"} and ledger.not_begun() == ["train-2"]


def test_without_a_plan_there_are_no_results() -> None:
    ledger = Ledger(WITH_RESULTS, 0, set())
    assert ready(ledger) == ["plan"] and ledger.end("plan", LOST) == "failed" and ready(ledger) == []
    assert "results" in ledger.not_begun()
