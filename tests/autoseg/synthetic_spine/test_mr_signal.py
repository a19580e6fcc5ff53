"""The signal of a scene: contrasts of metastases, motion, noise, and the volume that a label has."""

from dataclasses import replace

import numpy as np
import pytest

from autoseg.synthetic_spine.cohort import draw_grid, draw_scene, plan_cohort
from autoseg.synthetic_spine.mr_signal import Motion, acquire, lesion_masks
from tests.autoseg.synthetic_spine.phantom_files import SEQUENCES

SHAPE = (14, 112, 68)


def contrasts(kind):
    """Signal of metastases over that of the same voxels had they not been there: (lesion, sequence)."""
    ratios = []
    for plan in plan_cohort(14, 7, (14, 64, 40)):
        grid, scene = draw_grid(plan), draw_scene(plan)
        if plan.visit or not any(focus.kind == kind for focus in scene.metastases):
            continue
        masks = lesion_masks(scene, grid)
        with_without = [
            [acquire(s, sequence, grid, Motion(), plan.rng(1)) for sequence in SEQUENCES]
            for s in (scene, replace(scene, metastases=()))
        ]
        for focus, mask in zip(scene.metastases, masks, strict=True):
            if focus.kind == kind and mask.sum() >= 10:
                ratios.append([np.median(a[mask]) / np.median(b[mask]) for a, b in zip(*with_without, strict=True)])
    return np.array(ratios)


def test_lytic_metastases_are_dark_in_t1_and_bright_in_t2_and_stir():
    ratios = contrasts("lytic")
    assert len(ratios) >= 5
    assert ratios[:, 0].max() < 0.95 and np.median(ratios[:, 0]) < 0.75
    assert ratios[:, 1].min() > 1.05 and np.median(ratios[:, 1]) > 1.25
    assert ratios[:, 2].min() > 1.3


def test_sclerotic_metastases_are_dark_in_t1_and_t2_and_anything_in_stir():
    ratios = contrasts("sclerotic")
    assert len(ratios) >= 5
    assert ratios[:, :2].max() < 0.9
    assert ratios[:, 2].min() < 1.1 and ratios[:, 2].max() > 1.6


def test_motion_moves_the_image_content():
    plan = plan_cohort(1, 5, SHAPE)[0]
    grid, scene = draw_grid(plan), draw_scene(plan)
    still, moved = (
        acquire(scene, "T1", grid, motion, np.random.default_rng(0)).astype(float)
        for motion in (Motion(), Motion(shift=(0, 0, 4 * grid.spacing[1])))
    )
    centre = still[:, 20:-20, 20:-20]
    likeness = [
        np.corrcoef(centre.ravel(), moved[:, 20 + k : SHAPE[1] - 20 + k, 20:-20].ravel())[0, 1] for k in range(-8, 9)
    ]
    # rows run downwards, so content that was seen 4 rows further up comes down by 4
    assert int(np.argmax(likeness)) - 8 == 4


def test_noise_in_air_is_rayleigh_distributed():
    plan = plan_cohort(1, 5, SHAPE)[0]
    behind = Motion(shift=(0, 200, 0))
    air = acquire(draw_scene(plan), "T2", draw_grid(plan), behind, np.random.default_rng(0))
    # Rician without signal: mean over standard deviation of a Rayleigh distribution
    assert air.mean() / air.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.02)


def test_label_volume_is_that_of_the_ellipsoid():
    plan = plan_cohort(1, 5, SHAPE)[0]
    grid, scene = draw_grid(plan), draw_scene(plan)
    middle = int(np.abs(scene.spine.centres).argmin())
    ellipsoid = replace(
        scene.metastases[0], level=middle, centre=(0, 0, 0), radii=(9, 10, 11), lobes=np.zeros((2, 4)), edge=1.5
    )
    (mask,) = lesion_masks(replace(scene, metastases=(ellipsoid,)), grid)
    assert mask.sum() * np.prod(grid.spacing) == pytest.approx(4 / 3 * np.pi * 9 * 10 * 11, rel=0.08)
