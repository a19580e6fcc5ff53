"""Cases in three overlapping parts, beside the same parts in sequence."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from contextvars import ContextVar

import psutil
import pytest
import torch

from autoseg.machine import overlap
from autoseg.machine.overlap import WithinMemory, may_overlap, one_at_a_time, overlapped
from autoseg.machine.stop_answer import StopAsked
from tests.stopped_in_c import at_work, translate

SECONDS = 300.0
"""Longest wait for another thread; a test that waits so long fails."""


def always(_: object) -> bool:
    return True


def worked_on(together, count=4, *, failing=(), failed=None):
    """What every part did with some numbers, with events (part, item, begins or ends, thread), and the results."""
    events, lock = [], threading.Lock()

    def part(name, item, value):
        for what in ("begins", "ends"):
            with lock:
                events.append((name, item, what, threading.current_thread() is threading.main_thread()))
            if what == "begins" and (name, item) in failing:
                raise ValueError(f"{name} {item}")
        return value

    results = overlapped(
        list(range(count)),
        lambda i: part("prepare", i, 10 * i),
        lambda i, prepared: part("compute", i, prepared + 1),
        lambda i, computed: part("finish", i, computed + 2),
        together=together,
        failed=failed,
    )
    return results, events


@pytest.mark.parametrize("together", [always, one_at_a_time, lambda items: len(items) == 2])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_results_are_those_in_sequence(together, count) -> None:
    assert worked_on(together, count)[0] == [10 * i + 3 for i in range(count)]


def test_in_sequence_one_thread_does_everything_case_by_case() -> None:
    _, events = worked_on(one_at_a_time, 3)
    parts = ("prepare", "compute", "finish")
    assert events == [(part, i, what, True) for i in range(3) for part in parts for what in ("begins", "ends")]


def test_the_next_is_prepared_and_the_one_before_finished_while_one_is_computed() -> None:
    begun = {("prepare", 2): threading.Event(), ("finish", 0): threading.Event()}

    def prepare(i):
        begun.get(("prepare", i), threading.Event()).set()

    def compute(i, _):
        assert threading.current_thread() is threading.main_thread()
        if i == 1:
            assert all(event.wait(SECONDS) for event in begun.values()), "both run beside the second item"

    def finish(i, _):
        begun.get(("finish", i), threading.Event()).set()

    overlapped([0, 1, 2], prepare, compute, finish, together=always)


def test_at_most_one_item_is_in_each_part() -> None:
    busy, most = dict.fromkeys(("prepare", "compute", "finish"), 0), []
    lock = threading.Lock()

    def part(name):
        with lock:
            busy[name] += 1
            most.append(max(busy.values()))
        time.sleep(0.002)
        with lock:
            busy[name] -= 1

    items = list(range(12))
    overlapped(
        items, lambda i: part("prepare"), lambda i, _: part("compute"), lambda i, _: part("finish"), together=always
    )
    assert len(most) == 36 and max(most) == 1


@pytest.mark.parametrize(("most", "expected"), [(1, 1), (2, 2), (3, 3)])
def test_no_more_items_are_alive_than_the_memory_holds(most, expected) -> None:
    alive, lock, seen = set(), threading.Lock(), []

    def prepare(i):
        with lock:
            alive.add(i)
            seen.append(len(alive))

    def finish(i, _):
        time.sleep(0.01)
        with lock:
            alive.remove(i)

    def compute(i, _):
        time.sleep(0.005)

    overlapped(list(range(8)), prepare, compute, finish, together=lambda items: len(items) <= most)
    assert max(seen) <= expected
    assert most == 3 or max(seen) == expected


def test_what_fits_is_a_share_of_the_memory_that_was_free_before(monkeypatch) -> None:
    monkeypatch.setattr(overlap, "free_memory", lambda: 100)
    fits = WithinMemory({"a": 25, "b": 50, "c": 1, "unknown": None}.get)
    assert fits(["a", "b"]) and not fits(["a", "b", "c"]) and not fits(["a", "unknown"])
    monkeypatch.setattr(overlap, "free_memory", lambda: 60)
    assert fits(["b", "a"]) and not fits(["a", "b"]), "another program took memory that the last one needs"


def test_an_error_is_raised_in_its_turn() -> None:
    with pytest.raises(ValueError, match="finish 0"):
        worked_on(always, failing={("finish", 0), ("compute", 1), ("prepare", 2)})
    with pytest.raises(ValueError, match="prepare 1"):
        worked_on(always, failing={("prepare", 1), ("compute", 2)})


@pytest.mark.parametrize("together", [always, one_at_a_time])
@pytest.mark.parametrize("part", ["prepare", "compute", "finish"])
@pytest.mark.parametrize("item", [0, 1, 3])
def test_where_an_error_has_a_result_the_others_go_on(together, part, item) -> None:
    results, _ = worked_on(together, failing={(part, item)}, failed=lambda i, error: str(error))
    assert results == [f"{part} {i}" if i == item else 10 * i + 3 for i in range(4)]


@pytest.mark.parametrize("part", ["compute", "finish"])
def test_a_stop_that_became_an_error_of_an_item_ends_all(part) -> None:
    def work(item, *_):
        if item == 1 and part == "compute":
            translate(signal.SIGTERM)
        return item

    def finish(item, _):
        if item == 1 and part == "finish":
            translate(signal.SIGTERM)

    failures = []
    with at_work(), pytest.raises(StopAsked):
        overlapped([0, 1, 2], work, work, finish, together=one_at_a_time, failed=lambda *told: failures.append(told))
    assert failures == []


def test_a_preparation_that_lacked_memory_beside_others_is_repeated_alone() -> None:
    where, finished = [], []

    def prepare(i):
        where.append((i, threading.current_thread() is threading.main_thread()))
        if i == 2 and not where[-1][1]:
            raise MemoryError
        if i == 2:
            assert finished == [0, 1], "nothing else is in memory"
        return i

    assert overlapped([0, 1, 2, 3], prepare, lambda i, p: p, lambda i, c: finished.append(c), together=always)
    assert [call for call in where if call[0] == 2] == [(2, False), (2, True)]
    assert finished == [0, 1, 2, 3]


def test_arrays_are_freed_when_a_part_empties_what_it_was_given() -> None:
    class Array:
        pass

    kept = []

    def prepare(i):
        array = Array()
        kept.append(weakref.ref(array))
        return [array]

    def compute(i, held):
        held.clear()
        gc.collect()
        assert kept[i]() is None

    overlapped([0, 1, 2], prepare, compute, lambda i, c: None, together=always)


def test_parts_know_the_context_of_the_caller() -> None:
    place, seen = ContextVar("place", default="none"), []
    token = place.set("staging")
    try:
        overlapped(
            [0, 1, 2],
            lambda i: seen.append(place.get()),
            lambda i, _: None,
            lambda i, _: seen.append(place.get()),
            together=always,
        )
    finally:
        place.reset(token)
    assert seen == ["staging"] * 6


@pytest.mark.parametrize(("device", "overlaps"), [("cpu", False), ("cuda", True), ("cuda:1", True), ("mps", True)])
def test_a_cpu_that_computes_itself_does_one_thing_at_a_time(device, overlaps) -> None:
    together = may_overlap(torch.device(device), lambda item: 1)
    assert (together is not one_at_a_time) == overlaps
    assert together(["a", "b"]) == overlaps


STOPPED = """
    import sys, time
    from pathlib import Path
    from autoseg.files import replaced_when_done
    from autoseg.machine.overlap import overlapped

    folder = Path(sys.argv[1])

    def finish(item, _):
        with replaced_when_done(folder / f"{item}.txt") as temporary:
            temporary.write_text("begun")
            (folder / "writing").touch()
            time.sleep(1)
            temporary.write_text("complete")

    def compute(item, _):
        time.sleep(0 if item == 0 else 900)

    overlapped([0, 1, 2, 3], lambda item: time.sleep(0.2), compute, finish, together=lambda items: True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signal to one process")
def test_ctrl_c_ends_the_threads_and_leaves_no_half_written_file(tmp_path) -> None:
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(STOPPED), str(tmp_path)], stderr=subprocess.PIPE)
    try:
        begun = time.monotonic()
        while not (tmp_path / "writing").exists():
            assert process.poll() is None and time.monotonic() < begun + SECONDS
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        told = process.communicate(timeout=SECONDS)[1].decode()
    finally:
        process.kill()
    assert "KeyboardInterrupt" in told
    assert not psutil.pid_exists(process.pid)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.txt", "writing"]
    assert (tmp_path / "0.txt").read_text() == "complete"
