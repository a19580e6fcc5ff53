"""A length or a time that a person wrote is kept to, on a clock that is turned by hand."""

import pytest

from autoseg.plan.plan import read_plan, write_plan
from autoseg.run_folder.paths import RunFolder
from tests.example_plan import with_training
from tests.trainer.turned_clock import PLANNED, train
from tests.words import on_one_line


def as_planned(run: RunFolder) -> None:
    """Take the plan that stands for what autoseg wrote."""
    run.planned.write_bytes(run.plan.read_bytes())


def edit(run: RunFolder, **changes) -> None:
    write_plan(run.plan, with_training(read_plan(run.plan), **changes), {})


@pytest.mark.parametrize("share", [20.0, None])
def test_epochs_fix_the_length_whatever_the_clock_says(tiny_run, hands, capfd, share) -> None:
    hands.seconds_a_step = lambda now: 5.0
    summary = train(tiny_run(**PLANNED), epochs=10, seconds_from_now=share)
    assert (summary.steps, summary.events) == (30, ())
    told = on_one_line(capfd.readouterr().err)
    assert "30 steps, as you wrote, take 2 min 30 s" in told
    # on many machines nobody shares out a time where there are epochs
    assert ("more than its time" in told) == (share is not None)


def test_iterations_that_a_person_wrote_are_never_overridden(tiny_run, hands, capfd) -> None:
    run = tiny_run(**PLANNED)
    as_planned(run)
    edit(run, iterations=40)
    summary = train(run, seconds_from_now=20.0)
    assert (summary.steps, summary.events) == (40, ())
    assert "40 steps, as you wrote" in on_one_line(capfd.readouterr().err)


def test_a_time_that_a_person_wrote_goes_before_the_share(tiny_run, hands) -> None:
    run = tiny_run(**PLANNED)
    as_planned(run)
    edit(run, seconds=30.0)
    assert train(run, seconds_from_now=90.0).seconds_training == pytest.approx(30, rel=0.05)


def test_a_pace_of_a_length_or_time_that_a_person_wrote_is_no_reason_to_plan_again(tiny_run, hands) -> None:
    hands.seconds_a_step = lambda now: 0.3
    run = tiny_run(**PLANNED)
    as_planned(run)
    edit(run, seconds=30.0)
    train(run, at_other_pace="raise")
