"""Boxes around classes and regions against the voxels themselves."""

import numpy as np

from autoseg.image.class_boxes import class_boxes
from autoseg.image.labels import LabelRegion, Labels

LABELS = Labels(
    values=(0, 1, 2, 3),
    names=("background", "a", "b", "c"),
    regions=(LabelRegion(name="both", values=(1, 2), value=1), LabelRegion(name="c", values=(3,), value=3)),
    ignore=4,
)


def test_a_region_has_the_box_around_all_its_values_and_ignored_voxels_are_in_none() -> None:
    classes = np.zeros((6, 7, 8), np.uint8)
    classes[1, 2, 3] = 1
    classes[4, 1, 6] = 2
    classes[5, 6, 7] = 4
    assert class_boxes(classes, LABELS) == [(slice(1, 5), slice(1, 3), slice(3, 7)), None]
    of_classes = LABELS.changed(regions=())
    assert class_boxes(classes, of_classes) == [
        (slice(1, 2), slice(2, 3), slice(3, 4)),
        (slice(4, 5), slice(1, 2), slice(6, 7)),
        None,
    ]
