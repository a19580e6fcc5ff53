"""Preprocess cases that other processes preprocess too: each case is claimed by whoever begins it.

Several processes, on one machine or many, share the cases of a configuration. None of them has cases of its own: a
part begins at another place of the list and takes whatever is left, so that a slow machine holds nobody up.
"""

from __future__ import annotations

from rich.console import Console

from autoseg.dataset.case import Dataset
from autoseg.dataset.disk_space import is_small
from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.dataset.record import DatasetRecord, are_as, record_of
from autoseg.errors import DatasetError
from autoseg.image.geometry import STRAIGHT, Geometry
from autoseg.plan.plan import Plan
from autoseg.run_folder.lock_holder import PATIENCE
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console
from planner.claims import do_each
from planner.preprocess import tasks_of, workers_for


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
    _refuse_changed(dataset, record, workers)
    tasks = tasks_of(dataset, plan, configuration, run, record)
    begin = part * len(tasks) // parts
    left = [task for task in [*tasks[begin:], *tasks[:begin]] if not task.is_done(console)]
    if not left:
        return
    warnings = do_each(
        left,
        workers_for(left, workers, _measured_grids(run)),
        f"Preprocessing {configuration}",
        small=is_small(task.case for task in left),
        waits=False,
        patience=patience,
    )
    for warning in warnings:
        console.print(f"Warning: {warning}")


def _measured_grids(run: RunFolder) -> dict[str, Geometry]:
    """Grid of each case by its name, as the plan's measurements found it, so that no header is read again."""
    if not run.fingerprint.exists():
        return {}
    return {
        case.case: Geometry(case.shape, case.spacing, (0.0, 0.0, 0.0), STRAIGHT)
        for case in read_fingerprint(run.fingerprint).cases
    }


def _refuse_changed(dataset: Dataset, record: DatasetRecord, workers: int) -> None:
    """Refuse files of other content than when the plan was made: each part would see them otherwise.

    What has the size and time that it had is not read.
    """
    known, now = (
        {case.name: case for case in record.cases},
        record_of(dataset, record, trust_times=True, workers=workers),
    )
    there = {case.name for case in now.cases}
    problems = [f"{name}: is gone since the plan was made" for name in known if name not in there]
    for case, source in zip(dataset.cases, now.cases, strict=True):
        if case.name not in known:
            problems.append(f"{case.name}: is new since the plan was made")
            continue
        before = known[case.name].files
        if len(before) != len(source.files):
            problems.append(f"{case.name}: has {len(case.images)} sequences, and others when the plan was made")
            continue
        for path, then, file in zip((*case.images, case.label), before, source.files, strict=True):
            if not are_as([then], [file]):
                problems.append(f"{case.name}: {path} has changed since the plan was made")
    if problems:
        raise DatasetError(problems, "Give the same `autoseg run` or `autoseg study` again: it reads the data set anew")
