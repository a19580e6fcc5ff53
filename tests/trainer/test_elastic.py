"""Folds on a clock that is turned by hand: a step takes what the test says, and nothing else takes any time."""

import csv
from collections.abc import Callable

import pytest
import torch

from autoseg.errors import OtherPace
from autoseg.machine import clock
from autoseg.machine.step_cost import StepCost
from autoseg.machine.threads import Threads
from autoseg.plan.plan import read_plan, write_plan
from autoseg.run_folder.finished_fold import Finished
from autoseg.run_folder.paths import RunFolder
from tests.trainer.interrupted import same, weights
from tests.words import on_one_line
from trainer.data.batches import BatchLoader
from trainer.fold import train_fold
from trainer.learner import Learner

PLANNED = {"iterations": 60, "iterations_per_epoch": 3, "seconds": 60.0, "validate_every": 0}
"""A second a step."""


class Hands:
    """The clock, and what a step takes at each second of it; only where `learns` does it learn anything."""

    def __init__(self, monkeypatch) -> None:
        self.now, self.learns = 1000.0, False
        self.seconds_a_step: Callable[[float], float] = lambda now: 1.0
        monkeypatch.setattr(clock, "now", lambda: self.now)
        real = Learner.step

        def step(learner, *arguments):
            self.now += self.seconds_a_step(self.now - 1000.0)
            return real(learner, *arguments) if self.learns else (0.5, torch.ones((3, 1)))

        monkeypatch.setattr(Learner, "step", step)


@pytest.fixture
def hands(monkeypatch) -> Hands:
    return Hands(monkeypatch)


def finished(run: RunFolder) -> Finished:
    return Finished.model_validate_json(run.finished("3d", 0).read_text(encoding="utf-8"))


def train(run: RunFolder, **options) -> Finished:
    train_fold(run, "3d", 0, device="cpu", workers=0, **options)
    return finished(run)


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
    monkeypatch.setattr("trainer.fold_state.measure_step", lambda *_: StepCost(0.5, 0))
    hands.seconds_a_step = lambda now: 0.5 if now < 10 else 1.0
    summary = train(run, seconds=20.0)
    rows = list(csv.DictReader((run.fold("3d", 0) / "log.csv").open(encoding="utf-8")))
    assert [int(row["step"]) for row in rows] == [*range(2, summary.steps, 2), summary.steps]
    assert summary.seconds_training == pytest.approx(20, rel=0.06)


def test_epochs_fix_the_length_whatever_the_clock_says(tiny_run, hands, capfd) -> None:
    hands.seconds_a_step = lambda now: 5.0
    summary = train(tiny_run(**PLANNED), epochs=10, seconds_from_now=20.0)
    assert (summary.steps, summary.events) == (30, ())
    assert "30 steps, as you wrote, take 2 min 30 s" in on_one_line(capfd.readouterr().err)


def as_planned(run: RunFolder) -> None:
    """Take the plan that stands for what autoseg wrote."""
    run.planned.write_bytes(run.plan.read_bytes())


def edit(run: RunFolder, **changes) -> None:
    plan = read_plan(run.plan)
    configuration = plan.configurations["3d"]
    training = configuration.training.changed(**changes)
    changed = {"3d": configuration.changed(training=training)}
    write_plan(run.plan, plan.changed(configurations=changed), {})


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


def test_another_pace_is_raised_only_where_it_can_be_planned_for(tiny_run, hands, capfd) -> None:
    hands.seconds_a_step = lambda now: 0.3
    run = tiny_run(**PLANNED)
    with pytest.raises(OtherPace) as found:
        train(run, at_other_pace="raise")
    assert (found.value.planned, found.value.real) == pytest.approx((1.0, 0.3))
    assert train(run).seconds_training == pytest.approx(60, rel=0.1), "it can be gone on with"
    told = tiny_run("told", **PLANNED)
    train(told, at_other_pace="tell")
    assert "planning again" in on_one_line(capfd.readouterr().err)
    near = tiny_run("near", **PLANNED)
    hands.seconds_a_step = lambda now: 0.75
    train(near, at_other_pace="raise")


@pytest.mark.parametrize("seconds", [2.0, 4.0, 8.0])
def test_a_much_slower_machine_is_raised_too(tiny_run, hands, seconds: float) -> None:
    hands.seconds_a_step = lambda now: seconds
    with pytest.raises(OtherPace) as found:
        train(tiny_run(**PLANNED), at_other_pace="raise")
    assert found.value.real == pytest.approx(seconds)


def test_a_slow_pace_beside_other_programs_is_not_the_machines(tiny_run, hands, monkeypatch) -> None:
    monkeypatch.setattr(Threads, "leaves_cores", property(lambda self: True))
    hands.seconds_a_step = lambda now: 2.0
    train(tiny_run(**PLANNED), at_other_pace="raise")
    hands.seconds_a_step = lambda now: 0.3
    with pytest.raises(OtherPace):
        train(tiny_run("quick", **PLANNED), at_other_pace="raise")


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

    def step(learner, image, label, rate, done):
        real(learner, image, label, rate, done)
        return 0.5, counts * (done < 60)

    monkeypatch.setattr(Learner, "step", step)
    summary = train(tiny_run(**PLANNED), epochs=None, seconds_from_now=61.0, pace_before=1.0)
    assert all(event.kind != "restored" for event in summary.events)


def test_a_pace_of_a_length_or_time_that_a_person_wrote_is_no_reason_to_plan_again(tiny_run, hands) -> None:
    hands.seconds_a_step = lambda now: 0.3
    run = tiny_run(**PLANNED)
    as_planned(run)
    edit(run, seconds=30.0)
    train(run, at_other_pace="raise")


@pytest.mark.parametrize("looks_every", [0, 2])
def test_a_repeated_training_has_the_same_events_and_weights(tiny_run, hands, monkeypatch, looks_every: int) -> None:
    hands.learns = True
    before = torch.get_num_threads()
    counts = iter([2] * 20 + [1] * 15 + [2] * 1000)
    monkeypatch.setattr(Threads, "look", lambda self: setattr(self, "count", next(counts)) or self.count)
    hands.seconds_a_step = lambda now: 0.4 if now < 20 else 2.0
    planned = PLANNED | {"validate_every": looks_every}
    first = tiny_run("first", **planned)
    train_fold(first, "3d", 0, device="cpu", workers=0)
    summary = finished(first)
    kinds = {event.kind for event in summary.events}
    assert kinds == {"lengthened", "shortened", "threads"}
    # on a clock that says something else
    monkeypatch.setattr(Threads, "look", lambda self: self.count)
    hands.seconds_a_step = lambda now: 7.0
    again = tiny_run("again", **planned)
    repeated = train(again, follows=summary)
    assert repeated.events == summary.events
    assert repeated.steps == summary.steps
    assert same(weights(again), weights(first))
    assert torch.get_num_threads() == before


def test_interrupted_between_steps_it_ends_with_the_weights_of_its_events(tiny_run, hands, monkeypatch) -> None:
    hands.learns = True
    counts = iter([2] * 12 + [1] * 30 + [2] * 1000)
    monkeypatch.setattr(Threads, "look", lambda self: setattr(self, "count", next(counts)) or self.count)
    hands.seconds_a_step = lambda now: 0.4 if now < 20 else 2.0
    run = tiny_run("killed", **PLANNED)
    real, steps = Learner.step, []

    def step(learner, *arguments):
        steps.append(1)
        if len(steps) in (2, 9, 17, 40, 55):
            raise KeyboardInterrupt
        return real(learner, *arguments)

    monkeypatch.setattr(Learner, "step", step)
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            train_fold(run, "3d", 0, device="cpu", workers=0)
    train_fold(run, "3d", 0, device="cpu", workers=0)
    summary = finished(run)
    assert summary.events
    monkeypatch.setattr(Learner, "step", real)
    monkeypatch.setattr(Threads, "look", lambda self: self.count)
    undisturbed = tiny_run("undisturbed", **PLANNED)
    train(undisturbed, follows=summary)
    assert same(weights(undisturbed), weights(run))


@pytest.mark.parametrize("asked", [{"seconds": 45.0}, {"epochs": 7}])
def test_a_length_that_was_asked_for_is_repeated_too(tiny_run, hands, monkeypatch, asked: dict) -> None:
    hands.learns = True
    hands.seconds_a_step = lambda now: 0.8
    monkeypatch.setattr("trainer.fold_state.measure_step", lambda *_: StepCost(2.0, 0))
    first, again = tiny_run("first", **PLANNED), tiny_run("again", **PLANNED)
    summary = train(first, **asked)
    repeated = train(again, follows=summary)
    assert (repeated.steps, repeated.iterations) == (summary.steps, summary.iterations) != (60, 60)
    assert same(weights(again), weights(first))


def test_sequences_are_dropped_as_the_revised_length_asks_for(tiny_run, hands, monkeypatch) -> None:
    seen = []

    class Loader(BatchLoader):
        def __init__(self, folders, configuration, **options) -> None:
            seen.append((options["first_step"], configuration.training.sequence_dropout))
            super().__init__(folders, configuration, **options)

    monkeypatch.setattr("trainer.fold.BatchLoader", Loader)
    hands.seconds_a_step = lambda now: 0.25
    rule = {"full_dropout_from": 1200, "mirror_from": 20_000, "mirror": (0, 1, 2)}
    summary = train(tiny_run(**PLANNED, sequence_dropout=0.025, by_length=rule))
    assert seen[0] == (0, 0.025)
    assert seen[-1][1] == pytest.approx(0.5 * summary.steps / 1200, abs=0.001)
