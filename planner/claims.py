"""Claims of cases: of several processes that preprocess, one alone does a case, whoever begins it first.

A process that dies leaves its case to another one. All processes that preprocess claim each case, so that none of them
replaces the folder of a case while another one does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from rich.console import Console

from autoseg.machine.map_cases import map_cases
from autoseg.run_folder.lock import locked_if_free, remove_if_abandoned
from autoseg.run_folder.lock_holder import PATIENCE, Watch, lock_of
from autoseg.terminal import open_console

SECONDS_BETWEEN_LOOKS = 0.2


class Claimable(Protocol):
    """A case that can be claimed."""

    @property
    def folder(self) -> Path:
        """Folder of the preprocessed case, which has the case's name."""

    def is_done(self, console: Console) -> bool:
        """Whether nothing is left to do."""

    def do_in(self, staging: Path) -> tuple[str, ...]:
        """Do it with its files staged in a folder, and return warnings."""


Task = TypeVar("Task", bound=Claimable)


@dataclass(frozen=True)
class _Claimed:
    """What became of a case.

    Args:
        was_free: whether no other process was at it.
        warnings: what reading it gave.
    """

    was_free: bool
    warnings: tuple[str, ...] = ()


def do_each(
    tasks: Sequence[Task],
    workers: int,
    description: str,
    *,
    small: bool,
    waits: bool,
    patience: float = PATIENCE,
) -> tuple[str, ...]:
    """Do every case that no other process is at, and then those whose process died.

    Args:
        tasks: cases that are not done.
        workers: largest number of cases at the same time.
        description: text beside the progress bar.
        small: whether all cases together take less time than starting processes.
        waits: whether to return only once each case is done; else a case is left to a process that was seen to live.
        patience: seconds after which a process of another machine counts as gone.

    Returns:
        The warnings that reading the cases gave.
    """
    claim = partial(_claim, patience=patience)
    try:
        results = map_cases(claim, tasks, workers, description, name=lambda task: task.folder.name, small=small)
    except BaseException:
        # a worker that is ended in the midst of a case cannot give up its claim; one on another machine would watch it
        for task in tasks:
            remove_if_abandoned(lock_of(task.folder))
        raise
    taken = [task for task, result in zip(tasks, results, strict=True) if not result.was_free]
    if taken and waits:
        open_console(stderr=True).print(
            f"{len(taken)} {'case is' if len(taken) == 1 else 'cases are'} prepared by other processes; waits for them"
        )
    results += _after_the_others(taken, patience, waits=waits)
    return tuple(warning for result in results for warning in result.warnings)


def _claim(task: Task, patience: float, watch: Watch | None = None) -> _Claimed:
    """Do a case unless another process is at it or has done it meanwhile."""
    # most cases were done by others: that costs a look, and no lock; why one is not done is told once it is begun
    if task.folder.is_dir() and task.is_done(Console(quiet=True)):
        return _Claimed(was_free=True)
    with locked_if_free(task.folder, "preprocessing a case", watch or Watch(patience)) as staging:
        if staging is None:
            return _Claimed(was_free=False)
        if task.is_done(open_console(stderr=True)):
            return _Claimed(was_free=True)
        return _Claimed(was_free=True, warnings=task.do_in(staging))


def _after_the_others(taken: Sequence[Task], patience: float, *, waits: bool) -> list[_Claimed]:
    """Do what processes left behind that were at a case; one that is seen to live is left alone, or waited for."""
    watch, results, left = Watch(patience), list[_Claimed](), list(taken)
    while left:
        for task in list(left):
            if watch.living(task.folder) is None:
                result = _claim(task, patience, watch)
                results.append(result)
                if result.was_free:
                    left.remove(task)
            elif not waits and watch.was_heard(task.folder):
                left.remove(task)
        if left:
            time.sleep(min(SECONDS_BETWEEN_LOOKS, patience / 20))
    return results
