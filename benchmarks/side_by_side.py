"""Trains folds two at a time, each by one thread, and each by the clock of its own processor time.

So other programs cannot change how many steps a fold takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence

from autoseg.run_folder.paths import RunFolder

AT_ONCE = 2


def train_two_at_a_time(folds: Iterable[tuple[RunFolder, int]], configuration: str) -> None:
    """Train the folds that are not finished; end the program where one cannot be trained.

    Args:
        folds: RUN folders and the number of a fold of each.
        configuration: name of the configuration.
    """
    left = [(run, fold) for run, fold in folds if not run.is_finished(configuration, fold)]
    for first in range(0, len(left), AT_ONCE):
        _train(left[first : first + AT_ONCE], configuration)


def _train(folds: Sequence[tuple[RunFolder, int]], configuration: str) -> None:
    command = [sys.executable, "-m", "benchmarks.processor_time", "train", "--config", configuration]
    # what worker processes compute would not count
    command += ["--threads", "1", "--workers", "0"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    started = [subprocess.Popen([*command, str(run.path), "--fold", str(fold)], env=env) for run, fold in folds]
    failed = [run.path for (run, _), process in zip(folds, started, strict=True) if process.wait()]
    if failed:
        raise SystemExit(f"{failed[0]}: a fold could not be trained")
