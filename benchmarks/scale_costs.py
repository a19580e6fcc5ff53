"""What something took: of a function in a process of its own, or of processes that work at the same time.

"opened" counts the files and folders that were opened or listed. Linux alone, since the processes are forked.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType

from autoseg.errors import AutosegError

_FORK = multiprocessing.get_context("fork")
_OPENING = {"open", "os.listdir", "os.scandir"}


@dataclass(frozen=True)
class Cost:
    """What something took.

    Args:
        what: what was done.
        cases: number of cases.
        workers: number of processes.
        seconds: wall time; None where it was refused, or no case was done when it was broken off.
        processor: seconds of processor time of all processes.
        opened: number of files and folders that were opened or listed; None = not counted.
        done: cases that were done when it was broken off, from which the seconds are extrapolated; None = it ended.
        note: what else is to be known, such as why it was refused.
    """

    what: str
    cases: int
    workers: int
    seconds: float | None
    processor: float | None = None
    opened: int | None = None
    done: int | None = None
    note: str = ""


def alone(what: str, cases: int, function: Callable[[], object], note: str = "") -> Cost:
    """Measure a function in a process of its own."""
    ours, theirs = _FORK.Pipe(duplex=False)

    def inside() -> None:
        _say_nothing()
        opened = [0]
        sys.addaudithook(lambda event, _: opened.__setitem__(0, opened[0] + (event in _OPENING)))
        began, processor = time.perf_counter(), time.process_time()
        try:
            function()
        except AutosegError as error:
            theirs.send((None, None, None, str(error)))
            return
        theirs.send((time.perf_counter() - began, time.process_time() - processor, opened[0], note))

    process = _FORK.Process(target=inside)
    process.start()
    process.join()
    if process.exitcode or not ours.poll():
        raise RuntimeError(f"{what}: the process ended with {process.exitcode}")
    seconds, processor, count, said = ours.recv()
    return Cost(what, cases, 1, seconds, processor, count, note=said)


def import_what_needs(function: Callable[[], object]) -> None:
    """Import what a function imports where it is called, so that forked processes need not do it each."""
    ours, theirs = _FORK.Pipe(duplex=False)

    def inside() -> None:
        _say_nothing()
        function()
        theirs.send([name for name, module in sys.modules.items() if isinstance(module, ModuleType)])

    process = _FORK.Process(target=inside)
    process.start()
    # so that nothing is waited for where the process fails
    theirs.close()
    for name in ours.recv():
        # some modules are no files of their own
        with suppress(Exception):
            importlib.import_module(name)
    process.join()


def together(
    what: str, cases: int, work: Sequence[Callable[[], object]], done: Callable[[], int], limit: float
) -> Cost:
    """Let processes work at the same time, and measure until the last one ends.

    Args:
        what: what they do.
        cases: number of cases.
        work: what each of them does.
        done: tells how many cases are done.
        limit: seconds after which they are killed.
    """
    begin = _FORK.Event()

    def inside(function: Callable[[], object]) -> None:
        _say_nothing()
        begin.wait()
        function()

    processes = [_FORK.Process(target=inside, args=(function,)) for function in work]
    for process in processes:
        process.start()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    begin.set()
    for process in processes:
        process.join(max(0.0, began + limit - time.perf_counter()))
    seconds, broken_off = time.perf_counter() - began, any(process.is_alive() for process in processes)
    for process in processes:
        process.kill()
        process.join()
    if not broken_off and any(process.exitcode for process in processes):
        raise RuntimeError(f"{what}: a process ended with {[process.exitcode for process in processes]}")
    after, count = resource.getrusage(resource.RUSAGE_CHILDREN), done()
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if not broken_off:
        note = "" if count == cases else f"only {count} cases are done"
        return Cost(what, cases, len(work), seconds, processor, note=note)
    if not count:
        return Cost(what, cases, len(work), None, note=f"no case was done when it was broken off after {seconds:.0f} s")
    scale, note = cases / count, f"broken off after {seconds:.0f} s"
    return Cost(what, cases, len(work), seconds * scale, processor * scale, done=count, note=note)


def _say_nothing() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


@contextmanager
def replaced(module: ModuleType, **stand_ins: object) -> Iterator[None]:
    """Put stand-ins in the place of a module's functions while the block runs."""
    former = {name: getattr(module, name) for name in stand_ins}
    try:
        for name, stand_in in stand_ins.items():
            setattr(module, name, stand_in)
        yield
    finally:
        for name, function in former.items():
            setattr(module, name, function)
