"""Makes `study.html`, one file that needs neither the internet nor other files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from jinja2 import ChoiceLoader, PackageLoader

from autoseg.metrics.aggregate import lesion_summary
from inference.report.encode import svg
from inference.report.page import MOST_LINES, installed_version, number, page_environment, signed
from inference.report.plane import PREDICTION_COLOUR, REFERENCE_COLOUR
from inference.study.charts import MOST_CLASSES, box_plots, heat_map, lesion_curves
from inference.study.collect import STRATUM, CellRows
from inference.study.pictures import CasePicture
from inference.study.results import StudyResults
from inference.study.tables import PAPER_METRICS, CellFigure, lookup

_LEAST_P = 0.001


def page(results: StudyResults, collected: Sequence[CellRows], pictures: Sequence[CasePicture]) -> str:
    """The HTML of the page.

    Args:
        results: results of the study.
        collected: metrics of each cell, from which lesions are counted and drawn.
        pictures: pictures of the best, median and worst case.
    """
    # the style sheet is that of the report
    environment = page_environment(
        ChoiceLoader([PackageLoader("inference", "study"), PackageLoader("inference", "report")])
    )
    environment.filters.update(signed=signed, p=p_value)
    curves = lesion_curves(collected)
    return environment.get_template("study.html").render(
        results=results,
        metrics=PAPER_METRICS,
        strata=strata_of(results),
        at_stratum=lambda column, value, label, dimension, metric: at_stratum(
            results, column, value, label, dimension, metric
        ),
        main_comparisons=[pair for pair in results.compared if pair.class_name == results.main_class],
        other_comparisons=[pair for pair in results.compared if pair.class_name != results.main_class],
        lesions=[(of_cell.cell, lesion_summary(of_cell.rows)) for of_cell in collected if of_cell.rows],
        has_pages=len(results.compared) > MOST_LINES,
        boxes=svg(box_plots(results)),
        boxed_classes=min(len(results.classes), MOST_CLASSES),
        heat=svg(heat_map(results)),
        curves=None if curves is None else svg(curves),
        pictures=pictures,
        reference_colour=REFERENCE_COLOUR,
        prediction_colour=PREDICTION_COLOUR,
        today=date.today().isoformat(),
        version=installed_version(),
    )


def strata_of(results: StudyResults) -> dict[str, list[tuple[str, int]]]:
    """Values of each stratification column, and the number of cases that have each value."""
    frame = results.frame
    counted = {}
    for column in (c for c in frame.columns if c.startswith(STRATUM)):
        cases = frame.groupby(column)["case"].nunique()
        counted[column.removeprefix(STRATUM)] = [(str(value), int(n)) for value, n in cases.items()]
    return counted


def at_stratum(results: StudyResults, column: str, value: str, label: str, dimension: str, metric: str) -> CellFigure:
    """Mean and standard deviation of a cell for the main class, over the cases of one stratum.

    Args:
        results: results of the study.
        column: name of the stratification column.
        value: value of that column, which makes the stratum.
        label: label of the cell's set of sequences.
        dimension: input dimension of the cell.
        metric: name of the metric.
    """
    return lookup(
        results.figures_of_strata,
        column=column,
        value=value,
        class_=results.main_class,
        sequences=label,
        dimension=dimension,
        metric=metric,
    )


def p_value(p: float | None) -> str:
    """Text of a p value, such as `0.031` or `< 0.001`."""
    return number(p) if p is None or p >= _LEAST_P else f"< {_LEAST_P:g}"
