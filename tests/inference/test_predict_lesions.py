"""Predictions of lesions are listed beside the label maps."""

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy import ndimage

from autoseg.dataset.inputs import read_inputs
from autoseg.errors import InputError
from autoseg.plan.plan import read_plan, write_plan
from autoseg.run_folder.lesion_scores import LesionScores
from inference.lesion_scores.table import FILE
from tests.inference.bright_run import predict, run, straight, write

__all__ = ["run"]

SCORES = LesionScores(
    name="bright",
    configurations=("3d",),
    lesions=30,
    real=15,
    centre=(0, 0, 0),
    scale=(1, 1, 1),
    weights=(0, 0, 1),
    intercept=5,
)


@pytest.fixture
def of_lesions(run):
    write_plan(run.plan, read_plan(run.plan).changed(lesions=("bright",)), {})
    return run


def image_of(folder, boxes) -> np.ndarray:
    array = np.full(straight().shape, 50, np.float32)
    for low, high in boxes:
        array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 150
    folder.mkdir(exist_ok=True)
    write(folder / "a.nii.gz", array)
    return array


def test_each_lesion_of_the_label_map_is_a_row(of_lesions, tmp_path) -> None:
    array = image_of(tmp_path / "in", [((2, 2, 2), (6, 6, 6)), ((10, 12, 14), (12, 14, 20))])
    cases = read_inputs([tmp_path / "in"], ("channel 0",))
    problems, _ = predict(of_lesions, cases, tmp_path / "out", scores=(SCORES,))
    assert not problems
    rows = pd.read_csv(tmp_path / "out" / FILE)
    label = sitk.ReadImage(str(tmp_path / "out" / "a.nii.gz"))
    parts, count = ndimage.label(sitk.GetArrayFromImage(label), np.ones((3, 3, 3)))
    assert count == 2 and len(rows) == 2 and (parts > 0).sum() == (array > 100).sum()
    assert rows["voxels"].tolist() == [64, 24] and rows["class"].tolist() == ["bright", "bright"]
    assert rows["score"].is_monotonic_decreasing and rows["score"].between(0, 1).all()
    for place, row in zip([(3.5, 3.5, 3.5), (10.5, 12.5, 16.5)], rows.itertuples(), strict=True):
        expected = label.TransformContinuousIndexToPhysicalPoint(place[::-1])
        assert (row.x_mm, row.y_mm, row.z_mm) == pytest.approx(expected, abs=0.01)


def test_scores_that_were_fitted_with_other_post_processing_are_left_out_and_told(of_lesions, tmp_path) -> None:
    image_of(tmp_path / "in", [((2, 2, 2), (6, 6, 6))])
    cases = read_inputs([tmp_path / "in"], ("channel 0",))
    for other in (SCORES.changed(rule="threshold 0.3"), SCORES.changed(configurations=("2d", "3d"))):
        _, told = predict(of_lesions, cases, tmp_path / "out", scores=(other,))
        assert "get no scores" in told and (other.rule in told and " + ".join(other.configurations) in told)
        assert pd.read_csv(tmp_path / "out" / FILE)["score"].isna().all()
    _, told = predict(of_lesions, cases, tmp_path / "out")
    assert "get no scores" in told and str(tmp_path / "out" / FILE) in told.replace("\n", "")


def test_an_image_without_lesions_has_no_row(of_lesions, tmp_path) -> None:
    image_of(tmp_path / "in", [((2, 2, 2), (6, 6, 6))])
    cases = read_inputs([tmp_path / "in"], ("channel 0",))
    predict(of_lesions, cases, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / FILE)) == 1
    rule = of_lesions.plan  # the plan without lesions writes no table
    write_plan(rule, read_plan(rule).changed(lesions=()), {})
    predict(of_lesions, cases, tmp_path / "other")
    assert not (tmp_path / "other" / FILE).exists()
    # rows of a label map that is replaced go with it
    predict(of_lesions, cases, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / FILE)) == 0


def test_a_foreign_table_is_refused_before_anything_is_predicted(of_lesions, tmp_path) -> None:
    image_of(tmp_path / "in", [((2, 2, 2), (6, 6, 6))])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FILE).write_text("mine\n", encoding="utf-8")
    with pytest.raises(InputError, match="move it away"):
        predict(of_lesions, read_inputs([tmp_path / "in"], ("channel 0",)), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [FILE]
