"""Writes the files of a report folder: `metrics.csv`, `strata.csv`, `summary.json`, `report.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from autoseg.files import write_text
from autoseg.metrics import CaseMetrics, Summary
from inference.report.page import page
from inference.report.pictures import Picture
from inference.report.run_facts import RunFacts
from inference.report.suspect_pictures import SuspectPicture
from inference.report.tables import metrics_csv, strata_csv


def write_report(
    folder: Path,
    summary: Summary,
    rows: Sequence[CaseMetrics],
    *,
    pictures: Sequence[Picture],
    facts: RunFacts | None,
    suspects: Sequence[SuspectPicture] = (),
    folds: Mapping[str, int] | None = None,
    strata: Mapping[str, Mapping[str, str]] | None = None,
    not_annotated: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write the files of a report, each atomically.

    Args:
        folder: report folder; it is created where it does not exist.
        summary: means and lesion counts over all `rows`.
        rows: metrics of every case and class.
        pictures: pictures of the best, median and worst case.
        facts: facts about data, plan and training of the run; None where two folders were compared.
        suspects: suspected errors of the annotation, with pictures.
        folds: index of the fold that each case was validated in, by case name; None = no folds.
        strata: stratification values, by case name and column; None = no strata.
        not_annotated: names of the classes that nobody looked for, by case name; None = all were looked for everywhere.
    """
    write_text(folder / "metrics.csv", metrics_csv(rows, folds or {}, strata, not_annotated))
    if summary.strata:
        write_text(folder / "strata.csv", strata_csv(summary))
    else:
        (folder / "strata.csv").unlink(missing_ok=True)
    write_text(folder / "summary.json", summary.model_dump_json(indent=1))
    write_text(
        folder / "report.html",
        page(
            summary,
            rows,
            pictures=pictures,
            facts=facts,
            suspects=suspects,
            folds=folds or {},
            not_annotated=not_annotated or {},
        ),
    )
