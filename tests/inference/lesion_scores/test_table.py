"""`predicted_lesions.csv`, as pandas and SimpleITK read it."""

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from autoseg.errors import InputError
from autoseg.image.geometry import Geometry
from autoseg.metrics.diameters import Diameters
from autoseg.run_folder.lesion_scores import LesionScores
from inference import case_table as module
from inference.case_table import CaseTable, read_table
from inference.lesion_scores.components import MeasuredLesion
from inference.lesion_scores.table import COLUMNS, FILE, LESIONS, rows_of
from inference.measurements.table import MEASUREMENTS

GRID = Geometry((4, 5, 6), (3.0, 2.0, 0.5), (10.0, -20.0, 30.0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
SCORES = LesionScores(
    name="lesion", lesions=30, real=15, centre=(0, 0, 0), scale=(1, 1, 1), weights=(0, 0, 1), intercept=0
)
"""A score that is the volume in ml divided by 1 plus it."""


def lesion(volume_ml: float, mean: float = 0.7, centre: tuple[float, float, float] = (1, 2, 3)) -> MeasuredLesion:
    return MeasuredLesion(int(volume_ml * 100), volume_ml, mean, 0.9, centre)


def rows(case: str, found, scores=SCORES) -> list:
    """Rows whose diameters and agreement are those of the lesion's place in the list."""
    extents = [(Diameters(10.0 + i, 5.0 + i), None if i == 0 else i / 10) for i in range(len(found))]
    return rows_of(case, "lesion", found, extents, scores, GRID)


def write(folder, case: str, found, scores=SCORES) -> None:
    table = CaseTable(folder, LESIONS)
    table.begin(case)
    table.add(case, rows(case, found, scores))
    table.write()


def table(folder) -> pd.DataFrame:
    return pd.read_csv(folder / FILE)


def test_the_likeliest_come_first_with_score_and_place(tmp_path) -> None:
    found = [lesion(1.0), lesion(3.0, centre=(3, 0, 5)), lesion(0.25)]
    write(tmp_path, "a", found)
    read = table(tmp_path)
    assert tuple(read.columns) == COLUMNS
    assert read["score"].tolist() == pytest.approx([0.75, 0.5, 0.2])
    assert read["largest_diameter_mm"].tolist() == [11, 10, 12] and read["axial_diameter_mm"].tolist() == [6, 5, 7]
    assert read["agreement"].isna().tolist() == [False, True, False] and read.loc[2, "agreement"] == 0.2
    assert read["lesion"].tolist() == [1, 2, 3] and set(read["case"]) == {"a"}
    image = sitk.Image(6, 5, 4, sitk.sitkUInt8)
    image.SetSpacing((0.5, 2.0, 3.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    image.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert read.loc[0, ["x_mm", "y_mm", "z_mm"]].tolist() == pytest.approx(
        image.TransformContinuousIndexToPhysicalPoint((5, 0, 3))
    )
    assert read["diameter_mm"].tolist() == pytest.approx(
        [(6000 * v / np.pi) ** (1 / 3) for v in (3, 1, 0.25)], rel=1e-3
    )


def test_without_scores_the_mean_probability_orders(tmp_path) -> None:
    write(tmp_path, "a", [lesion(1, 0.6), lesion(1, 0.8)], None)
    read = table(tmp_path)
    assert read["mean_probability"].tolist() == [0.8, 0.6] and read["score"].isna().all()


def test_a_case_that_is_predicted_again_is_replaced_and_others_stay(tmp_path) -> None:
    write(tmp_path, "a", [lesion(1), lesion(2)])
    write(tmp_path, "=b", [lesion(1)])
    write(tmp_path, "a", [lesion(4)])
    assert [row[0] for row in read_table(tmp_path, LESIONS)] == ["=b", "a"]
    assert "'=b" in (tmp_path / FILE).read_text(encoding="utf-8"), "a spreadsheet does not run it"
    write(tmp_path, "a", [])
    assert [row[0] for row in read_table(tmp_path, LESIONS)] == ["=b"]


def test_former_rows_go_when_their_label_map_is_about_to_be_replaced_and_not_before(tmp_path) -> None:
    write(tmp_path, "a", [lesion(1), lesion(2)])
    write(tmp_path, "b", [lesion(1)])
    table = CaseTable(tmp_path, LESIONS)
    assert len(read_table(tmp_path, LESIONS)) == 3
    table.begin("a")
    assert [row[0] for row in read_table(tmp_path, LESIONS)] == ["b"]


def test_without_lesions_rows_of_replaced_label_maps_go_all_the_same(tmp_path) -> None:
    write(tmp_path, "a", [lesion(1), lesion(2)])
    write(tmp_path, "b", [lesion(1)])
    table = CaseTable(tmp_path, LESIONS, lists=False)
    table.begin("a")
    table.add("a", rows("a", [lesion(1)]))
    table.write()
    assert [row[0] for row in read_table(tmp_path, LESIONS)] == ["b"]


def test_rows_are_written_every_few_seconds(tmp_path, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module.clock, "now", lambda: now[0])
    table = CaseTable(tmp_path, LESIONS)
    table.add("a", rows("a", [lesion(1)]))
    assert not (tmp_path / FILE).exists()
    now[0] = 11.0
    table.add("b", rows("b", [lesion(1)]))
    assert [row[0] for row in read_table(tmp_path, LESIONS)] == ["a", "b"]
    table.add("c", rows("c", [lesion(1)]))
    table.write()
    assert [row[0] for row in read_table(tmp_path, LESIONS)] == ["a", "b", "c"]


def test_a_table_that_takes_long_to_write_is_written_less_often(tmp_path, monkeypatch) -> None:
    now, real = [0.0], module.write_rows

    def slow(*arguments, **options):
        now[0] += 3.0
        return real(*arguments, **options)

    monkeypatch.setattr(module.clock, "now", lambda: now[0])
    monkeypatch.setattr(module, "write_rows", slow)
    table, written = CaseTable(tmp_path, LESIONS), list[float]()
    for number in range(200):
        before = now[0] = now[0] + 1.0
        table.add(f"case_{number}", rows(f"case_{number}", [lesion(1)]))
        if now[0] > before:
            written.append(before)
    assert written[0] == 11.0, "the first one as ever"
    assert len(written) == 4 and 3.0 * len(written) <= 0.07 * now[0]


def test_rows_of_another_table_are_written_before(tmp_path, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module.clock, "now", lambda: now[0])
    measurements = CaseTable(tmp_path, MEASUREMENTS)
    now[0] = 5.0
    lesions = CaseTable(tmp_path, LESIONS)
    now[0] = 11.0
    lesions.add("a", rows("a", [lesion(1)]))
    assert not (tmp_path / FILE).exists(), "six seconds after it was begun"
    measurements.add("a", [], after=lesions)
    assert len(read_table(tmp_path, LESIONS)) == 1 and read_table(tmp_path, MEASUREMENTS) == []


def test_an_empty_line_of_an_editor_is_no_row(tmp_path) -> None:
    write(tmp_path, "a", [lesion(1)])
    with (tmp_path / FILE).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert len(read_table(tmp_path, LESIONS)) == 1


@pytest.mark.parametrize("text", ["case,volume\na,3\n", "\0\0", ""])
def test_another_file_of_this_name_is_not_replaced(tmp_path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"predicted_lesions\.csv.*move it away"):
        CaseTable(tmp_path, LESIONS)
    assert (tmp_path / FILE).read_text(encoding="utf-8") == text


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_table_that_a_spreadsheet_saved_otherwise_is_told_as_such(tmp_path, sign: str, name: str) -> None:
    write(tmp_path, "a", [lesion(1)])
    text = (tmp_path / FILE).read_text(encoding="utf-8").replace(",", sign)
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"{name} separate its cells, as where a spreadsheet .* move it away"):
        CaseTable(tmp_path, LESIONS)


def test_a_folder_of_this_name_is_told(tmp_path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(InputError, match="is a folder; move it away"):
        CaseTable(tmp_path, LESIONS)


def test_rows_of_another_process_go_where_a_case_now_has_none_and_none_of_its_own_is_doubled(tmp_path) -> None:
    taken_over, other = CaseTable(tmp_path, LESIONS), CaseTable(tmp_path, LESIONS)
    other.add("a", rows("a", [lesion(1)]))
    other.add("b", rows("b", [lesion(1)]))
    other.write()
    # begun after the other process has died, and predicted anew since its claim was lost before a row was written
    for _ in range(2):
        taken_over.begin("b")
        taken_over.add("b", rows("b", [lesion(2)]))
    taken_over.begin("a")
    taken_over.add("a", [])
    taken_over.write()
    assert [(cells[0], cells[1]) for cells in read_table(tmp_path, LESIONS)] == [("b", "lesion")]


def test_rows_of_a_case_that_another_process_has_taken_over_stay(tmp_path) -> None:
    stopped, other = CaseTable(tmp_path, LESIONS), CaseTable(tmp_path, LESIONS)
    stopped.begin("a")
    other.add("a", rows("a", [lesion(1)]))
    other.write()
    stopped.write()
    assert [cells[0] for cells in read_table(tmp_path, LESIONS)] == ["a"]
