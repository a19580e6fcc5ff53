"""What other programs use, against programs that use it."""

import subprocess
import sys
import time

import pytest

from autoseg.cores import available_cores
from autoseg.other_programs import OtherPrograms

SPIN = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"


def test_shares_are_those_of_the_time_between_looks() -> None:
    clock, busy, own = iter([0.0, 4.0, 6.0]), iter([10.0, 16.0, 16.0]), iter([1.0, 3.0, 3.0])
    programs = OtherPrograms(lambda: next(busy), lambda: next(own), lambda: next(clock))
    usage = programs.look()
    assert (usage.seconds, usage.others, usage.own) == pytest.approx((4.0, 1.0, 0.5))
    usage = programs.look()
    assert (usage.seconds, usage.others, usage.own) == pytest.approx((2.0, 0.0, 0.0))


def test_counts_that_run_apart_give_no_less_than_nothing() -> None:
    clock, busy, own = iter([0.0, 1.0]), iter([10.0, 10.9]), iter([1.0, 2.0])
    assert OtherPrograms(lambda: next(busy), lambda: next(own), lambda: next(clock)).look().others == 0


def test_a_child_of_this_process_is_no_other_program_and_a_stranger_is() -> None:
    programs = OtherPrograms()
    before = programs.look
    child = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        time.sleep(0.5)
        programs.look()
        time.sleep(2)
        of_child = before()
    finally:
        child.kill()
        child.wait()
    # what else this machine does while it tests is not known, so the child is asked for alone
    assert of_child.own > 0.3 * min(1, available_cores())
    # started through a shell that ends at once, it is nobody's child
    stranger = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "$1" >/dev/null 2>&1 & echo $!', "sh", SPIN],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    try:
        time.sleep(0.5)
        programs.look()
        time.sleep(2)
        of_stranger = programs.look()
    finally:
        subprocess.run(["kill", stranger.strip()], check=False)
    assert of_stranger.others > 0.3
    assert of_stranger.own < 0.5
