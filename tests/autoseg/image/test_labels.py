"""File values and class indices, there and back."""

import numpy as np
import pytest

from autoseg.errors import DatasetError
from autoseg.image.labels import Labels

# the background first, whatever the order of the values
LABELS = Labels(values=(0, 600, -3, 200, 70000), names=("background", "a", "b", "c", "d"))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7,), (4, 5), (3, 4, 5), (1, 3, 4, 5), (0, 4, 5)])
def test_there_and_back(shape, dtype):
    classes = np.random.default_rng(0).integers(0, LABELS.classes, shape).astype(np.uint8)
    values = np.array(LABELS.values, dtype)[classes]
    found = LABELS.to_classes(values)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, classes)
    restored = LABELS.to_values(found)
    assert restored.dtype == np.int32
    np.testing.assert_array_equal(restored, values)


def test_reoriented_views(tmp_path):
    classes = np.random.default_rng(0).integers(0, LABELS.classes, (3, 4, 5)).astype(np.uint8)
    view = np.array(LABELS.values)[classes].transpose(2, 0, 1)[::-1]
    np.testing.assert_array_equal(LABELS.to_classes(view), classes.transpose(2, 0, 1)[::-1])


def test_undeclared_and_fractional_values_are_all_named():
    array = np.array([[0, 600.5, 200], [1, np.nan, 80000]])
    with pytest.raises(DatasetError) as error:
        LABELS.to_classes(array)
    text = str(error.value)
    assert all(f"label value {value} is" in text for value in ("1", "600.5", "nan", "80000"))
    assert "value 200" not in text
