"""Makes the tables of a report.

`metrics.csv` has one line for each case and class, `strata.csv` one line for each stratum and class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from autoseg.dataset.csv_rows import ANNOTATED
from autoseg.disk.csv_files import csv_text
from autoseg.metrics import NOT_STATED, CaseMetrics, Summary
from autoseg.metrics.summary import METRICS, ClassSummary

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
    "lesions_region_dice",
)
"""Columns of `metrics.csv`; the strata follow. An empty field is an undefined metric, or a case without a fold."""

NOT_ANNOTATED = "not annotated"
"""What is said of a class in a case in which nobody looked for it."""

STRATA_COLUMNS = (
    "column",
    "stratum",
    "class",
    "cases",
    *(f"{metric}_{part}" for metric in METRICS for part in ("n", "mean", "sd", "median")),
    "pooled_dice",
    "lesions_reference",
    "lesions_found",
    "lesions_predicted",
    "lesions_false",
    "lesions_false_per_case",
    "lesions_sensitivity",
    "lesions_precision",
    "lesions_f1",
    "lesions_f2",
    "lesions_panoptic_quality",
    "lesions_dice_of_found",
    "lesions_dice_of_all",
    "lesions_region_dice",
)
"""Columns of `strata.csv`: `cases` counts the stratum's cases, and `METRIC_n` those of them that define the metric.

After these, each bin of lesion sizes has two columns: its number of lesions, and how many of them were found.
"""


def metrics_csv(
    rows: Sequence[CaseMetrics],
    folds: Mapping[str, int],
    strata: Mapping[str, Mapping[str, str]] | None = None,
    not_annotated: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The text of `metrics.csv`: the columns of `COLUMNS`, then one column for each stratification column.

    Args:
        rows: metrics of every case and class.
        folds: index of the fold that each case was validated in, by case name; may be empty.
        strata: stratification values, by case name and column; a column whose name is in `COLUMNS` is called
            `stratum_NAME`. None = no strata.
        not_annotated: names of the classes that nobody looked for, by case name. Each has a line whose metrics are
            empty, and a column `annotated` after the strata says which lines these are. None = there is none, nor this
            column.
    """
    values = strata or {}
    columns = tuple(dict.fromkeys(column for of_case in values.values() for column in of_case))
    names = [f"stratum_{column}" if column in COLUMNS else column for column in columns]

    def of_case(case: str) -> list[object]:
        return [values.get(case, {}).get(column) or NOT_STATED for column in columns]

    if not not_annotated:
        return csv_text([*COLUMNS, *names], ([*_case_cells(row, folds), *of_case(row.case)] for row in rows))
    lines = [[*_case_cells(row, folds), *of_case(row.case), "yes"] for row in rows]
    empty = [""] * (len(COLUMNS) - 3)
    lines += [
        [case, name, folds.get(case, ""), *empty, *of_case(case), NOT_ANNOTATED]
        for case, unknown in not_annotated.items()
        for name in unknown
    ]
    return csv_text([*COLUMNS, *names, ANNOTATED], lines)


def strata_csv(summary: Summary) -> str:
    """The text of `strata.csv`: first all cases, a line for each class; then each column, value and class."""
    sizes = [_size(b.lower_mm, b.upper_mm) for c in summary.classes[:1] for b in c.lesions.by_size]
    header = [*STRATA_COLUMNS, *(f"lesions_{size}_{part}" for size in sizes for part in ("reference", "found"))]
    return csv_text(header, _strata_rows(summary))


def _strata_rows(summary: Summary) -> Iterator[list[object]]:
    for of_class in summary.classes:
        yield ["", "all", *_class_cells(of_class)]
    for column, groups in summary.strata.items():
        for group in groups:
            for of_class in group.classes:
                yield [column, group.name, *_class_cells(of_class)]


def _class_cells(of_class: ClassSummary) -> list[object]:
    spreads = [of_class.metrics[metric] for metric in METRICS]
    cells: list[object] = [of_class.name, of_class.cases]
    cells += [cell for s in spreads for cell in (s.n, _cell(s.mean), _cell(s.sd), _cell(s.median))]
    found = of_class.lesions
    cells += [_cell(of_class.pooled.dice), found.reference, found.found, found.predicted, found.false]
    cells += [_cell(v) for v in (found.false_per_case, found.sensitivity, found.precision, found.f1, found.f2)]
    quality = (found.panoptic_quality, found.dice_of_found, found.dice_of_all, found.region_dice)
    cells += [_cell(value) for value in quality]
    return cells + [cell for b in found.by_size for cell in (b.reference, b.found)]


def _case_cells(row: CaseMetrics, folds: Mapping[str, int]) -> list[object]:
    counts, found = row.counts, row.lesions
    return [
        row.case,
        row.class_name,
        folds.get(row.case, ""),
        *(_cell(getattr(row, metric)) for metric in METRICS),
        _cell(row.reference_ml),
        _cell(row.prediction_ml),
        *(counts.tp, counts.fp, counts.fn, counts.tn),
        *(int(row.reference_empty), int(row.prediction_empty)),
        *(len(found.lesions), found.found, found.missed, found.predicted, found.false),
        _cell(found.region_dice),
    ]


def _size(lower: float, upper: float | None) -> str:
    return f"from_{lower:g}_mm" if upper is None else f"{lower:g}_to_{upper:g}_mm"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.7g}"
