"""`labels.json` and the label file of ITK-SNAP: by hand, and never over a stranger's file."""

import json
import re
from pathlib import Path

import pytest

from autoseg.errors import InputError
from autoseg.image.labels import LabelRegion, Labels
from autoseg.image.writing.codes import code_table
from autoseg.image.writing.label_files import ITK_SNAP_FILE, LABELS_FILE, LabelFiles, label_names
from autoseg.image.writing.segments import segments_of

LABELS = Labels(values=(0, 5, 70_000), names=("background", 'a "quoted"\nname', "large"))
REGIONS = Labels(
    values=(0, 1, 2),
    names=("background", "label 1", "core"),
    regions=(LabelRegion(name="whole", values=(1, 2), value=1), LabelRegion(name="core", values=(2,), value=2)),
)


def files(folder: Path, labels: Labels, table: Path | None = None) -> LabelFiles:
    return LabelFiles(folder, label_names(labels, segments_of(labels, code_table(table))))


def as_itk_snap_reads(path: Path) -> dict[int, tuple[tuple[int, ...], str]]:
    """Colour and name of each index: numbers, then what lies between the first two quotation marks."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            numbers, name = re.fullmatch(r"((?:\s*\d+){7})\s+\"([^\"]*)\"", line).groups()  # type: ignore[union-attr]
            index, *colour = map(int, numbers.split())
            found[index] = tuple(colour), name
    return found


def test_values_names_and_colours(tmp_path: Path) -> None:
    files(tmp_path, LABELS).write()
    assert json.loads((tmp_path / LABELS_FILE).read_text(encoding="utf-8")) == {
        "written_by": "autoseg",
        "schema_version": 1,
        "background": 0,
        "labels": [
            {"value": 5, "name": 'a "quoted"\nname', "colour": "#E69F00"},
            {"value": 70_000, "name": "large", "colour": "#56B4E9"},
        ],
    }
    # ITK-SNAP has no value over 65535, and no sign that escapes a quotation mark
    assert as_itk_snap_reads(tmp_path / ITK_SNAP_FILE) == {
        0: ((0, 0, 0, 0, 0, 0), "Clear Label"),
        5: ((230, 159, 0, 1, 1, 1), "a 'quoted' name"),
    }
    assert "such as 70000" in (tmp_path / ITK_SNAP_FILE).read_text(encoding="utf-8")


def test_regions_are_listed_beside_the_values(tmp_path: Path) -> None:
    files(tmp_path, REGIONS).write()
    found = json.loads((tmp_path / LABELS_FILE).read_text(encoding="utf-8"))
    assert found["regions"] == [
        {"name": "whole", "values": [1, 2], "value": 1, "colour": "#E69F00"},
        {"name": "core", "values": [2], "value": 2, "colour": "#56B4E9"},
    ]
    assert [one["colour"] for one in found["labels"]] == ["#E69F00", "#56B4E9"]


def test_own_files_are_replaced_and_others_never(tmp_path: Path) -> None:
    files(tmp_path, REGIONS).write()
    codes = tmp_path / "codes.csv"
    header = "name,category_scheme,category_code,category_meaning,type_scheme,type_code,type_meaning,colour"
    codes.write_text(f"{header}\nwhole,SCT,85756007,Tissue,SCT,85756007,Tissue,#010203\n", encoding="utf-8")
    files(tmp_path, REGIONS, codes).write()
    assert "#010203" in (tmp_path / LABELS_FILE).read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"labels\.json: names other classes than these models predict"):
        files(tmp_path, LABELS).require_own()
    for name, text in ((LABELS_FILE, '{"labels": {}}'), (ITK_SNAP_FILE, "my own")):
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        (folder / name).write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=rf"{name}: is not written by autoseg; move it away"):
            files(folder, LABELS).write()
        assert [entry.name for entry in folder.iterdir()] == [name]
        assert (folder / name).read_text(encoding="utf-8") == text


def test_a_folder_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / LABELS_FILE).mkdir()
    with pytest.raises(InputError, match=r"labels\.json: .*move it away"):
        files(tmp_path, LABELS).require_own()


def test_values_that_itk_snap_does_not_have_are_left_out_with_a_line(tmp_path: Path) -> None:
    files(tmp_path, Labels(values=(1, 0, -1, 2), names=("background", "zero", "below", "two"))).write()
    assert set(as_itk_snap_reads(tmp_path / ITK_SNAP_FILE)) == {0, 2}
    text = (tmp_path / ITK_SNAP_FILE).read_text(encoding="utf-8")
    assert all(f"no class of a value below 1, such as {value}" in text for value in (0, -1)) and "Clear" in text
