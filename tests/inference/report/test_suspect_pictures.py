"""A picture of a suspect shows the slice through it, with the suspect in its middle."""

import base64
import io

import numpy as np
import pytest
from PIL import Image as Picture

from autoseg.image.geometry import Geometry, to_canonical
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from inference.compare import Pair
from inference.report.pictures import draw, slice_of, zoom_box
from inference.report.suspect_pictures import suspect_pictures
from inference.suspects.table import Line

LABELS = Labels(values=(0, 3), names=("background", "lesion"))
# array axes grow to left, inferior, posterior: sagittal slices, 4 mm apart
STORED = Geometry((9, 64, 48), (4.0, 1.0, 1.0), (-16.0, -24.0, 32.0), ((1, 0, 0), (0, 0, -1), (0, 1, 0)))


def image(*boxes: tuple[slice, slice, slice]) -> Image:
    label = np.zeros((1, *STORED.shape), np.int16)
    for box in boxes:
        label[(0, *box)] = 3
    return Image(label, STORED)


LARGE, SMALL = (slice(3, 6), slice(10, 30), slice(10, 30)), (slice(7, 8), slice(50, 53), slice(40, 43))


def test_the_slice_goes_through_the_place_and_not_through_most_of_the_reference() -> None:
    middle = STORED.to_world(np.array([7, 51, 41]))
    shown = slice_of(image(LARGE), image(SMALL), LABELS, None, through=tuple(middle))
    assert not shown.reference.any() and np.count_nonzero(shown.prediction) == 9
    row, column = shown.focus
    assert shown.prediction[row - 1 : row + 2, column - 1 : column + 2].all()
    first, end, left, right = zoom_box(shown)
    assert first <= row < end and left <= column < right
    # without a place it is the fullest one
    assert slice_of(image(LARGE), image(SMALL), LABELS, None).reference.any()


@pytest.mark.parametrize("through", [(1e6, 1e6, 1e6), (-1e6, 0.0, 0.0)])
def test_a_place_outside_the_image_shows_its_border(through) -> None:
    shown = slice_of(image(LARGE), image(SMALL), LABELS, None, through=through)
    assert 1 <= shown.number[0] <= to_canonical(STORED).apply_to_geometry(STORED).shape[shown.axis]
    first, end, left, right = zoom_box(shown)
    assert 0 <= first < end <= shown.reference.shape[0] and 0 <= left < right <= shown.reference.shape[1]
    assert draw(shown).axes


def test_suspects_of_cases_that_are_there_are_drawn(tmp_path) -> None:
    write_image(tmp_path / "a.nii.gz", image(LARGE))
    write_image(tmp_path / "p.nii.gz", image(SMALL))
    x, y, z = STORED.to_world(np.array([7, 51, 41])).tolist()
    lines = [Line(case, "lesion", "not annotated", 0.9, 0.5, 9.8, (x, y, z)) for case in ("gone", "a")]
    (picture,) = suspect_pictures(lines, {"a": Pair("a", tmp_path / "a.nii.gz", tmp_path / "p.nii.gz")}, LABELS, {})
    assert picture.line.case == "a" and picture.caption.startswith("sagittal, slice 8 of 9")
    drawn = Picture.open(io.BytesIO(base64.b64decode(picture.source.split(",", 1)[1])))
    assert min(drawn.size) > 100
