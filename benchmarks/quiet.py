"""Whether other programs leave the machine alone, so that what is timed is not timed beside them."""

from __future__ import annotations

import time

from autoseg.machine.other_programs import OtherPrograms
from autoseg.terminal import open_console

QUIET_CORES = 0.2
"""That other programs may use of a quiet machine."""

SECONDS_OF_A_LOOK = 2.0
MOST_SECONDS = 600.0
"""That are waited for quiet."""


def wait_until_quiet() -> float:
    """Wait until other programs use next to nothing, and say so where that takes more than one look.

    Returns:
        Cores that they used in the last look: `QUIET_CORES` or more where waiting was in vain.
    """
    others, began, told = OtherPrograms(), time.monotonic(), False
    while True:
        time.sleep(SECONDS_OF_A_LOOK)
        used = others.look().others
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
