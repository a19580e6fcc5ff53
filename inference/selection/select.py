"""Selects the configuration, or the pair of configurations, that predicts new images, and its post-processing.

In: the out-of-fold probabilities of every trained configuration, and the references; no network runs. Out: a
`Selection`. Candidates are compared by mean Dice, as in evaluation, over the cases that all of them predicted. A
pair must gain more than two standard errors of the gain over the best single configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from autoseg.image.labels import Labels
from autoseg.machine.map_cases import map_cases
from autoseg.plan.plan import Plan, read_plan
from autoseg.run_folder.lesion_scores import FrocPoint
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.selection import (
    CandidateScore,
    ClassRule,
    HeldOutChoice,
    Performance,
    Selection,
    StepScore,
    rules_by_class,
    weakness,
)
from autoseg.run_folder.splits import read_splits
from inference.lesion_scores.fit import LEAST_LESIONS, LEAST_OF_EACH, CaseLesions, Scored, fit_scores
from inference.selection.candidate_scores import (
    Candidate,
    CaseFiles,
    best_candidate,
    best_single,
    candidates_of,
    chosen_without,
    count_case,
    dice_table,
    gain_over,
    mean_over_classes,
    ranked,
)
from inference.selection.comparable import ComparedCases, compared_cases
from inference.selection.fit_post_processing import Aim, Fitted, OutcomeTable, fit_class, parse_aim
from inference.selection.judge import Judged, judge, performance_of
from inference.selection.post_processing_outcomes import DIAMETERS_MM, outcomes_of_case
from inference.selection.reach import reach_notes
from inference.suspects.find import Suspect, suspects


def select_configurations(
    run: RunFolder,
    *,
    configurations: Sequence[str] | None = None,
    operating_point: str | None = None,
    workers: int | None = None,
    threads: int | None = None,
) -> Selection:
    """Choose the configurations that predict, and their post-processing, as `select_and_suspect`; the choice alone."""
    return select_and_suspect(
        run, configurations=configurations, operating_point=operating_point, workers=workers, threads=threads
    )[0]


def select_and_suspect(
    run: RunFolder,
    *,
    configurations: Sequence[str] | None = None,
    operating_point: str | None = None,
    workers: int | None = None,
    threads: int | None = None,
) -> tuple[Selection, list[Suspect]]:
    """Choose the configurations that predict and their post-processing, and look for errors of the annotation.

    Nothing is written.

    Args:
        run: RUN folder with trained folds.
        configurations: names of the configurations to choose from; None = all that are trained.
        operating_point: aim that thresholds and minimal sizes are fitted to: `dice`, `f2`, `sensitivity=0.9`,
            `false=1` or `risk=0.1`; None = `f2` where the plan has lesions, else `dice`. Where the plan has lesions, an
            aim of detection is theirs; of the other classes size alone is fitted, to their Dice.
        workers: number of processes over cases; None = as many as cores and memory allow.
        threads: threads that all processes together may use; None = as many as there are cores.

    Returns:
        The choice, with the scores that it rests on, and the suspects, the most suspicious first.

    Raises:
        RunFolderError: nothing is trained, no case is common to all configurations, or probabilities are missing.
        PlanError: a configuration is not in the plan.
        InputError: `operating_point` is not one of the aims.
    """
    plan, splits = read_plan(run.plan), read_splits(run.splits)
    point = operating_point or ("f2" if plan.lesions else "dice")
    aim = parse_aim(point)
    other = Aim("dice" if aim.name == "dice" else "size")
    aims = [aim if not plan.lesions or name in plan.lesions else other for name in plan.labels.foreground]
    compared = compared_cases(run, plan, splits, configurations)
    candidates = candidates_of(compared.configurations)
    count = workers or compared.workers(plan.labels.outputs, threads)
    labels = plan.labels
    counts = map_cases(
        partial(count_case, candidates=candidates, labels=labels),
        compared.files,
        count,
        f"Comparing {len(candidates)} candidates",
        name=_name,
    )
    dice = dice_table(counts)
    order = ranked(candidates, dice)
    best = candidates[best_candidate(candidates, dice)]
    reference = dice[best_single(candidates, order)]
    judged = judge(compared, best, plan, None, count)
    plain = performance_of(judged)
    tables = outcome_tables(compared, best, labels, count) if compared.several_folds else ()
    looked_for = compared.looked_for(labels).T
    named = zip(labels.foreground, tables, looked_for, aims, strict=False)
    fitted = tuple(_fitted(name, table, compared.folds, there, of_class) for name, table, there, of_class in named)
    finally_judged, notes = _post_processed(compared, best, plan, aim, fitted, plain, count)
    post_processed = None if finally_judged is None else performance_of(finally_judged)
    of_lesions = _lesions(finally_judged or judged, plan.lesions, compared)
    applied = () if post_processed is None else tuple(of_class.rule for of_class in fitted)
    rules = {rule.name: rule for rule in rules_by_class(applied, labels)}
    scored = {name: fit_scores(name, cases, best, rules[name].text()) for name, cases in of_lesions.items()}
    if aim.is_asked_for and tables:
        notes = (*notes, *_reached(labels.foreground, tables, aims))
    weak = weakness(plain.mean_dice)
    selection = Selection(
        configurations=best,
        post_processing=tuple(rule for rule in applied if not rule.is_plain),
        operating_point=point,
        why_this_point="" if operating_point else _why(plan.lesions),
        cases=len(compared.files),
        candidates=tuple(_score(candidates[i], dice[i], reference, labels) for i in order),
        held_out_choice=_held_out_choice(candidates, dice, compared.folds) if compared.several_folds else None,
        steps=_steps(fitted, dropped=post_processed is None),
        plain=plain,
        post_processed=post_processed,
        lesion_scores=tuple(one.scores for one in scored.values() if one is not None),
        froc=_froc_by_threshold(labels.foreground, tables, rules, plan.lesions),
        notes=(*compared.notes, *notes, *_unscored(of_lesions, scored), *([weak] if weak else [])),
    )
    found = [one for name, cases in of_lesions.items() for one in suspects(name, cases, scored[name])]
    return selection, sorted(found, key=lambda one: -one.confidence)


def _reached(names: Sequence[str], tables: Sequence[OutcomeTable], aims: Sequence[Aim]) -> tuple[str, ...]:
    """What is told of the figures that were asked for, of the classes that were looked for in some case."""
    some = [one for one in zip(names, tables, aims, strict=True) if len(one[1].lesions)]
    return tuple(reach_notes(*zip(*some, strict=True))) if some else ()


def _lesions(judged: Sequence[Judged], names: Sequence[str], compared: ComparedCases) -> dict[str, list[CaseLesions]]:
    """The lesions of every case in which they were looked for, for each class of lesions."""
    cases = list(zip(compared.files, compared.folds, judged, strict=True))
    return {
        name: [
            CaseLesions(files.case, int(fold), *one.lesions[name], one.grid)
            for files, fold, one in cases
            if name in one.lesions
        ]
        for name in names
    }


def _fitted(name: str, table: OutcomeTable, folds: NDArray[np.int64], there: NDArray[np.bool_], aim: Aim) -> Fitted:
    """Fitted post-processing of a class, by the cases in which it was looked for.

    Args:
        name: name of the class.
        table: outcomes of the class in these cases.
        folds: (case,) fold of each case, also of the others.
        there: (case,) whether the class was looked for.
        aim: what the steps are fitted to.
    """
    every = [int(fold) for fold in np.unique(folds)]
    if len(np.unique(folds[there])) < 2:
        # nothing can be validated on cases that took no part in the fit
        plain = ClassRule(name=name)
        return Fitted(plain, dict.fromkeys(every, plain), ())
    fitted = fit_class(name, table, folds[there], aim)
    # of a fold without such a case none took part in the fit
    return replace(fitted, by_fold={fold: fitted.by_fold.get(fold, fitted.rule) for fold in every})


def _unscored(of_lesions: dict[str, list[CaseLesions]], scored: dict[str, Scored | None]) -> Iterator[str]:
    """A sentence for each class that has too few predicted lesions for a score."""
    for name, cases in of_lesions.items():
        if scored[name] is None:
            predicted = [lesion for case in cases for lesion in case.predicted]
            real = sum(bool(lesion.touches) for lesion in predicted)
            yield (
                f"{name}: {len(predicted)} predicted lesions, {real} of them real: too few to fit a score by; it needs "
                f"{LEAST_LESIONS}, and {LEAST_OF_EACH} of each kind, also without any one fold"
            )


def _froc_by_threshold(
    names: Sequence[str], tables: Sequence[OutcomeTable], rules: Mapping[str, ClassRule], lesions: Sequence[str]
) -> dict[str, tuple[FrocPoint, ...]]:
    """FROC of each class of lesions, a point for each threshold, with the smallest size that is selected."""
    curves = {}
    for name, table in zip(names, tables, strict=False):
        if name in lesions and len(table.lesions):
            only, diameter = int(rules[name].largest_component), DIAMETERS_MM.index(rules[name].minimal_diameter_mm)
            found = table.found[:, :, only, diameter].sum(axis=0)
            false = table.false[:, :, only, diameter].mean(axis=0)
            sensitivity = found / max(int(table.lesions.sum()), 1)
            curves[name] = tuple(
                FrocPoint(false_per_case=float(f), sensitivity=float(s))
                for f, s in zip(false[::-1], sensitivity[::-1], strict=True)
            )
    return curves


def _why(lesions: Sequence[str]) -> str:
    """The reason for the aim that is taken where a person asks for none."""
    if not lesions:
        return "Chosen by Dice: plan.yaml has no `lesions`, classes of small pieces that differ in number and size"
    named = ", ".join(lesions)
    return f"Chosen by F2, in which found lesions count twice as much as false ones: plan.yaml has lesions, {named}"


def outcome_tables(compared: ComparedCases, best: Candidate, labels: Labels, workers: int) -> tuple[OutcomeTable, ...]:
    """Outcomes of every setting of post-processing, a table for each foreground class of the cases that tell of it.

    Args:
        compared: cases that are predicted out of fold.
        best: names of the configurations whose probabilities are averaged.
        labels: label values and names of the classes.
        workers: number of processes over cases.
    """
    outcomes = map_cases(
        partial(outcomes_of_case, candidate=best, labels=labels),
        compared.files,
        workers,
        "Trying post-processing",
        name=_name,
    )
    return tuple(
        OutcomeTable.of([one for one in of_class if one is not None]) for of_class in zip(*outcomes, strict=True)
    )


def _post_processed(
    compared: ComparedCases,
    best: Candidate,
    plan: Plan,
    aim: Aim,
    fitted: Sequence[Fitted],
    plain: Performance,
    workers: int,
) -> tuple[list[Judged] | None, tuple[str, ...]]:
    """Judge all rules together, fitted without each case's fold: every case (None = no rules), and notes."""
    if not compared.several_folds:
        return None, ("one fold alone: nothing can be compared on cases that took no part in fitting it",)
    if all(fit.rule.is_plain for fit in fitted):
        return None, ()
    by_fold = {int(fold): tuple(fit.by_fold[int(fold)] for fit in fitted) for fold in np.unique(compared.folds)}
    rules = [by_fold[int(fold)] for fold in compared.folds]
    judged = judge(compared, best, plan, rules, workers)
    # each class was validated alone; one class may gain what another loses
    if aim.name == "dice" and (performance_of(judged).mean_dice or 0.0) <= (plain.mean_dice or 0.0):
        return None, ("post-processing helps classes one by one, but not all of them together: it is left out",)
    return judged, ()


def _steps(fitted: Sequence[Fitted], *, dropped: bool) -> tuple[StepScore, ...]:
    steps = (step for fit in fitted for step in fit.steps)
    return tuple(step.changed(applied=False) if dropped else step for step in steps)


def _score(
    candidate: Candidate, dice: NDArray[np.float64], single: NDArray[np.float64], labels: Labels
) -> CandidateScore:
    """Score of a candidate with Dice `dice`; a pair's gain is over the Dice `single`; both are (case, class)."""
    by_name = {name: mean_over_classes(dice[:, [index]]) for index, name in enumerate(labels.foreground)}
    gain, error = gain_over(single, dice) if len(candidate) > 1 else (None, None)
    return CandidateScore(
        configurations=candidate, mean_dice=mean_over_classes(dice), dice=by_name, gain=gain, standard_error=error
    )


def _held_out_choice(
    candidates: Sequence[Candidate], dice: NDArray[np.float64], folds: NDArray[np.int64]
) -> HeldOutChoice:
    chosen, single = chosen_without(candidates, dice, folds)
    return HeldOutChoice(
        folds=len(np.unique(folds)), chosen=mean_over_classes(chosen), best_single=mean_over_classes(single)
    )


def _name(files: CaseFiles) -> str:
    return files.case
