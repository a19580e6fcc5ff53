"""A single slice is refused where the networks learned from volumes, and a thin image is told."""

import csv

import pytest

from autoseg.dataset.inputs import read_inputs
from tests.inference.bright_run import SHAPE, flat, predict, run, straight, voxels, write

__all__ = ["run"]

VOLUMES = "and the models learned from volumes of {} slices"


@pytest.mark.parametrize("axis", range(3))
def test_a_single_slice_is_refused_by_networks_of_volumes(run, tmp_path, axis):
    shape = tuple(1 if a == axis else n for a, n in enumerate(SHAPE))
    image = write(tmp_path / "a.nii.gz", voxels(shape=shape), straight(shape))
    (problem,), _ = predict(run, read_inputs([image], ("T1",)), tmp_path / "out")
    cause, cure = problem.split("; ", 1)
    assert cause == f"a: it has one slice along {'zyx'[axis]}, {VOLUMES.format(SHAPE[axis])}"
    # the plan's 2D networks take slices along z
    assert cure.startswith("give the whole volume") and ("--config 2d" in cure) is (axis == 0)
    assert not list((tmp_path / "out").glob("*.nii.gz"))


def test_a_slice_is_predicted_where_a_2d_network_sees_it(run, tmp_path):
    flat(run)
    image = write(tmp_path / "a.nii.gz", voxels(shape=(1, 20, 22)), straight((1, 20, 22)))
    problems, shown = predict(run, read_inputs([image], ("T1",)), tmp_path / "out", configuration="2d")
    assert problems == () and "slice along" not in shown
    # together with 3D ones it is noted, in the table too
    problems, shown = predict(run, read_inputs([image], ("T1",)), tmp_path / "both", configuration=["2d", "3d"])
    assert problems == () and VOLUMES.format(18) in shown
    with (tmp_path / "both" / "measurements.csv").open(encoding="utf-8", newline="") as file:
        assert all(VOLUMES.format(18) in row["notes"] for row in csv.DictReader(file))


@pytest.mark.parametrize(("slices", "told"), [(5, False), (4, True)])
def test_an_image_far_thinner_than_any_training_case_is_told(run, tmp_path, slices, told):
    image = write(tmp_path / "a.nii.gz", voxels(shape=(slices, 20, 22)), straight((slices, 20, 22)))
    problems, shown = predict(run, read_inputs([image], ("T1",)), tmp_path / "out")
    assert problems == ()
    assert ("a: along z it has 4 mm (4 voxels), in training 18 mm" in shown) is told
