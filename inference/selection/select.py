"""The choice of what predicts: the best configuration or pair by cross-validation, and its post-processing.

Reads the out-of-fold probabilities of every trained configuration and the references; predicts
nothing. Candidates are compared over the cases that all of them have, by mean Dice as in evaluation; a pair
must gain more than two standard errors of the gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from autoseg.image.labels import Labels
from autoseg.machine.map_cases import map_cases
from autoseg.metrics import CaseMetrics, by_class, case_metrics
from autoseg.metrics.aggregate import lesion_summary
from autoseg.metrics.aggregate import mean_dice as mean_dice_of_rows
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.selection import (
    CandidateScore,
    ClassPerformance,
    ClassRule,
    HeldOutChoice,
    Performance,
    Selection,
    StepScore,
    rules_by_class,
)
from autoseg.run_folder.splits import read_splits
from autoseg.whole_image.mixture import most_probable
from inference.post_processing import class_weights, remove_components
from inference.selection.candidates import (
    Candidate,
    CaseFiles,
    best_candidate,
    best_single,
    candidates_of,
    chosen_without,
    count_case,
    dice_table,
    gain_over,
    mean_dice,
    ranked,
)
from inference.selection.comparable import Judged, judged_cases
from inference.selection.fit_post_processing import Aim, Fitted, Table, fit_class, parse_aim
from inference.selection.post_processing_outcomes import outcomes_of_case

WEAK = 0.2
"""Mean Dice under which a choice of post-processing follows the errors of a model that has learned next to nothing."""


def select_configurations(
    run: RunFolder,
    *,
    configurations: Sequence[str] | None = None,
    operating_point: str = "dice",
    workers: int | None = None,
    threads: int | None = None,
) -> Selection:
    """Choose what predicts; nothing is written.

    Args:
        run: a RUN folder with trained folds.
        configurations: to choose from; None = all that are trained.
        operating_point: aim of threshold and minimal size: `dice`, `f2` or `sensitivity=0.9`.
        workers: processes over cases; None = as many as cores and memory allow.
        threads: that may compute, of all processes together; None = as many as there are cores.

    Raises:
        RunFolderError: nothing is trained, no case is common to all, or probabilities are missing.
        PlanError: a configuration is not planned.
        InputError: the operating point is none.
    """
    aim = parse_aim(operating_point)
    plan, splits = read_plan(run.plan), read_splits(run.splits)
    judged = judged_cases(run, plan, splits, configurations)
    candidates = candidates_of(judged.configurations)
    count = workers or judged.workers(plan.labels.classes, threads)
    labels = plan.labels
    counts = map_cases(
        partial(count_case, candidates=candidates, labels=labels),
        judged.files,
        count,
        f"Comparing {len(candidates)} candidates",
        name=_name,
    )
    dice = dice_table(counts)
    order = ranked(candidates, dice)
    best = candidates[best_candidate(candidates, dice)]
    reference = dice[best_single(candidates, order)]
    plain = _performance(_judge(judged, best, labels, None, count))
    fitted = _fit(judged, best, labels, aim, count) if judged.several_folds else ()
    post_processed, notes = _post_processed(judged, best, labels, aim, fitted, plain, count)
    return Selection(
        configurations=best,
        post_processing=() if post_processed is None else tuple(f.rule for f in fitted if not f.rule.is_plain),
        operating_point=operating_point,
        cases=len(judged.files),
        candidates=tuple(_score(candidates[i], dice[i], reference, labels) for i in order),
        held_out_choice=_held_out_choice(candidates, dice, judged.folds) if judged.several_folds else None,
        steps=_steps(fitted, dropped=post_processed is None),
        plain=plain,
        post_processed=post_processed,
        notes=(*judged.notes, *notes, *_weakness(plain)),
    )


def _weakness(plain: Performance) -> tuple[str, ...]:
    """A note where what was chosen finds too little for the choice to mean anything."""
    if plain.mean_dice is None or plain.mean_dice >= WEAK:
        return ()
    return (f"mean Dice {plain.mean_dice:.3f}: too weak a model to choose by; train for longer and select again",)


def _fit(judged: Judged, best: Candidate, labels: Labels, aim: Aim, workers: int) -> tuple[Fitted, ...]:
    """Post-processing of each class."""
    outcomes = map_cases(
        partial(outcomes_of_case, candidate=best, labels=labels),
        judged.files,
        workers,
        "Trying post-processing",
        name=_name,
    )
    return tuple(
        fit_class(name, Table.of([of_case[index] for of_case in outcomes]), judged.folds, aim)
        for index, name in enumerate(labels.foreground)
    )


def _post_processed(
    judged: Judged,
    best: Candidate,
    labels: Labels,
    aim: Aim,
    fitted: Sequence[Fitted],
    plain: Performance,
    workers: int,
) -> tuple[Performance | None, tuple[str, ...]]:
    """All classes together after post-processing fitted without the case's fold; None where there is none to apply."""
    if not judged.several_folds:
        return None, ("one fold alone: nothing can be judged on cases that took no part in fitting it",)
    if all(fit.rule.is_plain for fit in fitted):
        return None, ()
    by_fold = {int(fold): tuple(fit.by_fold[int(fold)] for fit in fitted) for fold in np.unique(judged.folds)}
    rules = [by_fold[int(fold)] for fold in judged.folds]
    performance = _performance(_judge(judged, best, labels, rules, workers))
    # each class was judged alone; what one gains another may lose
    if aim.name == "dice" and (performance.mean_dice or 0.0) <= (plain.mean_dice or 0.0):
        return None, ("post-processing helps classes one by one, but not all of them together: it is left out",)
    return performance, ()


def _steps(fitted: Sequence[Fitted], *, dropped: bool) -> tuple[StepScore, ...]:
    steps = (step for fit in fitted for step in fit.steps)
    return tuple(step.changed(applied=False) if dropped else step for step in steps)


def _judge(
    judged: Judged, best: Candidate, labels: Labels, rules: Sequence[tuple[ClassRule, ...]] | None, workers: int
) -> list[CaseMetrics]:
    """Metrics of every case without post-processing, or with rules of its own."""
    plain = rules_by_class((), labels)
    tasks = list(zip(judged.files, rules or [plain] * len(judged.files), strict=True))
    rows = map_cases(
        partial(judge_case, candidate=best, labels=labels), tasks, workers, "Judging the choice", name=_name_of_task
    )
    return [row for of_case in rows for row in of_case]


def judge_case(
    task: tuple[CaseFiles, tuple[ClassRule, ...]], candidate: Candidate, labels: Labels
) -> list[CaseMetrics]:
    """Metrics of one case, predicted by a candidate and post-processed by the rules.

    Raises:
        RunFolderError, ImageError, DatasetError: see `CaseFiles`.
    """
    files, rules = task
    members = files.read(candidate)
    record = members[0].record
    spacing = record.reoriented.spacing
    classes = most_probable(members, class_weights(rules))
    remove_components(classes, rules, spacing)
    truth = files.read_reference(record, labels)
    return case_metrics(files.case, labels.to_values(truth), labels.to_values(classes), spacing, labels, surfaces=False)


def _performance(rows: Sequence[CaseMetrics]) -> Performance:
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
    return Performance(mean_dice=mean_dice_of_rows(rows), classes=tuple(classes))


def _score(
    candidate: Candidate, dice: NDArray[np.float64], single: NDArray[np.float64], labels: Labels
) -> CandidateScore:
    """The score of a candidate by its Dice (case, class), and that of the best single configuration."""
    by_name = {name: mean_dice(dice[:, [index]]) for index, name in enumerate(labels.foreground)}
    gain, error = gain_over(single, dice) if len(candidate) > 1 else (None, None)
    return CandidateScore(
        configurations=candidate, mean_dice=mean_dice(dice), dice=by_name, gain=gain, standard_error=error
    )


def _held_out_choice(
    candidates: Sequence[Candidate], dice: NDArray[np.float64], folds: NDArray[np.int64]
) -> HeldOutChoice:
    chosen, single = chosen_without(candidates, dice, folds)
    return HeldOutChoice(folds=len(np.unique(folds)), chosen=mean_dice(chosen), best_single=mean_dice(single))


def _name(files: CaseFiles) -> str:
    return files.case


def _name_of_task(task: tuple[CaseFiles, tuple[ClassRule, ...]]) -> str:
    return task[0].case
