"""What other programs use, against programs that use it."""

import subprocess
import sys
import time

import pytest

from autoseg.machine.other_programs import OtherPrograms, Usage

SPIN = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"


def test_shares_are_those_of_the_time_between_looks() -> None:
    clock, busy, own = iter([0.0, 4.0, 6.0]), iter([10.0, 16.0, 16.0]), iter([1.0, 3.0, 3.0])
    programs = OtherPrograms(lambda: next(busy), lambda: next(own), lambda: next(clock))
    usage = programs.measure()
    assert (usage.seconds, usage.others, usage.own) == pytest.approx((4.0, 1.0, 0.5))
    usage = programs.measure()
    assert (usage.seconds, usage.others, usage.own) == pytest.approx((2.0, 0.0, 0.0))


def test_counts_that_run_apart_give_no_less_than_nothing() -> None:
    clock, busy, own = iter([0.0, 1.0]), iter([10.0, 10.9]), iter([1.0, 2.0])
    assert OtherPrograms(lambda: next(busy), lambda: next(own), lambda: next(clock)).measure().others == 0


@pytest.mark.alone
def test_a_child_of_this_process_is_no_other_program_and_a_stranger_is() -> None:
    # what else this machine does while it tests is the same for both, more or less
    child = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        beside_child = look_after_a_while()
    finally:
        child.kill()
        child.wait()
    # started through a shell that ends at once, it is nobody's child
    stranger = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "$1" >/dev/null 2>&1 & echo $!', "sh", SPIN],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    try:
        beside_stranger = look_after_a_while()
    finally:
        subprocess.run(["kill", stranger.strip()], check=False)
    if beside_child.others > 0.5:
        pytest.skip("other programs compute on this machine, so that one more would not show")
    assert beside_child.own > beside_stranger.own + 0.3
    assert beside_stranger.others > beside_child.others + 0.3


def look_after_a_while() -> Usage:
    """What is used over two seconds, once what was started has come up."""
    programs = OtherPrograms()
    time.sleep(0.5)
    programs.measure()
    time.sleep(2)
    return programs.measure()
