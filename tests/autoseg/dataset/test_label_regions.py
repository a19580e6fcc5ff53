"""Regions and the ignore label of a `dataset.json`: read, in which order, and what is said of those that cannot be."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.dataset.check import Check, check_dataset
from autoseg.dataset.dataset_json import labels_of
from autoseg.dataset.read import read_dataset
from autoseg.dataset.summary import summary_rows
from autoseg.errors import DatasetError
from autoseg.image.labels import Labels
from tests.autoseg.dataset import build

NESTED = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}


def read(folder: Path, **changes: object) -> Labels:
    return read_dataset(build.nnunet(folder, cases=2, **changes)).labels


def check(folder: Path) -> Check:
    return check_dataset(read_dataset(folder), workers=1)


def order_of(labels: Labels) -> list[tuple[str, int]]:
    return [(region.name, region.value) for region in labels.regions]


def test_regions_are_written_in_the_order_that_is_given(tmp_path: Path) -> None:
    labels = read(tmp_path, labels=NESTED, regions_class_order=[1, 2, 3])
    assert order_of(labels) == [("whole", 1), ("core", 2), ("enhancing", 3)]
    assert labels.values == (0, 1, 2, 3) and labels.names == ("background", "label 1", "label 2", "enhancing")
    assert [region.values for region in labels.regions] == [(1, 2, 3), (2, 3), (3,)]


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (NESTED, [("whole", 1), ("core", 2), ("enhancing", 3)]),
        # larger regions first, whatever the order in the file
        (dict(reversed(NESTED.items())), [("whole", 1), ("core", 2), ("enhancing", 3)]),
        # regions across each other
        ({"background": 0, "a": [1, 2], "b": [2, 3], "c": 2}, [("a", 1), ("b", 3), ("c", 2)]),
        ({"background": 0, "any": [1, 2, 5], "pair": [1, 2], "one": 1}, [("any", 5), ("pair", 2), ("one", 1)]),
    ],
)
def test_an_order_that_is_not_given_follows_from_inclusion(tmp_path: Path, labels: dict, order: list) -> None:
    found = read(tmp_path, labels=labels)
    assert order_of(found) == order and not found.lost()


def test_where_inclusion_does_not_give_every_label_back_it_is_told_what_to_write(tmp_path: Path) -> None:
    # abdominal organs: both kidneys are one region
    labels = {"background": 0, "kidneys": [2, 3], "any organ": [1, 2, 3, 4], "liver": 1}
    with pytest.raises(DatasetError) as error:
        read(tmp_path, labels=labels)
    text = str(error.value)
    assert "field labels: label 3 would come out as label 2, because no region is label 3 alone." in text
    assert (
        'list the regions in the order "any organ", "kidneys", "liver" and add "regions_class_order": [4, 2, 1]' in text
    )
    told = {"background": 0, "any organ": [1, 2, 3, 4], "kidneys": [2, 3], "liver": 1}
    assert read(tmp_path / "mended", labels=told, regions_class_order=[4, 2, 1]).lost() == {3: 2}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"regions_class_order": [1, 2]}, "regions_class_order: 2 values for 3 regions (whole, core, enhancing)"),
        ({"regions_class_order": [1, 2, 7]}, "regions_class_order: 7 is the value of no region"),
        ({"labels": {"background": 0, "a": [1, 2], "b": [2, 1]}}, "labels.b: holds the same values as a"),
        ({"labels": NESTED | {"ignore": 3}}, "labels.ignore: must have the highest value; it has 3, and 3 is another"),
        ({"labels": {"background": 0, "a": []}}, "a region holds 0 values"),
        (
            {"labels": {"background": 0} | {f"{i} {j}": [i, j] for i in range(1, 30) for j in range(30, 60)}},
            "871 labels, 256 at most are supported",
        ),
        ({"labels": {"background": 0, "a": [1, 1.5]}}, "labels.a"),
        ({"labels": {"background": 0, "a": [True, 2]}}, "a label value is a whole number"),
        ({"labels": {"background": 0, "a": [0, 1], "b": 1}}, "labels.a: 0 is the background's value"),
    ],
)
def test_regions_that_cannot_be_used(tmp_path: Path, changes: dict, told: str) -> None:
    with pytest.raises(DatasetError) as error:
        read(tmp_path, **{"labels": NESTED} | changes)
    assert told in str(error.value)


def test_an_order_that_does_not_give_the_labels_back_is_told_with_their_size(tmp_path: Path) -> None:
    # the whole is written last, over all that is inside of it
    build.nnunet(tmp_path, labels=dict(reversed(NESTED.items())), regions_class_order=[3, 2, 1])
    array = build.label_voxels(1)
    array[1, 1, 2:4] = 2
    for case in (0, 3):
        build.write(tmp_path / "labelsTr" / f"case_{case}.nii.gz", array)
    warnings = check(tmp_path).warnings
    assert "label 2, which 2 cases have (4 voxels), becomes 1 in predictions" in "\n".join(warnings)


def test_ignored_voxels_are_counted_apart(tmp_path: Path) -> None:
    build.nnunet(tmp_path, labels={"background": 0, "lesion": 1, "ignore": 2})
    array = build.label_voxels()
    array[3] = 2
    build.write(tmp_path / "labelsTr" / "case_0.nii.gz", array)
    array = np.zeros_like(array)
    array[2:] = 2
    build.write(tmp_path / "labelsTr" / "case_1.nii.gz", array)
    found = check(tmp_path)
    assert found.cases[0].voxels == {"background": 82, "lesion": 8, "ignore": 30}
    assert "case_1: label" in found.warnings[0] and "is empty: of the 50.0% that are annotated" in found.warnings[0]
    row = dict(summary_rows(read_dataset(tmp_path), found))["labels"]
    assert "2: ignore, in 2 cases; 15.0% of all voxels are not annotated" in row
    build.write(tmp_path / "labelsTr" / "case_2.nii.gz", np.full_like(array, 2))
    with pytest.raises(DatasetError, match=r"case_2: label .* every voxel is 2 \(ignore\), so none is annotated"):
        check(tmp_path)


def test_a_data_set_whose_annotated_voxels_are_all_background_has_nothing_to_learn(tmp_path: Path) -> None:
    build.nnunet(tmp_path, cases=2, labels={"background": 0, "lesion": 1, "ignore": 2})
    array = np.zeros(build.SHAPE, np.uint8)
    array[2:] = 2
    for case in range(2):
        build.write(tmp_path / "labelsTr" / f"case_{case}.nii.gz", array)
    with pytest.raises(DatasetError, match="every label is empty"):
        check(tmp_path)


def test_the_decathlons_form_and_a_table_have_them_too(tmp_path: Path) -> None:
    decathlon = build.decathlon(tmp_path / "a", labels={"0": "background", "1": "lesion", "2": "ignore"})
    assert read_dataset(decathlon).labels.ignore == 2
    values = {"background": 0, "whole": (1, 2), "core": 2, "ignore": 3}
    labels = labels_of(values, tmp_path / "dataset.json")
    assert order_of(labels) == [("whole", 1), ("core", 2)] and labels.ignore == 3
    assert labels_of({"background": 0, "a": 1}, tmp_path).ignore is None


def test_a_value_is_not_named_like_a_region(tmp_path: Path) -> None:
    labels = read(tmp_path, labels={"background": 0, "whole": [1, 2, 3], "label 1": [2, 3], "label 2": 3})
    assert labels.names == ("background", "label 1 alone", "label 2 alone", "label 2")
