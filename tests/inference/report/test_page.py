"""The page of a report: a short table stands in it as it is, a long one is shown in pages with the same lines."""

import html
import re

from autoseg.metrics import CaseMetrics, summarize
from autoseg.metrics.lesions import Lesion, LesionMatch
from autoseg.metrics.surface import SurfaceMetrics
from autoseg.metrics.voxel import Counts
from autoseg.run_folder.lesion_scores import FrocPoint, LesionScores, ReliabilityBin
from autoseg.run_folder.selection import ClassPerformance, ClassRule, Performance, Selection
from inference.report.fact import Fact
from inference.report.page import LINES_OF_PAGE, MOST_LINES, page
from inference.report.run_facts import RunFacts
from inference.report.suspect_pictures import SuspectPicture
from inference.suspects.table import Line


def metrics(case: str, class_name: str = "organ") -> CaseMetrics:
    lesions = LesionMatch((Lesion(0.5, 0.5, 0.5, 0.5, 0.5),), 1, 0)
    return CaseMetrics(case, class_name, 0.001, Counts(9, 1, 2, 99), SurfaceMetrics(3.0, 0.9), lesions)


def page_of(rows: list[CaseMetrics], strata=None, facts: RunFacts | None = None, suspects=()) -> str:
    summary = summarize(rows, dataset="data", strata=strata)
    return page(summary, rows, pictures=[], facts=facts, folds={}, suspects=suspects)


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


def performance(dice: float, false: float) -> Performance:
    of_class = ClassPerformance(
        name="organ", dice=dice, cases=12, lesions=9, sensitivity=0.75, false_per_case=false, f2=0.5
    )
    return Performance(mean_dice=dice, classes=(of_class,))


def test_the_selection_is_shown_with_and_without_what_it_does() -> None:
    scores = LesionScores(
        name="organ",
        lesions=30,
        real=12,
        centre=(0, 0, 0),
        scale=(1, 1, 1),
        weights=(1, 1, 1),
        intercept=0,
        reliability=(ReliabilityBin(lower=0, upper=1, n=30, score=0.4, real=0.5),),
        calibration_error=0.1,
        froc=(FrocPoint(false_per_case=0.3, sensitivity=0.5), FrocPoint(false_per_case=3, sensitivity=0.9)),
    )
    selection = Selection(
        configurations=("3d",),
        post_processing=(ClassRule(name="organ", threshold=0.3),),
        plain=performance(0.612, 2.25),
        post_processed=performance(0.634, 1.75),
        lesion_scores=(scores,),
        froc={"organ": scores.froc},
    )
    facts = RunFacts((), (), (), {}, (), (Fact("operating point", "f2"),), selection)
    line = Line("<case>", "organ", "not seen", 0.8, 0.5, 9.8, (1.0, 2.0, 3.0))
    suspect = SuspectPicture(line, "axial, slice 3 of 9", "data:image/png;base64,AAAA")
    text = page_of([metrics(f"case_{i}") for i in range(12)], facts=facts, suspects=[suspect])
    for shown in ("0.612", "2.25", "0.634", "1.75", "threshold 0.3", "organ, by score", "0.10"):
        assert shown in text
    # at 0.125 and 0.25 no point has so few false ones, at 0.5 half are found, at 4 nine of ten
    row = text[text.index("organ, by threshold") :]
    assert re.findall(r"<td>([^<]*)</td>", row)[:6] == ["–", "–", "50 %", "50 %", "50 %", "90 %"]
    assert "&lt;case&gt;" in text and suspect.source in text and "not seen" in text


def test_without_a_selection_the_page_says_nothing_of_one() -> None:
    text = page_of([metrics("a")])
    assert "Selected for prediction" not in text and "Annotations to look at again" not in text
    assert "95 % intervals of the means<" not in text


def test_a_model_that_is_too_weak_is_told_above_all_numbers() -> None:
    facts = RunFacts((), (), (), {}, ())
    weak = CaseMetrics("a", "organ", 0.001, Counts(1, 9, 9, 99), SurfaceMetrics(3.0, 0.9), LesionMatch((), 0, 0))
    text = page_of([weak], facts=facts)
    assert text.index("mean Dice 0.100: too weak a model") < text.index('class="tiles"')
    for other in (page_of([metrics("a")], facts=facts), page_of([weak])):
        assert "too weak" not in other
