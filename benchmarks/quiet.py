"""Waits until other programs hardly use the machine, so that they do not disturb a measurement of time."""

from __future__ import annotations

import time

from autoseg.machine.other_programs import OtherPrograms
from autoseg.terminal import open_console

QUIET_CORES = 0.2
"""A machine is quiet if other programs use fewer cores than this."""

SECONDS_OF_A_LOOK = 2.0
MOST_SECONDS = 600.0
"""Longest time to wait for a quiet machine."""


def wait_until_quiet() -> float:
    """Wait until other programs hardly use the machine; a message says so if the first sample is not quiet.

    Returns:
        Cores that other programs used in the last sample; `QUIET_CORES` or more if the time limit was reached.
    """
    others, began, told = OtherPrograms(), time.monotonic(), False
    while True:
        time.sleep(SECONDS_OF_A_LOOK)
        used = others.measure().others
        if used < QUIET_CORES:
            return used
        if time.monotonic() - began > MOST_SECONDS:
            _say(f"Other programs still use {used:.1f} cores: what follows is measured beside them.")
            return used
        if not told:
            _say(f"Other programs use {used:.1f} cores: waiting until it is less than {QUIET_CORES:g}.")
            told = True


def _say(text: str) -> None:
    open_console().print(text, style="yellow", highlight=False)
