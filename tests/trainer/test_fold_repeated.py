"""A training is repeated by its events, bit for bit, whatever a clock says that is turned by hand."""

import pytest
import torch

from autoseg.machine.step_cost import StepCost
from autoseg.machine.threads import Threads
from tests.trainer.interrupted import same, weights
from tests.trainer.turned_clock import PLANNED, train
from trainer.fold import train_fold
from trainer.learner import Learner


@pytest.mark.parametrize("looks_every", [0, 2])
def test_a_repeated_training_has_the_same_events_and_weights(tiny_run, hands, monkeypatch, looks_every: int) -> None:
    hands.learns = True
    before = torch.get_num_threads()
    counts = iter([2] * 10 + [1] * 45 + [2] * 1000)
    monkeypatch.setattr(Threads, "choose", lambda self: setattr(self, "count", next(counts)) or self.count)
    hands.seconds_a_step = lambda now: 0.4 if now < 20 else 2.0
    planned = PLANNED | {"validate_every": looks_every}
    first = tiny_run("first", **planned)
    summary = train(first)
    kinds = {event.kind for event in summary.events}
    assert kinds == {"lengthened", "shortened", "threads"}
    # on a clock that says something else
    monkeypatch.setattr(Threads, "choose", lambda self: self.count)
    hands.seconds_a_step = lambda now: 7.0
    again = tiny_run("again", **planned)
    repeated = train(again, follows=summary)
    assert repeated.events == summary.events
    assert repeated.steps == summary.steps
    assert same(weights(again), weights(first))
    assert torch.get_num_threads() == before


def test_interrupted_between_steps_it_ends_with_the_weights_of_its_events(tiny_run, hands, monkeypatch) -> None:
    hands.learns = True
    counts = iter([2] * 12 + [1] * 30 + [2] * 10 + [1] * 1000)
    monkeypatch.setattr(Threads, "choose", lambda self: setattr(self, "count", next(counts)) or self.count)
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
    summary = train(run)
    assert summary.events
    monkeypatch.setattr(Learner, "step", real)
    monkeypatch.setattr(Threads, "choose", lambda self: self.count)
    undisturbed = tiny_run("undisturbed", **PLANNED)
    train(undisturbed, follows=summary)
    assert same(weights(undisturbed), weights(run))


@pytest.mark.parametrize("asked", [{"seconds": 45.0}, {"epochs": 7}])
def test_a_length_that_was_asked_for_is_repeated_too(tiny_run, hands, monkeypatch, asked: dict) -> None:
    hands.learns = True
    hands.seconds_a_step = lambda now: 0.8
    monkeypatch.setattr("trainer.open_fold.measure_step", lambda *_, **__: StepCost(2.0, 0))
    first, again = tiny_run("first", **PLANNED), tiny_run("again", **PLANNED)
    summary = train(first, **asked)
    repeated = train(again, follows=summary)
    assert (repeated.steps, repeated.iterations) == (summary.steps, summary.iterations) != (60, 60)
    assert same(weights(again), weights(first))
