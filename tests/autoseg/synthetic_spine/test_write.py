"""The phantom's files, judged with csv, SimpleITK, scipy and scikit-learn, not with the code that made them."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from autoseg.dataset.read import read_dataset
from autoseg.errors import InputError
from autoseg.synthetic_spine import make_phantom
from tests.autoseg.synthetic_spine.phantom_files import SEQUENCES, read, table

SHAPE = (14, 112, 68)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    return make_phantom(tmp_path_factory.mktemp("phantom") / "spine", cases=12, seed=3, shape=SHAPE, workers=1)


@pytest.fixture(scope="module")
def rows(phantom):
    return table(phantom)


def test_table_lists_every_file_and_nothing_else(phantom, rows):
    assert list(rows[0]) == ["case", "T1", "T2", "STIR", "label", "patient", "lesion_type"]
    listed = {row[column] for row in rows for column in (*SEQUENCES, "label") if row[column]}
    written = {p.relative_to(phantom).as_posix() for p in phantom.rglob("*.nii.gz")}
    assert listed == written
    assert len({row["case"] for row in rows}) == 12


def test_what_it_was_drawn_with_is_its_description(phantom):
    described = read_dataset(phantom).description
    assert described == (phantom / "README.txt").read_text(encoding="utf-8").strip()
    for part in ("seed 3", f"Voxels: {SHAPE[0]} slices", "Noise: Rician", "lytic", "sclerotic"):
        assert part in described, part


def test_some_cases_lack_a_sequence_and_each_has_two_at_least(rows):
    present = [sum(bool(row[s]) for s in SEQUENCES) for row in rows]
    assert set(present) == {2, 3}
    assert 0 < present.count(2) < len(rows) / 2


def test_some_patients_have_two_cases_which_follow_each_other(rows):
    patients = [row["patient"] for row in rows]
    twice = {p for p in patients if patients.count(p) == 2}
    assert twice and max(map(patients.count, patients)) == 2
    for patient in twice:
        types = {row["lesion_type"] for row in rows if row["patient"] == patient}
        assert len(types) == 1


def test_images_are_sagittal_and_share_the_label_grid(phantom, rows):
    orientations = set()
    for row in rows:
        label = sitk.ReadImage(str(phantom / row["label"]))
        orientations.add(sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(label.GetDirection()))
        spacing = label.GetSpacing()
        assert spacing[2] > 2 * spacing[0]
        for sequence in SEQUENCES:
            if row[sequence]:
                image = sitk.ReadImage(str(phantom / row[sequence]))
                np.testing.assert_allclose(image.GetDirection(), label.GetDirection(), atol=1e-6)
                np.testing.assert_allclose(image.GetOrigin(), label.GetOrigin(), atol=1e-5)
                assert image.GetSize() == label.GetSize() == SHAPE[::-1]
    # columns to posterior, rows to inferior, slices either way: never the canonical axes
    assert orientations == {"PIL", "PIR"}


def test_one_to_six_metastases_a_case_some_of_a_few_voxels(phantom, rows):
    sizes, counts = [], []
    for row in rows:
        label = read(phantom / row["label"])
        assert set(np.unique(label)) == {0, 1}
        components, count = ndimage.label(label, np.ones((3, 3, 3)))
        counts.append(count)
        sizes.extend(ndimage.sum(label, components, range(1, count + 1)))
    assert min(counts) >= 1 and max(counts) <= 6 and len(set(counts)) > 2
    assert min(sizes) <= 8 and max(sizes) > 200


def best_dice(score, truth):
    """Largest Dice of any threshold `score >= t`, exactly."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    return float((2 * hits / (np.arange(1, len(truth) + 1) + truth.sum())).max())


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_best_threshold_of_each_case_fails(phantom, rows, sequence):
    dice = []
    for row in rows:
        if row[sequence]:
            image, truth = read(phantom / row[sequence]).ravel(), read(phantom / row["label"]).ravel()
            dice.append(max(best_dice(image, truth), best_dice(-image, truth)))
    # chosen with knowledge of the answer, for every case anew
    assert np.mean(dice) < 0.45


def test_classifier_of_single_voxels_fails(phantom, rows):
    features, truths = [], []
    for row in rows:
        if all(row[s] for s in SEQUENCES):
            images = [read(phantom / row[s]).ravel().astype(float) for s in SEQUENCES]
            features.append(np.stack([i / np.median(i) for i in images], axis=1))
            truths.append(read(phantom / row["label"]).ravel())
    x, y = np.concatenate(features), np.concatenate(truths)
    score = QuadraticDiscriminantAnalysis().fit(x, y).predict_proba(x)[:, 1]
    assert best_dice(score, y) < 0.5


@pytest.mark.parametrize("workers", [1, 2])
def test_same_seed_same_files(tmp_path, workers):
    shape = (6, 48, 40)
    first = make_phantom(tmp_path / "a", cases=3, seed=1, shape=shape, workers=1)
    second = make_phantom(tmp_path / "b", cases=3, seed=1, shape=shape, workers=workers)
    other = make_phantom(tmp_path / "c", cases=3, seed=2, shape=shape, workers=1)
    names = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
    assert all((first / n).read_bytes() == (second / n).read_bytes() for n in names)
    images = [n for n in names if n.parts[0] == "images" and (other / n).exists()]
    assert images and all((first / n).read_bytes() != (other / n).read_bytes() for n in images)


def test_refuses_a_folder_that_is_not_empty(tmp_path):
    (tmp_path / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(InputError, match="not empty"):
        make_phantom(tmp_path, cases=1)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "wrong",
    [{"cases": 0}, {"seed": -1}, {"shape": (2, 64, 64)}, {"shape": (12, 160)}],
    ids=["cases", "seed", "thin", "2d"],
)
def test_senseless_numbers_are_named(tmp_path, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        make_phantom(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()


def test_it_states_itself_that_it_is_synthetic(phantom):
    assert read_dataset(phantom).synthetic is True
