"""Evaluates predicted label maps against references at original resolution, and writes a report folder.

In: two folders of label files, or a RUN folder whose folds have predicted their validation cases.
Out: `metrics.csv` (one line for each case and class), `strata.csv` (one line for each stratum and class),
`summary.json` (`autoseg.metrics.Summary`) and `report.html`. `autoseg.metrics` and `docs/metrics.md` define the
metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

from autoseg.dataset.dataset_json import is_synthetic
from autoseg.errors import PartialFailure, RunFolderError
from autoseg.image.annotated_classes import EVERY
from autoseg.image.labels import Labels
from autoseg.machine import clock
from autoseg.machine.map_cases import expected_seconds
from autoseg.metrics import CaseMetrics, Summary, summarize
from autoseg.metrics.rules import rules_of_labels
from autoseg.plan.plan import Plan, read_plan
from autoseg.run_folder.dataset_record import read_record
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record as read_case_record
from autoseg.run_folder.report_folder import report_folder
from autoseg.run_folder.split_notes import notes_on_classes, notes_on_splits
from autoseg.run_folder.splits import Split, cases_of, read_splits
from inference.compare import Compared, Pair, compare, compare_all, voxels_of, workers_for
from inference.evaluation.cross_validated import cross_validated
from inference.evaluation.label_folders import (
    annotated_beside,
    by_case,
    declaration_beside,
    images_of,
    labels_declared,
    labels_found,
    match_folders,
    strata_beside,
    unmatched_rows,
)
from inference.report.background_image import Background, from_file, from_preprocessed
from inference.report.pictures import chosen_pictures
from inference.report.run_facts import run_facts
from inference.report.suspect_pictures import suspect_pictures
from inference.report.write import write_report
from inference.suspects.table import read_suspects


class IncompleteEvaluation(PartialFailure):
    """Some cases could not be evaluated; the report of the other cases is written.

    Args:
        summary: summary of the evaluated cases; its `problems` say which cases are missing, and why.
        report: folder that the report was written to.
    """

    def __init__(self, summary: Summary, report: Path) -> None:
        self.summary = summary
        count, listed = len(summary.problems), "\n".join(summary.problems)
        super().__init__(
            f"{count} {'case' if count == 1 else 'cases'} could not be evaluated; "
            f"the other {summary.cases} are in {report / 'report.html'}\n{listed}"
        )


def evaluate_folders(
    reference: Path,
    prediction: Path,
    output: Path,
    *,
    labels: Labels | None = None,
    images: Path | None = None,
    workers: int | None = None,
    threads: int | None = None,
) -> Summary:
    """Compare predicted label maps with references of the same names and write a report.

    Files are matched by name without its ending. A prediction without a reference is a warning. A reference without
    a prediction, or with a prediction on another grid, is a problem: the report of the other cases is written and
    names the problem, and then `IncompleteEvaluation` is raised. Stratification columns of a `cases.csv` in or
    beside the reference folder split the results, and its column `annotated` says which classes were looked for in each
    case; without it, all were.

    Args:
        reference: folder of reference label maps.
        prediction: folder of predicted label maps.
        output: folder for `metrics.csv`, `strata.csv`, `summary.json` and `report.html`.
        labels: label values and names of the classes; None = those of the `dataset.json` in or beside the
            reference folder, or else the values that occur in the references.
        images: folder of the images that pictures show under the outlines; None = outlines alone.
        workers: number of processes; None = as many as the cores and the free memory allow.
        threads: threads that all processes together may use; None = as many as there are cores.

    Raises:
        InputError: the folders hold no label maps of the same names.
        DatasetError: the `dataset.json` or `cases.csv` in or beside the reference folder is malformed.
        IncompleteEvaluation: some cases could not be evaluated.
    """
    matched = match_folders(reference, prediction)
    declared = declaration_beside(reference)
    if labels is None and declared is not None:
        labels = labels_declared(*declared)
    if labels is None:
        labels = labels_found(matched.pairs)
    name = (declared[0].name if declared else None) or reference.absolute().parent.name
    strata = by_case(strata_beside(reference), matched.pairs)
    looked_for = by_case(annotated_beside(reference, labels), matched.pairs)
    pairs = [replace(pair, annotated=looked_for.get(pair.case, EVERY)) for pair in matched.pairs]
    compared = compare_all(pairs, labels, workers=workers, threads=threads)
    rows, not_annotated = _rows(compared), _not_annotated(compared)
    summary = summarize(
        rows,
        dataset=name,
        synthetic=is_synthetic(declared[0].synthetic if declared else None, name),
        strata=strata,
        problems=[*(f"case {c}: has no prediction in {prediction}" for c in matched.missing), *_problems(compared)],
        warnings=[
            *(f"case {c}: is predicted, but has no reference; left out" for c in matched.extra),
            *matched.passed_over,
            *unmatched_rows(looked_for, [*(pair.case for pair in pairs), *matched.missing]),
            *_warnings(compared),
        ],
        more_rules=rules_of_labels(labels, partly=bool(not_annotated)),
        names=labels.foreground,
        not_annotated=not_annotated,
    )
    backgrounds = _backgrounds(pairs, images)
    pictures = chosen_pictures(rows, {p.case: p for p in pairs}, labels, backgrounds)
    write_report(output, summary, rows, pictures=pictures, facts=None, strata=strata, not_annotated=not_annotated)
    return _complete(summary, output)


def report_run(
    run: RunFolder, configuration: str, *, workers: int | None = None, threads: int | None = None
) -> Summary:
    """Evaluate a run's cross-validation against the references kept with the preprocessed cases.

    This needs neither the raw data nor the models. Cases of folds that are not finished yet are left out,
    with a warning.

    Args:
        run: RUN folder whose folds have predicted their validation cases; the report goes to its `report_folder`.
        configuration: name of the configuration.
        workers: number of processes; None = as many as the cores and the free memory allow.
        threads: threads that all processes together may use; None = as many as there are cores.

    Raises:
        PlanError: the plan or the splits are missing or malformed.
        RunFolderError: no case is predicted yet, or a fold was trained with another split than
            `splits.json` now holds.
        IncompleteEvaluation: some predictions are missing or unreadable.
    """
    plan = read_plan(run.plan)
    found = cross_validated(run, plan, configuration)
    folds, pairs = found.folds, found.pairs
    if not pairs:
        raise RunFolderError(
            f"{run.cross_validation(configuration)}: no case is predicted yet; `autoseg train {run.path} --fold all` "
            "predicts the cases that each fold did not see"
        )
    compared = compare_all(pairs, plan.labels, workers=workers, threads=threads)
    rows, not_annotated = _rows(compared), _not_annotated(compared)
    record = read_record(run) if run.dataset.exists() else None
    strata = {case.name: case.strata for case in record.cases} if record else {}
    summary = summarize(
        rows,
        dataset=plan.dataset,
        configuration=configuration,
        synthetic=is_synthetic(record.synthetic if record else None, plan.dataset),
        folds=folds,
        strata=strata,
        problems=[*(f"case {case}: its prediction is missing" for case in found.lost), *_problems(compared)],
        warnings=[
            *_unfinished_warning(found.unfinished, len(folds)),
            *_left_out_warning(found.of_run, found.splits),
            *(notes_on_splits(found.of_run, record) if record else ()),
            *(notes_on_classes(found.of_run, record) if record else ()),
            *_warnings(compared),
        ],
        more_rules=rules_of_labels(plan.labels, partly=bool(not_annotated)),
        names=plan.labels.foreground,
        not_annotated=not_annotated,
    )
    backgrounds = preprocessed_backgrounds(run, configuration, plan, pairs)
    compared_cases = {row.case for row in rows}
    readable = {pair.case: pair for pair in pairs if pair.case in compared_cases}
    pictures = chosen_pictures(rows, readable, plan.labels, backgrounds)
    facts = run_facts(run, plan, configuration, found.splits)
    # suspects are of what predicts; a report of another configuration does not show them
    suspected = read_suspects(run) if facts.selection is not None else []
    looked_at = suspect_pictures(suspected, readable, plan.labels, backgrounds)
    report = report_folder(run, configuration)
    write_report(
        report,
        summary,
        rows,
        pictures=pictures,
        facts=facts,
        suspects=looked_at,
        folds=folds,
        strata=strata,
        not_annotated=not_annotated,
    )
    return _complete(summary, report)


def expected_comparison_seconds(run: RunFolder, configuration: str, threads: int | None = None) -> float | None:
    """Expected seconds to compare all cases once every fold is finished; up to three predicted cases are timed.

    Args:
        run: RUN folder with at least one finished fold.
        configuration: name of the configuration.
        threads: threads that all processes together may use; None = as many as there are cores.

    Returns:
        None where no case is predicted yet, or where a timed case cannot be compared.
    """
    plan = read_plan(run.plan)
    pairs = cross_validated(run, plan, configuration).pairs
    if not pairs:
        return None
    cases = len(cases_of(read_splits(run.splits)))
    workers = workers_for([pairs[i % len(pairs)] for i in range(cases)], threads)
    rates = []
    # the first comparison also loads the libraries, so only the slower one of the other two counts
    for pair in (pairs[0], pairs[len(pairs) // 2], pairs[-1]):
        start = clock.now()
        if compare(pair, plan.labels).problem is not None:
            return None
        rates.append((clock.now() - start) / max(1, voxels_of(pair)))
    # cases differ in size, and with it in the time that they take
    a_case = max(rates[1:]) * mean(voxels_of(pair) for pair in pairs)
    return expected_seconds(a_case, cases, workers)


def _unfinished_warning(unfinished: Sequence[int], cases: int) -> list[str]:
    if not unfinished:
        return []
    folds = ", ".join(map(str, unfinished))
    return [f"fold {folds}: not finished; its cases are missing here, of {cases} cases in all"]


def _left_out_warning(all_splits: Sequence[Split], splits: Sequence[Split]) -> list[str]:
    """A warning that names the cases without any sequence that the configuration sees."""
    every, validated = ({case for split in some for case in split.val} for some in (all_splits, splits))
    if every == validated:
        return []
    left_out = ", ".join(sorted(every - validated))
    return [
        f"{len(validated)} of {len(every)} cases take part; none of the sequences that the network sees: {left_out}"
    ]


def preprocessed_backgrounds(
    run: RunFolder, configuration: str, plan: Plan, pairs: Sequence[Pair]
) -> dict[str, Background]:
    """Backgrounds for the pictures, by case name, from the preprocessed images that still exist."""
    names = tuple(channel.name for channel in plan.channels)
    folders = {pair.case: run.case(plan.preprocessed_as(configuration), pair.case) for pair in pairs}
    return {
        case: from_preprocessed(folder, read_case_record(folder), names)
        for case, folder in folders.items()
        if (folder / "image.b2nd").exists()
    }


def _backgrounds(pairs: Sequence[Pair], images: Path | None) -> dict[str, Background]:
    if images is None:
        return {}
    return {case: from_file(file) for case, file in images_of(images, [pair.case for pair in pairs]).items()}


def _rows(compared: Sequence[Compared]) -> list[CaseMetrics]:
    return [row for one in compared for row in one.rows]


def _not_annotated(compared: Sequence[Compared]) -> dict[str, tuple[str, ...]]:
    """Names of the classes that nobody looked for, by case; only of cases that have any."""
    return {one.case: one.not_annotated for one in compared if one.not_annotated}


def _problems(compared: Sequence[Compared]) -> list[str]:
    return [one.problem for one in compared if one.problem is not None]


def _warnings(compared: Sequence[Compared]) -> list[str]:
    return [warning for one in compared for warning in one.warnings]


def _complete(summary: Summary, report: Path) -> Summary:
    if summary.problems:
        raise IncompleteEvaluation(summary, report)
    return summary
