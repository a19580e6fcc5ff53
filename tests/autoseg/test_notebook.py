"""Results as tables in a notebook: names of strangers are text, and nothing is cut short."""

import numpy as np
import pandas as pd
import pytest

from autoseg.image.labels import Labels
from autoseg.metrics import case_metrics, summarize
from autoseg.notebook import MOST_ROWS, ShownAsTable

HOSTILE = "<script>alert(1)</script>&\"'"


class Example(ShownAsTable):
    def __init__(self, frame):
        self.frame = frame

    @property
    def heading(self):
        return HOSTILE

    def to_frame(self):
        return self.frame


def test_names_are_text_wherever_they_stand():
    html = Example(pd.DataFrame({HOSTILE: [HOSTILE]}))._repr_html_()
    assert "<script" not in html and html.count("&lt;script&gt;") == 3


def test_long_names_are_whole_and_missing_numbers_are_said_to_be():
    html = Example(pd.DataFrame({"file": ["a" * 300], "dice": [None], "hd95": [1.23456]}))._repr_html_()
    assert "a" * 300 in html and "not defined" in html and "1.235" in html
    assert pd.get_option("display.max_colwidth") == 50


def test_a_long_table_is_shown_in_part():
    html = Example(pd.DataFrame({"n": range(5000)}))._repr_html_()
    assert html.count("<tr") < MOST_ROWS + 5 and "5000 rows" in html


def test_what_has_no_table_says_so():
    with pytest.raises(NotImplementedError):
        ShownAsTable().to_frame()


def test_a_summary_is_a_table_of_its_classes():
    labels = Labels(values=(0, 1, 2), names=("background", "body", HOSTILE))
    label = np.zeros((3, 12, 12), np.uint8)
    label[1, 2:5, 2:5] = 1
    guess = label.copy()
    guess[1, 9, 9] = 1
    rows = case_metrics("a", label, guess, (1, 1, 1), labels, surfaces=False)
    summary = summarize(rows, dataset=HOSTILE, strata={})
    frame = summary.to_frame()
    assert frame["class"].tolist() == ["body", HOSTILE]
    # by hand: 9 voxels in both, 1 in the prediction alone
    assert frame["dice"].iloc[0] == pytest.approx(18 / 19) and frame["false_lesions"].tolist() == [1, 0]
    assert frame["dice"].isna().tolist() == [False, True]
    html = summary._repr_html_()
    assert "<script" not in html and "0.947" in html and "1 cases" in html
