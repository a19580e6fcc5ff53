"""Threads follow the cores that other programs leave."""

import pytest
import torch

from autoseg.machine import threads as module
from autoseg.machine.other_programs import Usage
from autoseg.machine.threads import (
    CHECKS_THAT_AGREE,
    MOST_SECONDS_BEFORE_MORE,
    SECONDS_BEFORE_MORE,
    Threads,
    computing_with,
)


class Machine:
    """Cores, and others that use some of them; every look is half a second later."""

    def __init__(self, monkeypatch, cores: int) -> None:
        self.now, self.others, self.seconds_since = 0.0, 0.0, 1.0
        monkeypatch.setattr(module, "available_cores", lambda: cores)
        monkeypatch.setattr(module, "default_threads", lambda: cores)

    def measure(self) -> Usage:
        self.now += 0.5
        return Usage(0.5, self.others, 1.0)

    def threads(self, fixed: int | None = None) -> Threads:
        return Threads(fixed, others=self, now=lambda: self.now)  # type: ignore[arg-type]

    def looks_until(self, threads: Threads, count: int) -> int:
        for number in range(1, 1000):
            if threads.choose() == count:
                return number
        raise AssertionError(f"never {count} threads")


@pytest.mark.parametrize(
    ("cores", "others", "left"), [(2, 1.0, 1), (2, 0.3, 2), (2, 2.0, 1), (8, 1.0, 7), (8, 4.1, 4), (8, 20.0, 1)]
)
def test_threads_are_left_to_others_after_looks_that_agree(monkeypatch, cores: int, others: float, left: int) -> None:
    machine = Machine(monkeypatch, cores)
    threads = machine.threads()
    machine.others = others
    counts = [threads.choose() for _ in range(20)]
    assert counts[: CHECKS_THAT_AGREE - 1] == [cores] * (CHECKS_THAT_AGREE - 1), "a moment is no reason"
    assert set(counts[CHECKS_THAT_AGREE - 1 :]) == {left}


def test_they_are_taken_back_after_a_while_of_quiet(monkeypatch) -> None:
    machine = Machine(monkeypatch, 2)
    threads = machine.threads()
    machine.others = 1.0
    machine.looks_until(threads, 1)
    machine.others = 0.0
    waited = 0.5 * machine.looks_until(threads, 2)
    assert SECONDS_BEFORE_MORE <= waited <= SECONDS_BEFORE_MORE + 1


def test_who_comes_and_goes_is_waited_for_longer_each_time(monkeypatch) -> None:
    machine = Machine(monkeypatch, 2)
    threads = machine.threads()
    waits = []
    for _ in range(8):
        machine.others = 1.0
        machine.looks_until(threads, 1)
        machine.others = 0.0
        waits.append(0.5 * machine.looks_until(threads, 2))
    assert waits == sorted(waits)
    assert waits[-1] <= MOST_SECONDS_BEFORE_MORE + 1
    assert waits[3] >= 4 * SECONDS_BEFORE_MORE


def test_what_a_person_fixed_stays(monkeypatch) -> None:
    machine = Machine(monkeypatch, 2)
    threads = machine.threads(fixed=2)
    machine.others = 2.0
    assert {threads.choose() for _ in range(50)} == {2}
    threads.start_with(1)
    assert threads.count == 2


def test_an_earlier_start_on_a_larger_machine_takes_what_there_is(monkeypatch) -> None:
    threads = Machine(monkeypatch, 2).threads()
    threads.start_with(8)
    assert threads.count == 2
    threads.start_with(1)
    assert threads.count == 1


def test_torch_has_its_own_threads_back_afterwards() -> None:
    before = torch.get_num_threads()
    with computing_with(before + 1) as computing:
        assert torch.get_num_threads() == computing.count == before + 1
    assert torch.get_num_threads() == before
