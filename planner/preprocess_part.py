"""Preprocess cases that other processes preprocess too: each case is claimed by whoever begins it.

Several processes, on one machine or many, share the cases of a configuration. None of them has cases of its own: a
part begins at another place of the list and takes whatever is left, so that a slow machine holds nobody up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console

from autoseg.dataset.case import Dataset
from autoseg.dataset.disk_space import is_small
from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.dataset.record import DatasetRecord, file_record
from autoseg.errors import DatasetError
from autoseg.image.geometry import STRAIGHT, Geometry
from autoseg.machine.map_cases import map_cases
from autoseg.plan.plan import Plan
from autoseg.run_folder.lock import locked_if_free
from autoseg.run_folder.lock_holder import PATIENCE, Watch
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console
from planner.preprocess import Task, preprocess_case, tasks_of, workers_for

SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(frozen=True)
class _Claimed:
    """What became of a case.

    Args:
        was_free: whether no other process was at it.
        warnings: what reading it gave.
    """

    was_free: bool
    warnings: tuple[str, ...] = ()


def preprocess_part(
    dataset: Dataset,
    plan: Plan,
    configuration: str,
    run: RunFolder,
    *,
    part: int,
    parts: int,
    workers: int,
    record: DatasetRecord,
    console: Console | None = None,
    patience: float = PATIENCE,
) -> None:
    """Preprocess every case that is not done and that no other process is at.

    When it returns, each case is done, or in the hands of a process that was seen to live.

    Args:
        dataset: data set that was checked before.
        plan: plan in the RUN folder.
        configuration: name of the configuration.
        run: RUN folder into which the preprocessed cases are written.
        part: number of this part, from 0, which gives the case to begin with.
        parts: number of parts.
        workers: maximum number of cases preprocessed at once.
        record: the RUN folder's record of the data set's files.
        console: console for warnings about cases; None = standard error.
        patience: seconds after which a process of another machine counts as gone.

    Raises:
        DatasetError: a case cannot be read, has no label, or has changed since it was recorded.
        WorkerDied: a case could not be processed, probably because memory was short.
    """
    console = console or open_console(stderr=True)
    _refuse_changed(dataset, record)
    tasks = tasks_of(dataset, plan, configuration, run, record, None)
    begin = part * len(tasks) // parts
    left = [task for task in [*tasks[begin:], *tasks[:begin]] if not task.is_done(console)]
    if not left:
        return
    results = map_cases(
        partial(_claim, patience=patience),
        left,
        workers_for(left, workers, _measured_grids(run)),
        f"Preprocessing {configuration}",
        name=lambda task: task.case.name,
        small=is_small(task.case for task in left),
    )
    taken = [task for task, result in zip(left, results, strict=True) if not result.was_free]
    results += _after_the_others(taken, patience, console)
    for warning in (warning for result in results for warning in result.warnings):
        console.print(f"Warning: {warning}")


def _measured_grids(run: RunFolder) -> dict[str, Geometry]:
    """Grid of each case by its name, as the plan's measurements found it, so that no header is read again."""
    if not run.fingerprint.exists():
        return {}
    return {
        case.case: Geometry(case.shape, case.spacing, (0.0, 0.0, 0.0), STRAIGHT)
        for case in read_fingerprint(run.fingerprint).cases
    }


def _claim(task: Task, patience: float, watch: Watch | None = None) -> _Claimed:
    """Preprocess a case unless another process is at it or has done it meanwhile."""
    # most cases were done by others: that costs a look, and no lock; why one is not done is told once it is begun
    if task.folder.is_dir() and task.is_done(Console(quiet=True)):
        return _Claimed(was_free=True)
    with locked_if_free(task.folder, "preprocessing a case", watch or Watch(patience)) as staging:
        if staging is None:
            return _Claimed(was_free=False)
        if task.is_done(open_console(stderr=True)):
            return _Claimed(was_free=True)
        return _Claimed(was_free=True, warnings=preprocess_case(replace(task, staging=staging)))


def _after_the_others(taken: Sequence[Task], patience: float, console: Console) -> list[_Claimed]:
    """Do what processes left behind that were at a case and died; one that is seen to live is left alone."""
    watch, results, left = Watch(patience), list[_Claimed](), list(taken)
    while left:
        for task in list(left):
            if watch.living(task.folder) is None:
                result = _claim(task, patience, watch)
                results.append(result)
                if result.was_free:
                    left.remove(task)
            elif watch.was_heard(task.folder):
                left.remove(task)
        if left:
            time.sleep(min(SECONDS_BETWEEN_LOOKS, patience / 20))
    return results


def _refuse_changed(dataset: Dataset, record: DatasetRecord) -> None:
    """Refuse files that have another size or time than when the plan was made: each part would see them otherwise."""
    known = {case.name: case.files for case in record.cases}
    problems = []
    for case in dataset.cases:
        if case.name not in known:
            problems.append(f"{case.name}: is new since the plan was made")
            continue
        files = (*case.images, case.label)
        if len(files) != len(known[case.name]):
            problems.append(f"{case.name}: has {len(case.images)} sequences, and others when the plan was made")
            continue
        for path, before in zip(files, known[case.name], strict=True):
            now = None if path is None else file_record(path, dataset.folder)
            if (now is None) != (before is None) or (
                now is not None and before is not None and (now.size, now.modified) != (before.size, before.modified)
            ):
                problems.append(f"{case.name}: {path} has changed since the plan was made")
    if problems:
        raise DatasetError([*problems, "`autoseg plan-and-preprocess DATASET -o RUN` reads the data set again"])
