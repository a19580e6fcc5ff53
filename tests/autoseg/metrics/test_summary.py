"""The summary against hand-computed means, counts of cases and the conventions for empty classes."""

import numpy as np
import pytest

from autoseg.image.labels import Labels
from autoseg.metrics import CaseMetrics, Summary, case_metrics, mean_dice, summarize

LABELS = Labels(values=(0, 1, 2), names=("background", "organ", "lesion"))
SPACING = (1.0, 1.0, 1.0)


def case(name: str, organ: tuple[int, int], lesion: tuple[int, int]) -> list[CaseMetrics]:
    """Rows of a case whose organ and lesion are rods: (reference, predicted) voxels from one end."""
    maps = np.zeros((2, 3, 3, 40), np.uint8)
    for which in range(2):
        maps[which, 0, 0, : organ[which]] = 1
        maps[which, 2, 2, : lesion[which]] = 2
    return case_metrics(name, maps[0], maps[1], SPACING, LABELS, surfaces=False)


def dice(reference: int, prediction: int) -> float:
    return 2 * min(reference, prediction) / (reference + prediction)


@pytest.fixture
def rows() -> list[CaseMetrics]:
    return [
        *case("a", (10, 30), (4, 4)),
        *case("b", (20, 20), (0, 0)),
        *case("c", (20, 10), (0, 5)),
        *case("d", (20, 10), (8, 0)),
    ]


def test_mean_dice_is_the_mean_over_classes_of_the_mean_over_cases(rows: list[CaseMetrics]) -> None:
    organ = (dice(10, 30) + 1 + 2 * dice(20, 10)) / 4
    lesion = (1 + 0 + 0) / 3
    assert mean_dice(rows) == pytest.approx((organ + lesion) / 2)
    assert summarize(rows, dataset="x").mean_dice == pytest.approx((organ + lesion) / 2)


def test_every_mean_states_its_cases_and_the_empty_ones_are_counted(rows: list[CaseMetrics]) -> None:
    lesion = summarize(rows, dataset="x").classes[1]
    assert (lesion.cases, lesion.both_empty, lesion.only_reference_empty, lesion.only_prediction_empty) == (4, 1, 1, 1)
    assert (lesion.metrics["dice"].n, lesion.metrics["dice"].undefined) == (3, 1)
    assert (lesion.metrics["sensitivity"].n, lesion.metrics["sensitivity"].mean) == (2, 0.5)
    assert (lesion.metrics["precision"].n, lesion.metrics["precision"].mean) == (2, 0.5)
    assert lesion.metrics["volume_error_relative"].n == 2
    assert lesion.metrics["volume_error_ml"].mean == pytest.approx((0 + 0 + 5 - 8) / 4 / 1000)


def test_pooled_metrics_add_up_voxels_first(rows: list[CaseMetrics]) -> None:
    pooled = summarize(rows, dataset="x").classes[0].pooled
    assert (pooled.tp, pooled.fp, pooled.fn) == (10 + 20 + 10 + 10, 20, 20)
    assert pooled.tn == 4 * 360 - 50 - 40
    assert pooled.dice == pytest.approx(2 * 50 / (2 * 50 + 20 + 20))
    assert pooled.volume_error_ml == pytest.approx(0)


def test_lesions_are_pooled_and_binned_by_size(rows: list[CaseMetrics]) -> None:
    lesions = summarize(rows, dataset="x").classes[1].lesions
    assert (lesions.reference, lesions.found, lesions.missed, lesions.predicted, lesions.false) == (2, 1, 1, 2, 1)
    assert (lesions.sensitivity, lesions.precision, lesions.f1, lesions.f2) == (0.5, 0.5, 0.5, 0.5)
    assert lesions.false_per_case == 0.25
    assert [(b.lower_mm, b.upper_mm, b.reference, b.found) for b in lesions.by_size] == [
        (0, 5, 2, 1),
        (5, 10, 0, 0),
        (10, 20, 0, 0),
        (20, None, 0, 0),
    ]
    assert lesions.by_size[1].sensitivity is None


def test_a_class_without_any_defined_dice_is_named_and_not_averaged() -> None:
    summary = summarize([*case("a", (10, 10), (0, 0)), *case("b", (10, 30), (0, 0))], dataset="x")
    assert summary.classes_without_dice == ("lesion",)
    assert summary.mean_dice == pytest.approx((1 + dice(10, 30)) / 2)
    assert summary.classes[1].metrics["dice"].mean is None


def test_folds_and_strata(rows: list[CaseMetrics]) -> None:
    summary = summarize(
        rows,
        dataset="x",
        folds={"a": 0, "b": 0, "c": 1, "d": 1},
        strata={
            name: {"lesion_type": kind} for name, kind in zip("abcd", ("lytic", "none", "none", "lytic"), strict=True)
        },
    )
    assert [(f.name, f.cases) for f in summary.folds] == [("fold 0", 2), ("fold 1", 2)]
    assert summary.folds[0].mean_dice == pytest.approx(((dice(10, 30) + 1) / 2 + 1) / 2)
    assert [(s.name, s.cases) for s in summary.strata["lesion_type"]] == [("lytic", 2), ("none", 2)]
    assert summary.strata["lesion_type"][1].dice["lesion"].n == 1


def test_everything_said_of_all_cases_is_said_of_a_stratum_as_of_its_cases_alone(rows: list[CaseMetrics]) -> None:
    kinds = {"a": "lytic", "b": "lytic", "c": "", "d": "sclerotic"}
    summary = summarize(rows, dataset="x", strata={name: {"lesion_type": kind} for name, kind in kinds.items()})
    groups = {group.name: group for group in summary.strata["lesion_type"]}
    assert {name: group.cases for name, group in groups.items()} == {"lytic": 2, "not stated": 1, "sclerotic": 1}
    for name, cases in (("lytic", "ab"), ("not stated", "c"), ("sclerotic", "d")):
        alone = summarize([row for row in rows if row.case in cases], dataset="x")
        assert groups[name].classes == alone.classes
    lesions = groups["sclerotic"].classes[1].lesions
    assert (lesions.reference, lesions.found, lesions.f2) == (1, 0, None)
    assert [c.cases for c in groups["lytic"].classes] == [2, 2]


def test_the_summary_survives_its_file(rows: list[CaseMetrics]) -> None:
    summary = summarize(rows, dataset="x", folds={"a": 0})
    assert Summary.model_validate_json(summary.model_dump_json()) == summary
