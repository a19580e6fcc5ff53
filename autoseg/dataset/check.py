"""Checks every case of a data set, in parallel, and reports all problems at once. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from autoseg.dataset.across_cases import (
    absent_classes,
    channels_of_labels,
    impossible_sizes,
    lost_labels,
    nothing_to_learn,
    planes_differ,
    same_labels,
    same_voxels,
    slices_and_volumes,
)
from autoseg.dataset.case import Dataset
from autoseg.dataset.check_case import CheckedCase, check_case
from autoseg.dataset.disk_space import is_small
from autoseg.dataset.folder.patients import note_on_visits
from autoseg.dataset.pictures import sizes_differ, told_together
from autoseg.errors import DatasetError
from autoseg.image.annotated_classes import known_by_none
from autoseg.machine.map_cases import map_cases

USUAL_FOLDS = 5


@dataclass(frozen=True)
class Check:
    """Result of the check of a data set without problems.

    Args:
        warnings: unusual facts, one sentence each.
        cases: facts of each case, in the data set's order.
    """

    warnings: tuple[str, ...]
    cases: tuple[CheckedCase, ...]


def check_dataset(dataset: Dataset, *, workers: int) -> Check:
    """Read every file of a data set and report all problems together.

    Args:
        dataset: data set from `read_dataset`.
        workers: number of processes, each of which holds one case in memory.

    Raises:
        DatasetError: there are problems; all are listed, by case: missing, unreadable or truncated files, wrong
            numbers of channels, NaN, infinite or constant images, channels that do not overlap,
            spacings that are far from those of the other cases,
            labels on another grid or with fractional or undeclared values, or with classes that were not annotated,
            duplicates, too few cases, a class or region that no case knows as a whole,
            no foreground to learn from.
    """
    results = map_cases(
        partial(check_case, labels=dataset.labels),
        dataset.cases,
        workers,
        "Checking cases",
        name=lambda case: case.name,
        small=is_small(dataset.cases),
    )
    problems = [*dataset.problems, *_too_few(dataset), *_known_by_none(dataset)]
    problems += [problem for result in results for problem in result.problems]
    rows = tuple(result.row for result in results if result.row is not None)
    problems += sizes_differ([(row.name, row.sized_by) for row in rows]) or impossible_sizes(rows)
    problems += planes_differ(rows)
    # classes and sequences that seem to be missing may be in cases that could not be read: those come first
    if problems := problems or nothing_to_learn(dataset, rows):
        raise DatasetError(problems)
    warnings = [*dataset.warnings, *_few(dataset), *_visits(dataset)]
    warnings += [warning for result in results for warning in result.warnings]
    warnings += told_together([one for result in results for one in result.done])
    warnings += absent_classes(dataset.labels, rows)
    warnings += channels_of_labels(dataset.channels, rows)
    warnings += lost_labels(dataset.labels, rows)
    warnings += slices_and_volumes(rows)
    warnings += same_voxels(dataset.cases, [result.digest for result in results])
    warnings += same_labels(dataset.cases, results)
    return Check(tuple(warnings), rows)


def _too_few(dataset: Dataset) -> list[str]:
    count = len(dataset.cases)
    if count < 2:
        return [f"{dataset.name}: has {count} case{'s'[count:]}; cross-validation needs two at least"]
    patients = {case.patient for case in dataset.cases}
    if len(patients) == 1 and None not in patients:
        return [f"{dataset.name}: all {count} cases are of patient {patients.pop()}; cross-validation needs two"]
    return []


def _known_by_none(dataset: Dataset) -> list[str]:
    """Problems: classes or regions that nobody looked for in any case, so that nothing tells where they are not."""
    if not dataset.cases:
        return []
    count, of_regions = len(dataset.cases), "all labels of " if dataset.labels.overlapping else ""
    return [
        f"{dataset.name}: the table's column `annotated` names {of_regions}{name} for none of the {count} cases, so "
        f"nothing tells where {name} is not; fill the cells of cases in which it was looked for (an empty cell means "
        "all classes), or leave it out of `labels` in dataset.json"
        for name in known_by_none(dataset.labels, [case.annotated for case in dataset.cases])
    ]


def _visits(dataset: Dataset) -> tuple[str, ...]:
    """A warning about cases that may be of one patient, where the data set names no patient."""
    if any(case.patient is not None for case in dataset.cases):
        return ()
    return note_on_visits([case.name for case in dataset.cases])


def _few(dataset: Dataset) -> list[str]:
    groups = {case.patient or f"\0{case.name}" for case in dataset.cases}
    if len(groups) >= USUAL_FOLDS:
        return []
    of = "cases" if len(groups) == len(dataset.cases) else "patients"
    return [f"{dataset.name}: only {len(groups)} {of}, so {len(groups)} folds instead of {USUAL_FOLDS}"]
