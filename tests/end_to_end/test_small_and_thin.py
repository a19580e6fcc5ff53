"""Small and thin images: planned, trained for a few steps, and predicted, whatever their shape."""

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import autoseg
from autoseg.errors import PlanError
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from tests.autoseg.small_dataset import describe

pytestmark = pytest.mark.slow

DIRECTION = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def write_cases(folder: Path, shapes: list[tuple[int, int, int]]) -> Path:
    """A data set with a case of each shape: a bright block in the middle of noise."""
    rng = np.random.default_rng(0)
    for i, shape in enumerate(shapes):
        label = np.zeros(shape, dtype=np.uint8)
        label[tuple(slice(n // 3, n // 3 + max(1, n // 3)) for n in shape)] = 1
        image = (rng.normal(100, 10, shape) + 80 * label).astype(np.float32)
        geometry = Geometry(shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), DIRECTION)
        write_image(folder / "imagesTr" / f"ball_{i}_0000.nii.gz", Image(image[None], geometry))
        write_image(folder / "labelsTr" / f"ball_{i}.nii.gz", Image(label[None], geometry))
    describe(folder, len(shapes))
    return folder


@pytest.mark.parametrize(
    ("shapes", "configuration"),
    [
        ([(8, 8, 8)] * 3, "3d"),
        ([(6, 6, 6)] * 3, "3d"),
        ([(6, 6, 6)] * 3, "2.5d"),
        ([(2, 2, 2)] * 3, "3d"),
        ([(3, 3, 300)] * 2, "3d"),
        ([(40, 1, 40)] * 3, "2d"),
        ([(1, 1, 40)] * 3, "2d"),
        ([(2, 24, 24), (16, 24, 24), (16, 24, 24)], "3d"),
        ([(8, 8, 8), (30, 30, 30), (20, 40, 10), (3, 5, 9)], "3d"),
    ],
)
def test_every_shape_goes_through(shapes: list[tuple[int, int, int]], configuration: str, tmp_path: Path) -> None:
    data, run = write_cases(tmp_path / "data", shapes), tmp_path / "run"
    autoseg.plan_and_preprocess(data, run, config=configuration, device="cpu", time_budget="1m", threads=1, workers=1)
    plan = run / "plan.yaml"
    few, edits = re.subn(r"(iterations_per_epoch: )\d+", r"\g<1>2", plan.read_text(encoding="utf-8"))
    assert edits
    plan.write_text(few, encoding="utf-8")
    autoseg.train(run, fold=0, config=configuration, epochs=1, device="cpu", threads=1, workers=0)
    images = data / "imagesTr"
    autoseg.predict(run, images, tmp_path / "out", config=configuration, device="cpu", threads=1)
    for i, shape in enumerate(shapes):
        assert sitk.ReadImage(str(tmp_path / "out" / f"ball_{i}.nii.gz")).GetSize() == shape[::-1]


def test_volumes_of_images_one_voxel_thick_are_refused(tmp_path: Path) -> None:
    data = write_cases(tmp_path / "data", [(40, 1, 40)] * 3)
    with pytest.raises(PlanError, match="one voxel thick along y; add --config 2d"):
        autoseg.plan_and_preprocess(data, tmp_path / "run", config="3d", device="cpu", threads=1, workers=1)
