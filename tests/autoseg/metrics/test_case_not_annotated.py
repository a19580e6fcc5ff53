"""A class that nobody looked for in a case is in no number of that case, and is told as not annotated."""

import csv
import io

import numpy as np
import pytest

from autoseg.image.labels import LabelRegion, Labels
from autoseg.metrics import CaseMetrics, case_metrics, summarize
from inference.report.tables import metrics_csv

LABELS = Labels(values=(0, 1, 2), names=("background", "organ", "lesion"))
REGIONS = LABELS.changed(
    regions=(LabelRegion(name="any", values=(1, 2), value=1), LabelRegion(name="lesion", values=(2,), value=2))
)


def rows(name: str, annotated: object, organ: int = 10, lesion: int = 4) -> list[CaseMetrics]:
    """Rows of a case: half of the organ is predicted, and lesions are predicted where the reference has none."""
    maps = np.zeros((2, 2, 2, 20), np.uint8)
    maps[0, 0, 0, :organ] = maps[1, 0, 0, : organ // 2] = 1
    maps[1, 1, 1, :lesion] = 2
    return case_metrics(name, *maps, (1.0, 1.0, 1.0), LABELS, surfaces=False, annotated_classes=annotated)


def test_a_case_has_rows_of_the_classes_that_were_looked_for() -> None:
    assert [row.class_name for row in rows("a", ("organ",))] == ["organ"]
    assert [row.class_name for row in rows("a", ("lesion",))] == ["lesion"]
    organ, lesion = rows("a", "all")
    assert rows("a", ("organ",)) == [organ] and lesion.dice == 0 and lesion.lesions.false == 1
    maps = np.zeros((2, 1, 2, 4), np.uint8)
    found = case_metrics("a", *maps, (1.0, 1.0, 1.0), REGIONS, surfaces=False, annotated_classes=("lesion",))
    # a region that holds a class that nobody looked for is not known either
    assert [row.class_name for row in found] == ["lesion"]


def test_a_summary_counts_them_apart_and_in_the_order_of_the_data_set() -> None:
    of_cases = {"a": ("lesion",), "b": ("organ",), "c": "all"}
    every = [row for name, annotated in of_cases.items() for row in rows(name, annotated)]
    unknown = {"a": ("organ",), "b": ("lesion",)}
    folds, strata = {"a": 0, "b": 0, "c": 1}, {name: {"site": "x" if name == "b" else "y"} for name in of_cases}
    summary = summarize(every, dataset="d", folds=folds, strata=strata, names=LABELS.foreground, not_annotated=unknown)
    assert [(c.name, c.cases, c.not_annotated) for c in summary.classes] == [("organ", 2, 1), ("lesion", 2, 1)]
    organ, lesion = summary.classes
    assert organ.metrics["dice"].mean == pytest.approx(2 * 5 / 15) and organ.without == 0
    assert (lesion.only_reference_empty, lesion.both_empty, lesion.lesions.false) == (2, 0, 2)
    assert lesion.lesions.false_per_case == 1 and lesion.pooled.tn == 2 * 76
    assert summary.mean_dice == pytest.approx((2 * 5 / 15 + 0) / 2) and summary.cases == 3
    by_fold = {group.name: [(c.name, c.cases, c.not_annotated) for c in group.classes] for group in summary.folds}
    assert by_fold == {
        "fold 0": [("organ", 1, 1), ("lesion", 1, 1)],
        "fold 1": [("organ", 1, 0), ("lesion", 1, 0)],
    }
    (of_b,) = (group for group in summary.strata["site"] if group.name == "x")
    assert [(c.name, c.cases, c.not_annotated) for c in of_b.classes] == [("organ", 1, 0), ("lesion", 0, 1)]
    assert of_b.dice["lesion"].n == of_b.dice["lesion"].undefined == 0

    text = metrics_csv(every, folds, strata, unknown)
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [(line["case"], line["class"], line["site"], line["annotated"]) for line in lines[-2:]] == [
        ("a", "organ", "y", "not annotated"),
        ("b", "lesion", "x", "not annotated"),
    ]
    assert {line["annotated"] for line in lines[:-2]} == {"yes"}
    numbers = [value for key, value in lines[-1].items() if key not in ("case", "class", "fold", "site", "annotated")]
    assert len(numbers) == 22 and not any(numbers)


def test_a_class_that_nobody_ever_looked_for_is_told() -> None:
    summary = summarize(rows("a", ("organ",)), dataset="d", names=LABELS.foreground, not_annotated={"a": ("lesion",)})
    assert [(c.name, c.cases, c.not_annotated) for c in summary.classes] == [("organ", 1, 0), ("lesion", 0, 1)]
    assert summary.classes_without_dice == ("lesion",) and summary.mean_dice == pytest.approx(2 / 3)


def test_without_such_cases_tables_and_summary_are_as_they_were() -> None:
    every = rows("a", "all")
    assert metrics_csv(every, {}) == metrics_csv(every, {}, None, {})
    assert "annotated" not in metrics_csv(every, {})
    assert summarize(every, dataset="d") == summarize(every, dataset="d", names=("lesion", "organ"), not_annotated={})
