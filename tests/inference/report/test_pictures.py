"""Pictures: which cases, which slice, which way up, and that the image lies where its labels are."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from autoseg.disk.checksums import write_checksums
from autoseg.errors import RunFolderError
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from autoseg.metrics import case_metrics
from autoseg.run_folder.preprocessed_case import read_record
from inference.report.background_image import from_file, from_preprocessed
from inference.report.pictures import chosen_cases, draw, fullest_slice, slice_of, zoom_box
from tests.example_record import example_geometry
from tests.inference.run_fixture import LABELS, STORED, make_run, reference_of

ONE = Labels(values=(0, 1), names=("background", "organ"))


def rows_with_dice(overlaps: dict[str, int]) -> list:
    rows = []
    for case, overlap in overlaps.items():
        reference, prediction = np.zeros((2, 1, 1, 20), np.uint8)
        reference[..., :10] = 1
        prediction[..., 10 - overlap : 20 - overlap] = 1
        rows += case_metrics(case, reference, prediction, (1.0, 1.0, 1.0), ONE, surfaces=False)
    return rows


def test_best_median_and_worst_by_dice() -> None:
    chosen = chosen_cases(rows_with_dice({"a": 3, "b": 9, "c": 5, "d": 1, "e": 7}))
    assert [(place, case) for place, case, _ in chosen] == [("best", "b"), ("median", "c"), ("worst", "d")]
    assert [dice for *_, dice in chosen] == pytest.approx([0.9, 0.5, 0.1])


def test_fewer_cases_give_fewer_pictures() -> None:
    assert [p for p, *_ in chosen_cases(rows_with_dice({"a": 3, "b": 9}))] == ["best", "worst"]
    assert [p for p, *_ in chosen_cases(rows_with_dice({"a": 3}))] == ["only"]
    assert chosen_cases([]) == []


def test_every_class_counts_alike_in_the_choice_of_the_slice() -> None:
    classes = np.zeros((5, 10, 10), np.uint8)
    classes[1] = 1
    classes[3, :9] = 1
    assert fullest_slice(classes, 0) == 1
    classes[3, 9, 9] = 2
    assert fullest_slice(classes, 0) == 3


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((1, -1), repeat=3)))
def test_every_stored_orientation_is_shown_the_same_way_up(order: tuple[int, ...], flips: tuple[int, ...]) -> None:
    """A mark at the patient's left, superior end of a sagittal series is up, wherever it is stored."""
    world = np.eye(3)[::-1]  # canonical array axes z, y, x as LPS vectors
    spacing = (1.0, 1.0, 4.0)
    canonical = np.zeros((12, 10, 6), np.uint8)
    canonical[8:11, 1:3, 4] = 1  # superior, anterior, left
    array = canonical.transpose(order)[tuple(slice(None, None, flip) for flip in flips)]
    geometry = Geometry(
        array.shape,
        tuple(spacing[a] for a in order),
        (0.0, 0.0, 0.0),
        tuple(tuple(float(c) for c in world[a] * flip) for a, flip in zip(order, flips, strict=True)),
    )
    image = Image(np.ascontiguousarray(array)[None], geometry)
    shown = slice_of(image, image, ONE, None)
    own_index = int(np.nonzero(array)[order.index(2)][0])
    assert (shown.axis, shown.number) == (2, (own_index + 1, 6)), "the number is the file's own"
    expected = np.zeros((12, 10), np.uint8)
    expected[1:4, 1:3] = 1
    np.testing.assert_array_equal(shown.reference, expected)


@pytest.mark.parametrize("case", ["spine_0", "spine_1", "spine_5"])
def test_the_preprocessed_image_lies_under_its_labels(tmp_path: Path, case: str) -> None:
    run = make_run(tmp_path / "run")
    folder = run.case("3d", case)
    label = Image(reference_of(int(case[-1]))[None], STORED)
    background = from_preprocessed(folder, read_record(folder), ("T1", "STIR"))
    shown = slice_of(label, label, LABELS, background)
    assert shown.channels == (("T1",) if case == "spine_0" else ("T1", "STIR"))
    assert shown.image is not None and shown.image.shape[1:] == shown.reference.shape
    known = np.isfinite(shown.image[0])
    assert known[4:60, 4:44].all() and known.sum() == 56 * 40
    body, around = shown.image[0][shown.reference == 1], shown.image[0][known & (shown.reference == 0)]
    assert np.median(body) > 0.8 and np.median(around) < 0.2


def test_a_damaged_image_is_named_and_not_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    folder = run.case("3d", "spine_1")
    background = from_preprocessed(folder, read_record(folder), ("T1", "STIR"))
    write_checksums(folder, ("image.b2nd", "label.b2nd", "case.json"))
    content = bytearray((folder / "image.b2nd").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "image.b2nd").write_bytes(content)
    label = Image(reference_of(1)[None], STORED)
    with pytest.raises(RunFolderError, match=r"spine_1/image\.b2nd: is damaged"):
        slice_of(label, label, LABELS, background)


def test_an_image_on_another_grid_is_brought_onto_the_labels(tmp_path: Path) -> None:
    grid = example_geometry((8, 8, 8), (1.0, 1.0, 1.0))
    fine = Geometry((16, 16, 16), (0.5, 0.5, 0.5), (-0.25, -0.25, -0.25), grid.direction)
    label = np.zeros(grid.shape, np.uint8)
    label[2:6, 2:6, 2:5] = 1
    write_image(
        tmp_path / "a.nii.gz", Image(label.repeat(2, 0).repeat(2, 1).repeat(2, 2)[None].astype(np.float32), fine)
    )
    shown = slice_of(Image(label[None], grid), Image(label[None], grid), ONE, from_file(tmp_path / "a.nii.gz"))
    assert shown.image is not None
    np.testing.assert_allclose(shown.image[0], shown.reference, atol=1e-5)


def test_the_zoom_holds_all_foreground_and_a_margin(tmp_path: Path) -> None:
    label = Image(reference_of(1)[None], STORED)
    shown = slice_of(label, label, LABELS, None)
    top, bottom, left, right = zoom_box(shown)
    inside = shown.reference[top:bottom, left:right]
    assert inside.astype(bool).sum() == shown.reference.astype(bool).sum()
    assert (left, right) == (4, 44)  # 12 mm around columns 16 to 32


def test_an_empty_case_can_be_drawn() -> None:
    nothing = Image(np.zeros((1, *STORED.shape), np.int16), STORED)
    assert draw(slice_of(nothing, nothing, LABELS, None)).axes
