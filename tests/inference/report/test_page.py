"""The page of a report: a short table stands in it as it is, a long one is shown in pages with the same lines."""

import html
import re

from autoseg.metrics import CaseMetrics, summarize
from autoseg.metrics.lesions import Lesion, LesionMatch
from autoseg.metrics.surface import SurfaceMetrics
from autoseg.metrics.voxel import Counts
from inference.report.page import LINES_OF_PAGE, MOST_LINES, page


def metrics(case: str, class_name: str = "organ") -> CaseMetrics:
    lesions = LesionMatch((Lesion(0.5, 0.5, 0.5, 0.5, 0.5),), 1, 0)
    return CaseMetrics(case, class_name, 0.001, Counts(9, 1, 2, 99), SurfaceMetrics(3.0, 0.9), lesions)


def page_of(rows: list[CaseMetrics], strata=None) -> str:
    summary = summarize(rows, dataset="data", strata=strata)
    return page(summary, rows, pictures=[], facts=None, folds={})


def first_cells(text: str) -> list[str]:
    return [html.unescape(cell) for cell in re.findall(r"<tr><td>([^<]*)", text)]


def test_a_short_table_stands_in_the_page() -> None:
    text = page_of([metrics(f"case_{i}") for i in range(MOST_LINES)])
    assert "<script" not in text
    assert first_cells(text)[-MOST_LINES:] == [f"case_{i}" for i in range(MOST_LINES)]


def test_a_long_table_is_text_that_is_looked_at_page_by_page() -> None:
    names = [f"<b>&{i}</script>" for i in range(MOST_LINES + 1)]
    text = page_of([metrics(name) for name in names])
    parts = re.findall(r'<script type="text/plain">(.*?)</script>', text, re.DOTALL)
    assert len(parts) == -(-len(names) // LINES_OF_PAGE)
    assert [cell for part in parts for cell in first_cells(part)] == names
    assert text.count("<script>") == 1 and "http" not in text[text.index("<script>") :], "it works without a network"


def test_the_lines_of_many_strata_are_shown_in_pages_too() -> None:
    rows = [metrics(f"case_{i}") for i in range(MOST_LINES + 5)]
    text = page_of(rows, {row.case: {"site": f"site {row.case}"} for row in rows})
    parts = re.findall(r'<script type="text/plain">(.*?)</script>', text, re.DOTALL)
    # two tables by stratum, and that of every case
    assert sum(len(first_cells(part)) for part in parts) == 3 * len(rows)


def test_many_dots_are_drawn_as_an_image() -> None:
    few, many = (len(page_of([metrics(f"case_{i}") for i in range(n)])) for n in (2_000, 6_000))
    assert many < 2 * few
