"""Time of work, on clocks that are turned by hand and by stopping a real process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autoseg.machine.clock import WorkingTime

ROOT = Path(__file__).parents[3]


class Hands:
    """A wall clock and a processor clock that are set by hand."""

    def __init__(self) -> None:
        self.wall, self.processor, self.in_debugger = 100.0, 5.0, False
        self.clock = WorkingTime(lambda: self.wall, lambda: self.processor, lambda: self.in_debugger)

    def pass_by(self, seconds: float, computed: float) -> float:
        """Seconds that count of these."""
        before = self.clock.now()
        self.wall += seconds
        self.processor += computed
        return self.clock.now() - before


def test_work_counts_and_a_stopped_process_does_not() -> None:
    hands = Hands()
    assert hands.pass_by(0.25, 0.25) == pytest.approx(0.25)
    assert hands.pass_by(600, 0.01) == 0, "a laptop that slept"
    assert hands.pass_by(0.5, 0.0) == pytest.approx(0.5), "waiting for a disk, watched all the while"
    assert hands.pass_by(30, 29) == pytest.approx(30), "a library that holds the interpreter and computes"
    assert hands.pass_by(3.0, 0.4) == pytest.approx(3.0), "a machine so busy that the watch came late"


def test_a_person_at_a_debugger_does_not_count() -> None:
    hands = Hands()
    hands.in_debugger = True
    assert hands.pass_by(0.25, 0.0) == 0
    hands.in_debugger = False
    assert hands.pass_by(0.25, 0.0) == pytest.approx(0.25)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system stops no processes")
def test_a_process_that_is_stopped_does_not_count_the_time() -> None:
    code = (
        "import sys, time; from autoseg.machine import clock\n"
        "start, wall = clock.now(), time.monotonic()\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(clock.now() - start, time.monotonic() - wall)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(4)
    os.kill(process.pid, signal.SIGCONT)
    answer, _ = process.communicate("go on\n", timeout=60)
    worked, wall = map(float, answer.split())
    assert wall >= 4
    assert wall - worked >= 3.5


def test_a_pdb_prompt_does_not_count() -> None:
    code = (
        "import pdb, time; from autoseg.machine import clock\n"
        "start, wall = clock.now(), time.monotonic()\n"
        "pdb.set_trace()\n"
        "print('took', clock.now() - start, time.monotonic() - wall)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = ""
    while "(Pdb)" not in told:
        told += process.stdout.read(1)
    time.sleep(3)
    answer, _ = process.communicate("continue\n", timeout=60)
    worked, wall = map(float, answer.split("took")[1].split())
    assert wall >= 3
    assert wall - worked >= 2


GARBAGE_WHILE_THE_CLOCK_IS_READ = """
import gc, threading
from autoseg.machine import clock

class Cycle:
    def __init__(self):
        self.itself = self
        self.local = threading.local()
        self.local.value = 1

def deeper(turn):
    # another number of objects each time, so that the collection begins at every place once
    kept = [[] for _ in range(turn % 53)]
    Cycle()
    clock._main_thread_waits_in_debugger()

gc.set_threshold(50)
for turn in range(5000):
    deeper(turn)
assert gc.isenabled()
print("read")
"""


def test_garbage_that_is_collected_meanwhile_does_not_stop_the_process() -> None:
    command = [sys.executable, "-c", GARBAGE_WHILE_THE_CLOCK_IS_READ]
    assert subprocess.run(command, timeout=60, capture_output=True, text=True).stdout == "read\n"
