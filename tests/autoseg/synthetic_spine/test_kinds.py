"""The kind `small`: small metastases in thick slices."""

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.synthetic_spine import make_phantom
from autoseg.synthetic_spine.cohort import draw_grid, draw_scene, plan_cohort
from autoseg.synthetic_spine.kinds import KINDS
from autoseg.synthetic_spine.write import visible
from tests.autoseg.synthetic_spine.phantom_files import table


@pytest.mark.slow
def test_small_metastases_are_a_thousandth_of_the_voxels():
    shares, diameters = [], []
    for plan in plan_cohort(10, 1, KINDS["small"].shape, kind="small"):
        grid = draw_grid(plan)
        _, masks = visible(draw_scene(plan), grid)
        assert 1 <= len(masks) <= 6
        shares.append(masks.any(axis=0).mean())
        volumes = masks.sum(axis=(1, 2, 3)) * np.prod(grid.spacing)
        diameters.append((6 * volumes / np.pi) ** (1 / 3))
    assert 0.0007 < np.mean(shares) < 0.0014
    assert max(shares) < 0.004
    assert max(map(np.max, diameters)) < 20
    # every case has something that has to be found
    assert min(map(np.max, diameters)) > 6


def test_small_metastases_lie_in_thick_slices(tmp_path):
    folder = make_phantom(tmp_path / "small", cases=1, kind="small", missing=0, workers=1)
    (row,) = table(folder)
    image, label = (sitk.ReadImage(str(folder / row[name])) for name in ("STIR", "label"))
    x, y, z = image.GetSpacing()
    assert x == pytest.approx(0.7, abs=0.04) and y == x and z == pytest.approx(6, abs=0.3)
    assert image.GetSize() == label.GetSize()
    assert 0 < sitk.GetArrayFromImage(label).mean() < 0.004
