"""A step is measured on a quiet machine by the clock, and on a busy one by processor time."""

import pytest
import torch

from autoseg.machine.other_programs import DISTURBING, Usage
from tests.trainer.tiny_run import make_plan, make_training
from trainer import measure
from trainer.learner import Learner


@pytest.fixture
def clocks(monkeypatch):
    """A wall clock on which each step takes 4 s, and a processor clock on which it takes 1 s with one thread."""

    class Clocks:
        wall, processor, others, at_first = 0.0, 0.0, 0.0, None

    def step(self, *arguments):
        Clocks.wall += 4.0
        Clocks.processor += 1.0 if torch.get_num_threads() == 1 else 7.0
        return torch.tensor(0.5), torch.zeros((3, 1))

    class Programs:
        seconds_since = 1.0

        def measure(self) -> Usage:
            others = Clocks.others if Clocks.at_first is None else Clocks.at_first
            Clocks.at_first = None
            return Usage(1.0, others, 1.0)

    monkeypatch.setattr(Learner, "step", step)
    monkeypatch.setattr(measure, "OtherPrograms", Programs)
    monkeypatch.setattr(measure, "available_cores", lambda: 2)
    monkeypatch.setattr("time.perf_counter", lambda: Clocks.wall)
    monkeypatch.setattr("time.process_time", lambda: Clocks.processor)
    return Clocks


def measured():
    plan = make_plan(make_training())
    return measure.measure_step(plan, plan.configurations["3d"], "cpu", threads=2)


def test_in_quiet_the_wall_clock_counts(clocks) -> None:
    clocks.others = DISTURBING / 2
    cost = measured()
    assert cost.seconds == 4.0 and not cost.disturbed


def test_beside_others_the_processor_time_of_one_thread_counts(clocks) -> None:
    clocks.others = 1.3
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        cost = measured()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert cost.seconds == pytest.approx(1.0 / 2**measure.GAIN_OF_THREADS)
    assert cost.disturbed and cost.others == 1.3


def test_who_begins_meanwhile_is_seen_too(clocks) -> None:
    clocks.others, clocks.at_first = 1.3, 0.0
    cost = measured()
    assert cost.seconds == pytest.approx(1.0 / 2**measure.GAIN_OF_THREADS)
    assert cost.disturbed


def test_others_cannot_use_more_than_there_is(clocks) -> None:
    clocks.others = 17.0
    assert measured().others == 2.0
