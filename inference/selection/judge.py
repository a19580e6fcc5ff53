"""Judges a choice: predicts every case out of fold as it will be predicted, and compares it with its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from autoseg.image.annotated_classes import known_outputs
from autoseg.image.geometry import Geometry
from autoseg.image.labels import Labels
from autoseg.machine.map_cases import map_cases
from autoseg.metrics import CaseMetrics, by_class, case_metrics
from autoseg.metrics.aggregate import lesion_summary, mean_dice
from autoseg.plan.plan import Plan
from autoseg.run_folder.selection import ClassPerformance, ClassRule, Performance, rules_by_class
from autoseg.whole_image.mixture import Mixture
from inference.lesion_scores.components import MeasuredLesion, annotated_lesions, predicted_lesions
from inference.post_processing import post_processed
from inference.selection.candidate_scores import Candidate, CaseFiles
from inference.selection.comparable import ComparedCases


@dataclass(frozen=True)
class Judged:
    """A case as it is predicted in the end.

    Args:
        rows: metrics of each foreground class that was looked for.
        lesions: for each class of lesions that was looked for the annotated ones and the predicted ones.
        grid: geometry of the reoriented image, in whose voxels lesions have their places.
    """

    rows: tuple[CaseMetrics, ...]
    lesions: dict[str, tuple[tuple[MeasuredLesion, ...], tuple[MeasuredLesion, ...]]]
    grid: Geometry


def judge(
    compared: ComparedCases,
    best: Candidate,
    plan: Plan,
    rules: Sequence[tuple[ClassRule, ...]] | None,
    workers: int,
) -> list[Judged]:
    """Judge every case, post-processed by the rules of that case; `rules` None = no post-processing."""
    plain = rules_by_class((), plan.labels)
    tasks = list(zip(compared.files, rules or [plain] * len(compared.files), strict=True))
    of_case = partial(judge_case, candidate=best, labels=plan.labels, lesions=plan.lesions)
    return map_cases(of_case, tasks, workers, "Judging the choice", name=_name_of_task)


def judge_case(
    task: tuple[CaseFiles, tuple[ClassRule, ...]], candidate: Candidate, labels: Labels, lesions: Sequence[str] = ()
) -> Judged:
    """Judge one case, predicted by a candidate and post-processed by the rules.

    Args:
        task: files of the case, and one post-processing rule for each foreground class.
        candidate: names of the configurations whose probabilities are averaged.
        labels: label values and names of the classes.
        lesions: names of the classes whose predicted lesions are measured.

    Raises:
        RunFolderError, ImageError, DatasetError: see `CaseFiles`.
    """
    files, rules = task
    mixture = Mixture(members := files.read(candidate, overlapping=labels.overlapping))
    record = mixture.record
    classes = post_processed(members, rules, labels)
    truth = files.read_reference(record, labels)
    values = labels.to_values(truth), labels.to_values(classes)
    spacing, looked_for = record.reoriented.spacing, files.annotated
    rows = case_metrics(files.case, *values, spacing, labels, surfaces=False, annotated_classes=looked_for)
    found, known = {}, labels.annotated(truth)
    of_lesions = [index for index, name in enumerate(labels.foreground, start=1) if name in lesions]
    annotated, predicted = (_any(labels, which, of_lesions) for which in (truth, classes))
    known_classes = known_outputs(labels, looked_for)
    for index in of_lesions:
        if not known_classes[index - 1]:
            continue
        own = labels.mask(truth, index)
        found[labels.foreground[index - 1]] = (
            tuple(annotated_lesions(own, mixture, index, predicted)),
            tuple(predicted_lesions(labels.mask(classes, index), mixture, index, own, annotated, known)),
        )
    return Judged(tuple(rows), found, record.reoriented)


def _any(labels: Labels, classes: NDArray[np.uint8], indices: Sequence[int]) -> NDArray[np.bool_]:
    """Voxels of any of some foreground classes or regions, which are counted from 1."""
    inside = np.zeros(classes.shape, dtype=bool)
    for index in indices:
        inside |= labels.mask(classes, index)
    return inside


def performance_of(judged: Sequence[Judged]) -> Performance:
    """Dice and detection of each class over all cases."""
    rows = [row for of_case in judged for row in of_case.rows]
    classes = []
    for name, of_class in by_class(rows).items():
        defined = [row.dice for row in of_class if row.dice is not None]
        lesions = lesion_summary(of_class)
        classes.append(
            ClassPerformance(
                name=name,
                dice=float(np.mean(defined)) if defined else None,
                cases=len(defined),
                lesions=lesions.reference,
                sensitivity=lesions.sensitivity,
                false_per_case=lesions.false_per_case,
                f2=lesions.f2,
            )
        )
    return Performance(mean_dice=mean_dice(rows), classes=tuple(classes))


def _name_of_task(task: tuple[CaseFiles, tuple[ClassRule, ...]]) -> str:
    return task[0].case
