"""The time of a fold is used, whatever a step takes, on a clock that is turned by hand."""

import csv

import pytest
import torch

from autoseg.machine.step_cost import StepCost
from tests.trainer.turned_clock import PLANNED, train
from trainer.data.batches import BatchLoader
from trainer.learner import Learner


@pytest.mark.parametrize("seconds", [0.09, 0.25, 0.8, 1.0, 1.3, 2.4, 9.0])
def test_the_time_is_used_whatever_a_step_really_takes(tiny_run, hands, seconds: float) -> None:
    hands.seconds_a_step = lambda now: seconds
    summary = train(tiny_run(**PLANNED))
    assert summary.seconds_training == pytest.approx(summary.steps * seconds)
    assert 0.88 * 60 <= summary.seconds_training <= 1.05 * 60 + seconds
    assert len(summary.events) <= 2, "revisions are few"


@pytest.mark.parametrize(
    ("disturbed", "slower"),
    [((0.0, 20.0), 4.0), ((20.0, 40.0), 2.2), ((0.0, 1e9), 2.2), ((40.0, 1e9), 3.0), ((0.0, 3.0), 10.0)],
)
def test_what_others_do_meanwhile_changes_the_length_and_not_the_time(tiny_run, hands, disturbed, slower) -> None:
    begin, end = disturbed
    hands.seconds_a_step = lambda now: 0.5 * (slower if begin <= now < end else 1.0)
    summary = train(tiny_run(**PLANNED))
    assert 0.88 * 60 <= summary.seconds_training <= 1.05 * 60 + 0.5 * slower
    assert len(summary.events) <= 6


def test_the_share_of_a_run_goes_before_the_plans_time(tiny_run, hands) -> None:
    assert train(tiny_run(**PLANNED), seconds_from_now=90.0).seconds_training == pytest.approx(90, rel=0.05)
    assert train(tiny_run("shorter", **PLANNED), seconds_from_now=30.0).seconds_training == pytest.approx(30, rel=0.05)


def test_a_schedule_that_was_far_too_long_is_shortened_and_annealed(tiny_run, hands) -> None:
    hands.seconds_a_step = lambda now: 0.03
    run = tiny_run(iterations=20_000, iterations_per_epoch=20, seconds=8.0, validate_every=0)
    summary = train(run)
    assert summary.events[0].kind == "shortened"
    assert summary.steps == summary.events[-1].iterations < 300
    rows = list(csv.DictReader((run.fold("3d", 0) / "log.csv").open(encoding="utf-8")))
    assert float(rows[-1]["learning_rate"]) < 0.02 * 3e-3
    assert summary.seconds_training == pytest.approx(8, rel=0.05)


def test_a_fold_begins_with_the_pace_of_those_before_it(tiny_run, hands) -> None:
    hands.seconds_a_step = lambda now: 0.25
    summary = train(tiny_run(**PLANNED), pace_before=0.25)
    (event,) = summary.events
    assert (event.kind, event.step, event.iterations) == ("lengthened", 0, 240)
    assert summary.steps == 240
    near = train(tiny_run("near", **PLANNED), pace_before=0.95, seconds_from_now=60.0)
    assert near.events == () or near.events[0].step > 0


def test_a_machine_that_stops_working_within_an_epoch_does_not_overrun(tiny_run, hands) -> None:
    hands.seconds_a_step = lambda now: 1.0 if now < 55 else 20.0
    summary = train(tiny_run(**PLANNED))
    assert summary.seconds_training <= 1.05 * 60 + 20
    assert summary.events[-1].iterations == summary.steps


def test_a_fold_that_is_given_time_has_epochs_at_which_it_is_revised(tiny_run, hands, monkeypatch) -> None:
    run = tiny_run(iterations=1000, iterations_per_epoch=250)
    # 0.9 * 20 s at 0.5 s a step are 36 steps: epochs of 2
    monkeypatch.setattr("trainer.open_fold.measure_step", lambda *_, **__: StepCost(0.5, 0))
    hands.seconds_a_step = lambda now: 0.5 if now < 10 else 1.0
    summary = train(run, seconds=20.0)
    rows = list(csv.DictReader((run.fold("3d", 0) / "log.csv").open(encoding="utf-8")))
    assert [int(row["step"]) for row in rows] == [*range(2, summary.steps, 2), summary.steps]
    assert summary.seconds_training == pytest.approx(20, rel=0.06)


def test_a_fold_that_goes_on_keeps_the_share_that_it_had(tiny_run, hands, monkeypatch) -> None:
    run = tiny_run(**PLANNED)
    real, steps = Learner.step, []

    def step(learner, *arguments):
        steps.append(1)
        if len(steps) == 70:
            raise KeyboardInterrupt
        return real(learner, *arguments)

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(KeyboardInterrupt):
        train(run, seconds_from_now=90.0)
    # by stages no share is given, and the plan has 60 s alone
    summary = train(run)
    assert summary.seconds_training == pytest.approx(90, rel=0.06)


def test_the_last_part_of_an_epoch_is_no_collapse(tiny_run, hands, monkeypatch) -> None:
    hands.seconds_a_step = lambda now: 1.0
    real, counts = Learner.step, torch.ones((3, 1))

    def step(learner, batch, rate, done):
        real(learner, batch, rate, done)
        return torch.tensor(0.5), counts * (done < 60)

    monkeypatch.setattr(Learner, "step", step)
    summary = train(tiny_run(**PLANNED), epochs=None, seconds_from_now=61.0, pace_before=1.0)
    assert all(event.kind != "restored" for event in summary.events)


def test_sequences_are_dropped_as_the_revised_length_asks_for(tiny_run, hands, monkeypatch) -> None:
    seen = []

    class Loader(BatchLoader):
        def __init__(self, folders, configuration, **options) -> None:
            seen.append((options["first_step"], configuration.training.sequence_dropout))
            super().__init__(folders, configuration, **options)

    monkeypatch.setattr("trainer.fold_batches.BatchLoader", Loader)
    hands.seconds_a_step = lambda now: 0.25
    rule = {"full_dropout_from": 1200, "mirror_from": 20_000, "mirror": (0, 1, 2)}
    summary = train(tiny_run(**PLANNED, sequence_dropout=0.025, by_length=rule))
    assert seen[0] == (0, 0.025)
    assert seen[-1][1] == pytest.approx(0.5 * summary.steps / 1200, abs=0.001)
