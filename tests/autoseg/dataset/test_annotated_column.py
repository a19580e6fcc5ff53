"""The column `annotated` of a table: which classes were looked for in a case, what is refused, and what is checked."""

from pathlib import Path

import pandas as pd
import pytest

from autoseg.dataset.annotated_column import WrongNames, annotated_classes
from autoseg.dataset.check import check_dataset
from autoseg.dataset.data_frame import frame_as_table
from autoseg.dataset.read import read_dataset
from autoseg.dataset.record import changed_cases, record_of
from autoseg.dataset.summary import summary_rows
from autoseg.dataset.table import dataset_of_table
from autoseg.errors import DatasetError
from autoseg.image.annotated_classes import (
    known_by_none,
    known_outputs,
    missing_classes,
    missing_in_training,
    names_of_unknown,
    not_annotated,
)
from autoseg.image.labels import LabelRegion, Labels
from tests.autoseg.dataset import build

LABELS = Labels(values=(0, 7, 2, 3), names=("background", "liver", "Left kidney", "bile + duct"))
REGIONS = Labels(
    values=(0, 1, 2),
    names=("background", "rim", "core"),
    regions=(LabelRegion(name="whole", values=(1, 2), value=1), LabelRegion(name="core", values=(2,), value=2)),
)
DECLARED = {"labels": {"background": 0, "lesion": 1, "organ": 2}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "all"),
        ("liver", ("liver",)),
        # the order is that of the data set, and spelling counts only where it tells
        ("LEFT  kidney; Liver", ("liver", "Left kidney")),
        ("bile + duct", ("bile + duct",)),
        ("liver+bile + duct", ("liver", "bile + duct")),
        ("bile + duct , left kidney,", ("Left kidney", "bile + duct")),
        ("background+liver", ("liver",)),
        ("liver,left kidney,bile + duct", "all"),
    ],
)
def test_a_cell_names_classes(text: str, expected: object) -> None:
    assert annotated_classes(text, LABELS) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("liver+kidney", "no class is called 'kidney'; is 'Left kidney' meant"),
        ("livr", "no class is called 'livr'; is 'liver' meant"),
        ("None", "'None' means that nobody looked for any class; .* delete the line"),
        ("7", "no class is called '7'; there are liver, Left kidney, bile"),
        ("ignore", "no class is called 'ignore'"),
        ("background", "names no class beside the background; leave out"),
        ("+", "names no class beside the background"),
    ],
)
def test_a_name_of_no_class_is_refused_with_the_nearest_ones(text: str, told: str) -> None:
    with pytest.raises(WrongNames, match=told):
        annotated_classes(text, LABELS)


def test_of_regions_the_labels_are_named_that_they_are_made_of() -> None:
    assert annotated_classes("rim", REGIONS) == ("rim",)
    with pytest.raises(WrongNames, match=r"'whole' is a region of several labels; name the labels .*: 'rim', 'core'"):
        annotated_classes("whole", REGIONS)
    # a region is known where all of its classes are
    assert not_annotated(REGIONS, ("rim",)) == (2,) and known_outputs(REGIONS, ("rim",)) == (False, False)
    assert known_outputs(REGIONS, ("core",)) == (False, True) and names_of_unknown(REGIONS, ("core",)) == ("whole",)
    assert missing_classes(REGIONS, ["all", ("rim",)]).tolist() == [[False] * 3, [False, False, True]]


def table(folder: Path, *cells: str) -> Path:
    """A table of two cases whose labels hold values 0 and 1."""
    rows = [row | {"Annotated": cell} for row, cell in zip(build.table(folder, len(cells)), cells, strict=True)]
    build.write_table(folder, rows)
    build.write_json(folder / "dataset.json", DECLARED)
    return folder


def test_a_table_is_read_checked_and_shown(tmp_path: Path) -> None:
    dataset = read_dataset(table(tmp_path, "lesion", "", "organ+lesion"))
    assert [case.annotated for case in dataset.cases] == [("lesion",), "all", "all"]
    # the folds are not stratified by it
    assert all(set(case.strata) == {"lesion_type"} for case in dataset.cases)
    check = check_dataset(dataset, workers=1)
    lines = dict(summary_rows(dataset, check))["labels"].splitlines()
    assert lines[2] == "2: organ, in 0 cases; not annotated in 1" and "not annotated" not in lines[1]
    # a case of which another class was looked for is another case
    before, table_2 = record_of(dataset), table(tmp_path, "lesion", "lesion", "")
    now = record_of(read_dataset(table_2))
    assert changed_cases(before, now) == ("case_1",)
    assert type(before).model_validate_json(before.model_dump_json()) == before


def test_a_class_with_voxels_that_nobody_looked_for_is_refused(tmp_path: Path) -> None:
    dataset = read_dataset(table(tmp_path, "organ", ""))
    told = r"case_0: label .*case_0.nii.gz: \d+ voxels are lesion, which the table's column `annotated` does not name"
    with pytest.raises(DatasetError, match=told) as refused:
        check_dataset(dataset, workers=1)
    assert "name it there if all of it is annotated, else erase these voxels" in str(refused.value)
    assert "case_1" not in str(refused.value)


def test_a_wrong_name_is_told_by_its_line(tmp_path: Path) -> None:
    dataset = read_dataset(table(tmp_path, "lesion", "lession", "none"))
    with pytest.raises(DatasetError) as refused:
        check_dataset(dataset, workers=1)
    text = str(refused.value)
    assert "line 3, column annotated: no class is called 'lession'; is 'lesion' meant" in text
    assert "line 4, column annotated: 'none' means that nobody looked for any class" in text


@pytest.mark.parametrize("nothing", [[], (), [""]])
def test_a_list_without_a_name_is_refused_in_a_data_frame(nothing: object) -> None:
    frame = pd.DataFrame({"case": ["a", "b"], "annotated": [["liver"], nothing]})
    with pytest.raises(DatasetError, match="DataFrame, line 3, column annotated: is a list without a name; give None"):
        frame_as_table(frame)


def test_a_class_or_region_that_no_case_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="names organ for none of the 2 cases, so nothing tells where organ is not"):
        check_dataset(read_dataset(table(tmp_path, "lesion", "lesion")), workers=1)
    # each label was looked for somewhere, and the region of both nowhere
    folder = table(tmp_path, "lesion", "lesion", "organ")
    build.write(folder / "labels" / "case_2.nii.gz", build.label_voxels(2))
    build.write_json(folder / "dataset.json", {"labels": {"background": 0, "both": [1, 2], "lesion": 1, "organ": 2}})
    with pytest.raises(DatasetError) as refused:
        check_dataset(read_dataset(folder), workers=1)
    assert "names all labels of both for none of the 3 cases" in str(refused.value) and "organ for" not in str(
        refused.value
    )


def test_what_no_training_case_knows_is_absent_for_the_loss() -> None:
    assert known_by_none(LABELS, [("liver",), ("liver", "Left kidney")]) == ("bile + duct",)
    found = missing_in_training(LABELS, [("liver",), ("liver", "Left kidney")])
    assert found.tolist() == [[False, False, True, False], [False] * 4]
    assert missing_in_training(LABELS, [("liver",)] * 2) is None and missing_in_training(LABELS, ["all"]) is None
    # core is known in one case; the whole nowhere, so its classes count as absent where one of them is lacking
    assert known_by_none(REGIONS, [("rim",), ("core",)]) == ("whole",)
    assert missing_in_training(REGIONS, [("rim",), ("core",)]) is None
    three = REGIONS.changed(values=(0, 1, 2, 3), names=(*REGIONS.names, "rest"))
    three = three.changed(regions=(LabelRegion(name="any", values=(1, 2, 3), value=1),))
    assert missing_in_training(three, [("rim",), ("core", "rest")]).tolist() == [
        [False, False, True, True],
        [False] * 4,
    ]


def test_a_data_frame_may_hold_lists(tmp_path: Path) -> None:
    rows = build.table(tmp_path, 2)
    for row, names in zip(rows, (["lesion"], None), strict=True):
        row |= {name: str(tmp_path / row[name]) for name in ("T1", "STIR", "label")} | {"annotated": names}
    dataset = dataset_of_table(frame_as_table(pd.DataFrame(rows)))
    # the only class is named by its value
    assert all("no class is called 'lesion'" in problem for problem in dataset.cases[0].problems)
    rows[0]["annotated"] = ["label 1"]
    assert [case.annotated for case in dataset_of_table(frame_as_table(pd.DataFrame(rows))).cases] == ["all", "all"]
