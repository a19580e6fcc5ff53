import pandas as pd
import pytest

from autoseg.run_folder.paths import RunFolder
from inference.lesion_scores.components import MeasuredLesion
from inference.suspects.find import NOT_ANNOTATED, NOT_SEEN, Suspect
from inference.suspects.table import COLUMNS, MOST_SUSPECTS, read_suspects, write_suspects


def suspect(case: str, kind=NOT_ANNOTATED, confidence: float = 0.8) -> Suspect:
    return Suspect(case, "lesion", kind, confidence, MeasuredLesion(9, 0.5, 0.8, 0.9, (1, 2, 3)), (1.5, -2.0, 30.25))


def test_what_is_written_is_read(tmp_path) -> None:
    run = RunFolder(tmp_path)
    write_suspects(run, [suspect("a"), suspect("=b", NOT_SEEN, 0.4)])
    first, second = read_suspects(run)
    assert (first.case, first.suspected, first.confidence, first.place_mm) == (
        "a",
        "not annotated",
        0.8,
        (1.5, -2, 30.25),
    )
    assert (second.case, second.suspected) == ("=b", "not seen")
    table = pd.read_csv(run.suspects)
    assert tuple(table.columns) == COLUMNS and table["diameter_mm"].tolist() == pytest.approx([9.847, 9.847])


def test_only_the_first_are_written(tmp_path) -> None:
    write_suspects(RunFolder(tmp_path), [suspect(str(i)) for i in range(MOST_SUSPECTS + 5)])
    assert len(read_suspects(RunFolder(tmp_path))) == MOST_SUSPECTS


@pytest.mark.parametrize(
    "text",
    ["", "case\na\n", ",".join(COLUMNS) + "\na,lesion,odd,1,1,1,1,1,1\n", "\0"]
    + [",".join(COLUMNS) + f"\na,lesion,not seen,1,1,1,1,{number},1\n" for number in ("nan", "inf", "1e300", "x")],
)
def test_another_or_a_damaged_file_is_no_suspects(tmp_path, text: str) -> None:
    run = RunFolder(tmp_path)
    assert read_suspects(run) == []
    run.suspects.write_text(text, encoding="utf-8")
    assert read_suspects(run) == []
