"""Several devices have one wall time: what is left is divided by the rounds that are left."""

import math

import pytest

from autoseg.plan.time_shares import Queue, divide_budget, queues_of, rounds, seconds_of_next_fold, share_of_each


@pytest.mark.parametrize("folds", range(1, 12))
@pytest.mark.parametrize("devices", [1, 2, 3, 4, 8])
def test_rounds_are_the_folds_of_the_longest_queue(folds: int, devices: int) -> None:
    queues = queues_of(range(folds), devices)
    assert sorted(fold for queue in queues for fold in queue) == list(range(folds))
    assert rounds(folds, devices) == max(map(len, queues)) == math.ceil(folds / devices)


def test_a_fold_is_planned_longer_on_more_devices() -> None:
    alone = divide_budget(2400, 100, 20, 5, 1)
    planned = [divide_budget(2400, 100, 20, 5, 1, devices) for devices in (1, 2, 3, 4, 5, 8)]
    assert planned[0] == alone
    assert [rounds(5, devices) for devices in (1, 2, 3, 4, 5, 8)] == [5, 3, 2, 2, 1, 1]
    for time, turns in zip(planned, (5, 3, 2, 2, 1, 1), strict=True):
        assert turns * time.fold_seconds + time.kept_back + 100 == pytest.approx(2400)


def trained(devices: int, folds: int, left: float, *, done: dict[int, float] | None = None) -> dict[int, float]:
    """Seconds of every fold where each device takes the next one as soon as it is free; the clock is played here."""
    done = dict.fromkeys(range(folds), 0.0) | (done or {})
    waiting, begun, now = list(range(folds)), list[int](), 0.0
    until: dict[int, float] = {}
    while waiting or until:
        while waiting and len(until) < devices:
            order = [*begun, *waiting]
            unfinished = {*until, *waiting}
            seen = {fold: done[fold] - max(0.0, until.get(fold, now) - now) for fold in range(folds)}
            queues = [[fold for fold in queue if fold in unfinished] for queue in queues_of(order, devices)]
            shared = [Queue(tuple(seen[fold] for fold in queue), left - now) for queue in queues]
            fold = waiting.pop(0)
            more = seconds_of_next_fold(0.0, seen[fold], shared)
            begun.append(fold)
            until[fold], done[fold] = now + more, done[fold] + more
        first = min(until, key=lambda fold: until[fold])
        now = until.pop(first)
    assert now <= left * (1 + 1e-9)
    return done


@pytest.mark.parametrize(
    ("devices", "folds", "share"), [(1, 5, 5), (2, 5, 3), (3, 5, 2), (4, 5, 2), (5, 5, 1), (8, 5, 1), (2, 10, 5)]
)
def test_every_fold_has_the_same_time_to_the_end(devices: int, folds: int, share: int) -> None:
    assert list(trained(devices, folds, 900.0).values()) == pytest.approx([900.0 / share] * folds)


def test_what_folds_had_before_a_stop_is_part_of_their_share() -> None:
    # both folds of the first round were stopped at half of their 300 s, so that 750 of 900 s are left
    after = trained(2, 5, 750.0, done={0: 150.0, 1: 150.0})
    assert list(after.values()) == pytest.approx([300.0] * 5)


def test_the_device_with_most_to_do_decides() -> None:
    assert share_of_each([Queue((0.0, 0.0), 100.0), Queue((0.0,), 100.0), Queue((), 100.0)]) == 50.0
