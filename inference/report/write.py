"""The three files of a report folder: `metrics.csv`, `summary.json`, `report.html`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from autoseg.metrics import CaseMetrics, Summary
from autoseg.metrics.summary import METRICS
from autoseg.run_folder import write_text
from inference.report.facts import RunFacts
from inference.report.page import page
from inference.report.pictures import Picture

COLUMNS = (
    "case",
    "class",
    "fold",
    *METRICS,
    "reference_ml",
    "prediction_ml",
    "tp",
    "fp",
    "fn",
    "tn",
    "reference_empty",
    "prediction_empty",
    "lesions_reference",
    "lesions_found",
    "lesions_missed",
    "lesions_predicted",
    "lesions_false",
)
"""Columns of `metrics.csv`; an empty field is a metric that is not defined for that case."""


def write_report(
    folder: Path,
    summary: Summary,
    rows: Sequence[CaseMetrics],
    *,
    pictures: Sequence[Picture],
    facts: RunFacts | None,
    folds: Mapping[str, int] | None = None,
) -> None:
    """Write the files of a report, each atomically.

    Args:
        folder: made where it does not exist.
        summary: of `rows`.
        rows: metrics of every case and class.
        pictures: of chosen cases.
        facts: what was trained on what; None where folders were compared.
        folds: fold that each case was validated in.
    """
    write_text(folder / "metrics.csv", metrics_csv(rows, folds or {}))
    write_text(folder / "summary.json", summary.model_dump_json(indent=1))
    write_text(folder / "report.html", page(summary, rows, pictures=pictures, facts=facts, folds=folds or {}))


def metrics_csv(rows: Sequence[CaseMetrics], folds: Mapping[str, int]) -> str:
    """The text of `metrics.csv`: one line a case and class, columns as in `COLUMNS`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        metrics = [_text(getattr(row, metric)) for metric in METRICS]
        volumes = [_text(row.reference_ml), _text(row.prediction_ml)]
        counts = [row.counts.tp, row.counts.fp, row.counts.fn, row.counts.tn]
        empty = [int(row.reference_empty), int(row.prediction_empty)]
        found = row.lesions
        lesions = [len(found.lesions), found.found, found.missed, found.predicted, found.false]
        writer.writerow(
            [row.case, row.class_name, folds.get(row.case, ""), *metrics, *volumes, *counts, *empty, *lesions]
        )
    return out.getvalue()


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.7g}"
