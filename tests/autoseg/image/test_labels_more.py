"""Regions and ignored voxels of label maps, against loops over voxels."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from autoseg.errors import DatasetError
from autoseg.image.labels import LabelRegion, Labels

PLAIN = Labels(values=(0, 200, 500), names=("background", "body", "disc"))
REGIONS = (LabelRegion(name="whole", values=(200, 500), value=200), LabelRegion(name="disc", values=(500,), value=500))
BOTH = PLAIN.changed(regions=REGIONS, ignore=900)
ARRAY = np.random.default_rng(0).choice([0, 200, 500, 900], (4, 5, 6))


def test_files_of_data_sets_without_them_are_as_they_were() -> None:
    assert PLAIN.model_dump_json() == '{"values":[0,200,500],"names":["background","body","disc"]}'
    assert PLAIN.plain and PLAIN.outputs == 3 and PLAIN.ignored is None and PLAIN.annotated(ARRAY) is None


@pytest.mark.parametrize("labels", [PLAIN, PLAIN.changed(ignore=501), PLAIN.changed(regions=REGIONS), BOTH])
def test_they_come_back_from_a_file(labels: Labels) -> None:
    assert Labels.model_validate_json(labels.model_dump_json()) == labels
    assert ("regions" in json.loads(labels.model_dump_json())) == bool(labels.regions)


def test_voxels_of_each_region_and_those_that_are_annotated() -> None:
    classes = BOTH.to_classes(ARRAY)
    np.testing.assert_array_equal(BOTH.mask(classes, 1), np.isin(ARRAY, (200, 500)))
    np.testing.assert_array_equal(BOTH.mask(classes, 2), ARRAY == 500)
    np.testing.assert_array_equal(BOTH.annotated(classes), ARRAY != 900)
    np.testing.assert_array_equal(BOTH.any_foreground(classes), np.isin(ARRAY, (200, 500)))
    np.testing.assert_array_equal(BOTH.to_values(classes), ARRAY)
    assert BOTH.foreground == ("whole", "disc") and BOTH.outputs == 2 and BOTH.classes == 3 and BOTH.ignored == 3
    written = BOTH.of_regions([BOTH.mask(classes, 1), BOTH.mask(classes, 2)])
    np.testing.assert_array_equal(BOTH.to_values(written), np.where(ARRAY == 900, 0, ARRAY))


def test_without_regions_the_classes_are_what_is_learned() -> None:
    labels = PLAIN.changed(ignore=900)
    classes = labels.to_classes(ARRAY)
    assert labels.members == ((1,), (2,)) and labels.foreground == ("body", "disc") and labels.outputs == 3
    np.testing.assert_array_equal(labels.mask(classes, 2), ARRAY == 500)
    with pytest.raises(DatasetError, match="label value 900 is not declared"):
        PLAIN.to_classes(ARRAY)


def test_labels_that_an_order_does_not_give_back() -> None:
    assert BOTH.lost() == {} == PLAIN.lost()
    assert BOTH.changed(regions=REGIONS[::-1]).lost() == {500: 200}
    assert BOTH.changed(regions=(REGIONS[1],)).lost() == {200: 0}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ignore": 300}, "not larger than every other value"),
        ({"regions": (LabelRegion(name="a", values=(200, 7), value=200),)}, "7 is the value of no foreground label"),
        ({"regions": (LabelRegion(name="a", values=(200,), value=0),)}, "0 is the value of no foreground label"),
        ({"regions": (REGIONS[0], REGIONS[0])}, "two have the same name"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        PLAIN.changed(**changes)
