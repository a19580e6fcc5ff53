"""What the study needs of the phantom: contrasts as stated, an ordering of the sequences, gaps, small lesions.

Judged with SciPy, scikit-learn and SimpleITK; of the code that draws, only the anatomy is used to tell
where marrow is.
"""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold

from autoseg.errors import InputError
from autoseg.synthetic_spine import make_phantom
from autoseg.synthetic_spine.anatomy import bone_distance, locate
from autoseg.synthetic_spine.cohort import draw_grid, draw_scene, plan_cohort
from autoseg.synthetic_spine.foci import draw_metastases
from autoseg.synthetic_spine.kinds import KINDS
from autoseg.synthetic_spine.signals import Motion, _sub_slices, acquire, lesion_masks
from autoseg.synthetic_spine.write import visible

SEQUENCES = ("T1", "T2", "STIR")
# as docs/phantom.md has them: signal over that of normal marrow
STATED = {
    "lytic": {"T1": (0.44, 0.68), "T2": (1.4, 1.95), "STIR": (2.87, 5.2)},
    "sclerotic": {"T1": (0.22, 0.54), "T2": (0.28, 0.65), "STIR": (0.47, 2.8)},
}
TINY = (4, 32, 32)


def table(folder):
    with (folder / "cases.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


# contrasts


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


# the ordering that a study has to find


@pytest.fixture(scope="module")
def marrow_voxels(tmp_path_factory):
    """Of a reduced phantom: intensities over the marrow's median (n, 3), whether metastasis (n,), patient (n,)."""
    shape = (14, 96, 58)
    folder = make_phantom(
        tmp_path_factory.mktemp("ordering") / "spine", cases=18, seed=11, missing=0, shape=shape, workers=1
    )
    intensities, truths, patients = [], [], []
    for plan, row in zip(plan_cohort(18, 11, shape, missing=0), table(folder), strict=True):
        grid, spine = draw_grid(plan), draw_scene(plan).spine
        middle_of_slices = _sub_slices(grid, Motion())[1]
        inside = (bone_distance(spine, locate(spine, middle_of_slices)) < -2).reshape(shape)
        images = [read(folder / row[sequence])[inside].astype(float) for sequence in SEQUENCES]
        intensities.append(np.stack([image / np.median(image) for image in images], axis=1))
        truths.append(read(folder / row["label"])[inside] > 0)
        patients.append(np.full(int(inside.sum()), plan.patient))
    return np.concatenate(intensities), np.concatenate(truths), np.concatenate(patients)


CLASSIFIERS = {
    "linear": LinearDiscriminantAnalysis(),
    "any boundary": HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=12, random_state=0),
}


def separation(classifier, voxels, columns):
    """Average precision of metastasis against other marrow, in patients that the classifier did not see."""
    intensities, truth, patients = voxels
    scores = []
    for train, test in GroupKFold(3).split(intensities, truth, patients):
        classifier.fit(intensities[train][:, columns], truth[train])
        likely = classifier.predict_proba(intensities[test][:, columns])[:, 1]
        scores.append(average_precision_score(truth[test], likely))
    return float(np.mean(scores))


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_t1_separates_metastases_from_marrow_better_than_t2_and_all_sequences_best(marrow_voxels, name):
    alone = {s: separation(CLASSIFIERS[name], marrow_voxels, [i]) for i, s in enumerate(SEQUENCES)}
    assert alone["T1"] > alone["T2"] + 0.08
    # one plane cannot use T2, in which the two types of metastasis lie on either side of marrow
    if name != "linear":
        assert separation(CLASSIFIERS[name], marrow_voxels, [0, 1, 2]) > max(alone.values())


# sequences that are missing


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_each_sequence_is_missing_from_the_share_of_cases_and_none_is_without_images(tmp_path, share):
    folder = make_phantom(tmp_path / "spine", cases=20, seed=2, missing=share, shape=TINY, workers=1)
    present = np.array([[bool(row[s]) for s in SEQUENCES] for row in table(folder)])
    np.testing.assert_array_equal((~present).sum(axis=0), round(share * 20))
    assert present.any(axis=1).all()
    # one is missing regardless of the other: two are missing from some cases, and some are complete
    assert (present.sum(axis=1) == 1).any() == (share > 0)
    assert present.all(axis=1).any() or share == 0.5


def test_what_is_missing_does_not_change_what_is_not(tmp_path):
    complete, gaps = (
        make_phantom(tmp_path / str(share), cases=8, seed=4, missing=share, shape=TINY, workers=1)
        for share in (0.0, 0.4)
    )
    kept = [(a, b) for a, b in zip(table(complete), table(gaps), strict=True) if b["T1"]]
    assert 0 < len(kept) < 8
    for a, b in kept:
        files = [a[column] for column in (*SEQUENCES, "label") if b[column]]
        assert all((complete / file).read_bytes() == (gaps / file).read_bytes() for file in files)


@pytest.mark.parametrize("wrong", [{"missing": 0.6}, {"missing": -0.1}, {"kind": "large"}], ids=str)
def test_a_share_or_kind_that_there_is_not_is_named(tmp_path, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        make_phantom(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()


# small lesions in thick slices


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
