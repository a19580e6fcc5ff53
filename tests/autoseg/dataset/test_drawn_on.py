"""The column `drawn_on`: which sequence of each case the label was drawn on."""

from pathlib import Path

import pandas as pd
import pytest

from autoseg.commands.plan_options import sequence_to_align_onto
from autoseg.dataset.data_frame import frame_as_table
from autoseg.dataset.drawn_on import counts_told, most_common
from autoseg.dataset.inputs import read_inputs
from autoseg.dataset.read import read_dataset
from autoseg.dataset.record import changed_cases, record_of
from autoseg.dataset.table import dataset_of_table
from autoseg.errors import InputError
from tests.autoseg.dataset import build

CASES = {"a": ("T1", "T2"), "b": ("T1", "T2"), "c": ("T1", "T2"), "d": ("T2",)}


def table(folder: Path, drawn_on: dict[str, str], column: str = "drawn_on") -> Path:
    rows = []
    for name, sequences in CASES.items():
        files = {one: f"{name}_{one}.nii.gz" if one in sequences else "" for one in ("T1", "T2")}
        for file in filter(None, (*files.values(), f"{name}.nii.gz")):
            if not (folder / file).exists():
                build.write(folder / file, build.label_voxels() if file == f"{name}.nii.gz" else build.voxels())
        rows.append({"case": name, **files, "label": f"{name}.nii.gz", column: drawn_on.get(name, "")})
    return build.write_table(folder, rows)


@pytest.mark.parametrize("column", ["drawn_on", "Drawn_On"])
def test_each_case_has_its_sequence_and_an_empty_cell_the_first_one(tmp_path: Path, column: str) -> None:
    path = table(tmp_path, {"b": "t2", "c": "T1"}, column)
    dataset = read_dataset(path)
    assert [case.drawn_on for case in dataset.cases] == ["T1", "T2", "T1", "T2"]
    assert dataset.channels == ("T1", "T2") and all(case.strata == {} for case in dataset.cases)
    frame = pd.read_csv(path).map(lambda cell: str(tmp_path / cell) if str(cell).endswith(".nii.gz") else cell)
    assert [case.drawn_on for case in dataset_of_table(frame_as_table(frame)).cases] == ["T1", "T2", "T1", "T2"]


def test_a_table_without_the_column_says_nothing(tmp_path: Path) -> None:
    dataset = read_dataset(table(tmp_path, {}, "site"))
    assert [case.drawn_on for case in dataset.cases] == [None] * 4


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("b", "STIR", r"line 3, column drawn_on: STIR is no sequence; there are T1, T2, or leave it empty"),
        ("d", "T1", r"line 5, column drawn_on: the case has no T1; name a sequence that it has"),
    ],
)
def test_what_a_case_does_not_have_is_refused_by_its_cell(tmp_path: Path, name: str, text: str, told: str) -> None:
    dataset = read_dataset(table(tmp_path, {name: text}))
    (wrong,) = [case for case in dataset.cases if case.problems]
    assert wrong.name == name and wrong.problems[0].endswith(told)


def test_a_table_of_images_to_predict_may_say_it_too(tmp_path: Path) -> None:
    path = table(tmp_path, {"b": "t2", "c": "STIR"})
    a, b, c, d = read_inputs([path], ("T1", "T2"))
    assert [one.drawn_on for one in (a, b, d)] == [None, "T2", None] and not a.problems
    assert "STIR is no sequence" in c.problems[0]


def test_it_is_kept_in_the_record_and_a_change_is_noticed(tmp_path: Path) -> None:
    before = record_of(read_dataset(table(tmp_path, {"b": "T2"})))
    now = record_of(read_dataset(table(tmp_path, {"b": "T2", "c": "T2"})))
    assert [case.drawn_on for case in before.cases] == ["T1", "T2", "T1", "T2"]
    assert changed_cases(before, now) == ("c",)


def test_first_stands_for_the_most_common_sequence_in_the_plan() -> None:
    drawn = ["T2", "T1", "T2", None]
    assert sequence_to_align_onto("First", ("T1", "T2"), drawn) == "T2" == most_common(drawn)
    assert sequence_to_align_onto("t1", ("T1", "T2"), drawn) == "T1"
    assert sequence_to_align_onto("first", ("T1", "T2"), [None]) == "first"
    assert sequence_to_align_onto(None, ("T1", "T2"), drawn) is None
    assert counts_told(drawn) == "T2 (2 cases), T1 (1)"
    with pytest.raises(InputError, match="no such sequence"):
        sequence_to_align_onto("STIR", ("T1", "T2"), drawn)
