"""Contrasts lie in the range that the phantom states, and the data set states what it was drawn with."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from autoseg.synthetic_spine import make_phantom
from autoseg.synthetic_spine.cohort import draw_grid, draw_scene, plan_cohort
from autoseg.synthetic_spine.foci import draw_metastases
from autoseg.synthetic_spine.kinds import KINDS
from autoseg.synthetic_spine.mr_signal import Motion, acquire, lesion_masks
from tests.autoseg.synthetic_spine.phantom_files import SEQUENCES, table

# as docs/phantom.md has them: signal over that of normal marrow
STATED = {
    "lytic": {"T1": (0.44, 0.68), "T2": (1.4, 1.95), "STIR": (2.87, 5.2)},
    "sclerotic": {"T1": (0.22, 0.54), "T2": (0.28, 0.65), "STIR": (0.47, 2.8)},
}


def large_foci(scene, rng):
    """The scene with nothing focal but a lytic and a sclerotic ball in the middle of two neighbouring vertebrae."""
    drawn = draw_metastases(rng, scene.spine, ("lytic", "sclerotic"), KINDS["spine"], reach=80)
    levels = np.argsort(np.abs(scene.spine.centres))
    balls = tuple(
        replace(focus, level=int(level), centre=(0, 0, 0), radii=(10, 11, 14))
        for focus, level in zip(drawn, levels, strict=False)
    )
    return replace(scene, metastases=balls, confounders=())


@pytest.fixture(scope="module")
def measured():
    """Signal in the core of metastases over that of the same voxels without them: a list for type and sequence."""
    found = {kind: {sequence: [] for sequence in SEQUENCES} for kind in STATED}
    for plan in plan_cohort(14, 7, (14, 64, 40)):
        if plan.visit:
            continue
        grid, scene = draw_grid(plan), large_foci(draw_scene(plan), plan.rng(9))
        cores = [
            ndimage.binary_erosion(mask, np.ones((1, 3, 3))) & ndimage.binary_erosion(mask, np.ones((3, 1, 1)))
            for mask in lesion_masks(scene, grid)
        ]
        assert min(core.sum() for core in cores) >= 8
        for index, sequence in enumerate(SEQUENCES):
            with_them, without = (
                acquire(s, sequence, grid, Motion(), plan.rng(1)).astype(float)
                for s in (scene, replace(scene, metastases=()))
            )
            for focus, core in zip(scene.metastases, cores, strict=True):
                # the patient's own marrow is brighter or darker than normal marrow by a known factor
                ratio = with_them[core].mean() / without[core].mean() * scene.marrow[index]
                found[focus.kind][sequence].append(ratio)
    return found


@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize("kind", STATED)
def test_contrasts_lie_in_the_stated_range_and_use_it(measured, kind, sequence):
    low, high = STATED[kind][sequence]
    ratios = measured[kind][sequence]
    assert len(ratios) >= 10
    # the rest of the tolerance is marrow's texture, and noise, which lifts what is dark
    assert low * 0.92 < min(ratios) and max(ratios) < high * 1.08
    assert np.ptp(ratios) > 0.4 * (high - low)


def test_the_data_set_states_what_it_was_drawn_with(tmp_path):
    folder = make_phantom(tmp_path / "spine", cases=1, seed=5, missing=0.25, shape=(7, 80, 48), workers=1)
    stated = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["phantom"]
    assert (stated["kind"], stated["seed"], stated["missing"], stated["shape"]) == ("spine", 5, 0.25, [7, 80, 48])
    # half as many slices, rows and columns of the same field of view
    assert stated["spacing_mm"] == [[8.0, 8.8], [2.1, 2.3], [2.1, 2.3]]
    for kind, of_kind in STATED.items():
        for sequence, bounds in of_kind.items():
            assert stated["contrasts"][kind][sequence] == pytest.approx(bounds, abs=0.006)
    words = (folder / "README.txt").read_text(encoding="utf-8")
    (line,) = (line for line in words.splitlines() if line.startswith("lytic"))
    assert " ".join(line.split()) == "lytic 0.44 to 0.68 1.40 to 1.95 2.87 to 5.20"
    image = sitk.ReadImage(str(folder / table(folder)[0]["T1"]))
    x, _, z = image.GetSpacing()
    assert z == pytest.approx(8.4, abs=0.401) and x == pytest.approx(2.2, abs=0.101)
