import numpy as np
import pandas as pd
import pytest

from inference.study.tables import (
    MEAN_OF_CLASSES,
    CellFigure,
    figures,
    indexed,
    lookup,
    main_class,
    paper_table,
    strata_tables,
    with_mean_of_classes,
)

NAN = float("nan")
DICE = {
    # (label, dimension): by class the cases' Dice
    ("T2", "2d"): {"body": [0.8, 0.6, 0.7], "lesion": [0.4, NAN, 0.2]},
    ("T2", "3d"): {"body": [0.9, 0.9, 0.9], "lesion": [0.5, 0.0, 0.7]},
    ("T1", "2d"): {"body": [0.7, 0.5, 0.6], "lesion": [NAN, NAN, NAN]},
}
STRATA = ["lytic", "sclerotic", "lytic"]


@pytest.fixture
def frame():
    return pd.DataFrame(
        [
            {
                "cell": f"{label}.{dimension}",
                "sequences": label,
                "dimension": dimension,
                "patient": f"p{i}",
                "stratum_lesion_type": STRATA[i],
                "case": f"c{i}",
                "class": name,
                "fold": i % 2,
                "dice": value,
                "sensitivity": value / 2,
                "specificity": 0.99,
            }
            for (label, dimension), of_cell in DICE.items()
            for name, values in of_cell.items()
            for i, value in enumerate(values)
        ]
    )


def test_figures_are_means_over_the_cases_that_define_them(frame):
    long = figures(frame)
    figure = lookup(indexed(long), class_="lesion", sequences="T2", dimension="2d", metric="dice")
    assert figure == CellFigure(pytest.approx(0.3), pytest.approx(np.std([0.4, 0.2], ddof=1)), 2, 1)
    assert figure.text == "0.300 ± 0.141 (n = 2)"
    assert lookup(indexed(long), class_="lesion", sequences="T1", dimension="2d", metric="dice") == CellFigure(
        None, None, 0, 3
    )
    assert lookup(indexed(long), class_="lesion", sequences="T1", dimension="3d", metric="dice").text == "–"
    halved = lookup(indexed(long), class_="body", sequences="T2", dimension="3d", metric="sensitivity")
    assert (halved.mean, halved.cases) == (pytest.approx(0.45), 3)


def test_each_case_counts_once_in_the_mean_of_the_classes(frame):
    long = figures(with_mean_of_classes(frame, ["dice", "sensitivity", "specificity"]))
    assert list(dict.fromkeys(long["class"])) == [MEAN_OF_CLASSES, "body", "lesion"]
    # cases 0.6 (of 0.8, 0.4), 0.6 (lesion not defined), 0.45
    figure = lookup(indexed(long), class_=MEAN_OF_CLASSES, sequences="T2", dimension="2d", metric="dice")
    assert figure == CellFigure(pytest.approx(0.55), pytest.approx(np.std([0.6, 0.6, 0.45], ddof=1)), 3, 0)
    assert main_class(frame) == MEAN_OF_CLASSES
    alone = frame[frame["class"] == "lesion"]
    assert main_class(alone) == "lesion" and with_mean_of_classes(alone, ["dice"]) is alone


def test_the_papers_table_has_sequences_in_rows_and_dimensions_in_columns(frame):
    table = paper_table(figures(frame))
    assert list(table.columns) == [
        *("class", "sequences", "metric"),
        *("2d mean", "2d sd", "2d cases", "3d mean", "3d sd", "3d cases"),
    ]
    dice = table[(table["metric"] == "dice") & (table["class"] == "body")]
    assert list(dice["sequences"]) == ["T2", "T1"], "in the order of the study, not of the alphabet"
    assert dice["2d mean"].tolist() == pytest.approx([0.7, 0.6])
    assert dice["3d mean"].iloc[0] == pytest.approx(0.9) and np.isnan(dice["3d mean"].iloc[1])
    assert len(table) == 2 * 2 * 3


def test_strata_split_the_cases_and_say_how_many_they_are(frame):
    strata = strata_tables(frame)
    where = {"column": "lesion_type", "class_": "lesion", "sequences": "T2", "metric": "dice"}
    assert lookup(indexed(strata), **where, value="lytic", dimension="3d") == CellFigure(
        pytest.approx(0.6), pytest.approx(np.std([0.5, 0.7], ddof=1)), 2, 0
    )
    assert lookup(indexed(strata), **where, value="sclerotic", dimension="3d") == CellFigure(
        pytest.approx(0.0), None, 1, 0
    )
    wide = paper_table(strata)
    assert list(wide.columns[:5]) == ["column", "class", "value", "sequences", "metric"]
    assert strata_tables(frame.drop(columns="stratum_lesion_type")).empty
