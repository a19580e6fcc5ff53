"""Evaluation of label files that name their classes."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import InputError
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from inference.evaluation.evaluate import IncompleteEvaluation, evaluate_folders
from tests.autoseg.dataset import build
from tests.autoseg.image import named

GRID = named.grid((6, 20, 20))
LABELS = Labels(values=(0, 1, 4), names=("background", "liver", "tumour"))
LOWER, UPPER = (1, 2, 3), (6, 19, 20)


def boxes(shift: int, liver: int = 1, tumour: int = 4) -> np.ndarray:
    array = np.zeros(GRID.shape, np.uint8)
    array[2:4, 4:12, 4:12] = liver
    array[2:4, 4 + shift : 12 + shift, 13:17] = tumour
    return array


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """References of two segmentations with other numbers each, cropped, and predictions of numbers."""
    reference, prediction = tmp_path / "data" / "labelsTs", tmp_path / "predicted"
    for case, (liver, tumour) in enumerate(((1, 2), (5, 1))):
        cut = boxes(0, liver, tumour)[tuple(slice(a, b) for a, b in zip(LOWER, UPPER, strict=True))]
        segments = [("tumour", tumour, 0), ("liver", liver, 0)]
        named.slicer(reference / f"case_{case}.seg.nrrd", cut, named.cropped(GRID, LOWER, UPPER), segments)
        write_image(prediction / f"case_{case}.nii.gz", Image(boxes(2)[None], GRID))
    return reference, prediction, tmp_path / "report"


def dice_of(folders: tuple[Path, Path, Path], labels: Labels | None) -> dict[str, float | None]:
    summary = evaluate_folders(*folders, labels=labels)
    assert (summary.problems, summary.warnings, summary.cases) == ((), (), 2)
    return {one.name: one.metrics["dice"].mean for one in summary.classes}


def test_references_of_names_are_compared_with_predictions_of_numbers(folders: tuple[Path, Path, Path]) -> None:
    assert dice_of(folders, LABELS) == {"liver": pytest.approx(1.0), "tumour": pytest.approx(6 / 8)}
    build.write_json(folders[0].parent / "dataset.json", {"labels": {"background": 0, "Tumour": 4, "liver": 1}})
    assert dice_of(folders, None) == {"liver": pytest.approx(1.0), "Tumour": pytest.approx(6 / 8)}


def test_names_beside_numbers_are_refused_where_nobody_says_which_is_which(folders: tuple[Path, Path, Path]) -> None:
    with pytest.raises(InputError, match=r"names its classes, and .*case_0\.nii\.gz holds numbers alone.*--run"):
        evaluate_folders(*folders)


def test_two_folders_of_names_need_no_numbers(folders: tuple[Path, Path, Path]) -> None:
    for file in folders[1].iterdir():
        file.unlink()
    lower, upper = (2, 5, 4), (4, 15, 18)
    for case in range(2):
        cut = boxes(2)[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))]
        path = folders[1] / f"case_{case}.seg.nrrd"
        named.slicer(path, cut, named.cropped(GRID, lower, upper), [("liver", 1, 0), ("tumour", 4, 0)])
    # the crop of the predictions takes a row of eight from the liver
    assert dice_of(folders, None) == {"liver": pytest.approx(14 / 15), "tumour": pytest.approx(6 / 8)}


def test_a_segmentation_that_cannot_be_compared_is_a_problem_of_its_case(folders: tuple[Path, Path, Path]) -> None:
    finer = named.grid((12, 20, 20))
    named.slicer(folders[0] / "case_0.seg.nrrd", np.ones((12, 20, 20), np.uint8), finer, [("liver", 1, 0)])
    named.slicer(folders[0] / "case_2.seg.nrrd", boxes(0), GRID, [("liver", 1, 0), ("cyst", 4, 0)])
    write_image(folders[1] / "case_2.nii.gz", Image(boxes(2)[None], GRID))
    with pytest.raises(IncompleteEvaluation) as error:
        evaluate_folders(*folders, labels=LABELS)
    first, second = error.value.summary.problems
    assert first.startswith("case case_0: case_0.seg.nrrd has ") and "beyond the image" in first
    assert first.endswith("(beside case_0.nii.gz)")
    assert second.startswith("case case_2: ") and "not declared: segment 'cyst' (64 voxels)" in second
