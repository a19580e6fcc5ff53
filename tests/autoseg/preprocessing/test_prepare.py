"""From a loaded case to network input and back, on made and on real cases."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.dataset.case import Case
from autoseg.dataset.load import LoadedCase, load_case
from autoseg.image.geometry import IDENTITY
from autoseg.image.image import read_label
from autoseg.image.labels import Labels
from autoseg.preprocessing.prepare import PreparedCase, prepare_case
from autoseg.whole_image.export import export_labels
from tests.example_plan import example_channel, example_configuration, example_plan, example_region, flat_changes
from tests.example_record import example_geometry

ABDOMEN = Labels(values=(0, 1, 2, 3, 4), names=("background", "liver", "right kidney", "left kidney", "spleen"))


def loaded_case(image: np.ndarray, spacing=(2.0, 1.0, 1.0), label: np.ndarray | None = None) -> LoadedCase:
    geometry = example_geometry(image.shape[1:], spacing)
    present = tuple(bool(c.any()) for c in image)
    return LoadedCase(image, present, label, geometry, IDENTITY)


def prepare(case: LoadedCase, spacing: tuple[float | None, ...], **plan: object) -> PreparedCase:
    """The case at a spacing, by the example plan with these changes."""
    flat = flat_changes(0) if spacing[0] is None else {}
    return prepare_case(case, example_plan(**plan), example_configuration(spacing=spacing, **flat), "a")


def dice(one: np.ndarray, two: np.ndarray) -> float:
    return 2 * (one & two).sum() / (one.sum() + two.sum())


def test_crop_then_normalise_then_resample() -> None:
    """Statistics are those of the cropped voxels as acquired: a step edge resampled before would shift them."""
    image = np.zeros((1, 10, 20, 20), np.float32)
    image[0, 2:8, 5:15, 4:16] = 10
    image[0, 2:5, 5:15, 4:16] = 30
    label = (image[0] == 30).astype(np.uint8)
    prepared = prepare(loaded_case(image, label=label), (1.0, 1.0, 1.0))
    record = prepared.record
    assert (record.crop_lower, record.crop_upper) == ((2, 5, 4), (8, 15, 16))
    assert record.shape == prepared.image.shape[1:] == prepared.label.shape == (12, 10, 12)
    assert record.spacing == (1.0, 1.0, 1.0) and record.cropped_shape == (6, 10, 12)
    # half the voxels are 30, half 10: scores of +1 and -1, which splines keep in the flat parts
    np.testing.assert_allclose(prepared.image[0, [0, -1], 5, 6], [1, -1], atol=0.02)
    assert prepared.label[:6].all() and not prepared.label[6:].any()


def test_a_region_is_cropped_to_with_the_intensities_of_the_whole_image() -> None:
    image = np.random.default_rng(0).normal(5, 1, (1, 20, 40, 40)).astype(np.float32)
    label = (image[0] > 6).astype(np.uint8)
    region = example_region(lower=(0.25, 0.5, 0.0), upper=(0.75, 1.0, 0.5), margin_mm=2.0)
    whole = prepare(loaded_case(image, label=label), (2.0, 1.0, 1.0))
    part = prepare(loaded_case(image, label=label), (2.0, 1.0, 1.0), region=region)
    assert part.record.crop == ((4, 18, 0), (16, 40, 22))
    np.testing.assert_array_equal(part.image, whole.image[:, 4:16, 18:40, :22])
    np.testing.assert_array_equal(part.label, whole.label[4:16, 18:40, :22])
    labels = Labels(values=(0, 3), names=("background", "lesion"))
    back = taken_back(part, labels)
    assert not back[:4].any() and not back[:, :18].any() and not back[:, :, 22:].any()
    np.testing.assert_array_equal(back[4:16, 18:40, :22], 3 * label[4:16, 18:40, :22])


def test_an_axis_without_spacing_is_kept() -> None:
    image = np.random.default_rng(0).normal(5, 1, (1, 6, 20, 20)).astype(np.float32)
    prepared = prepare(loaded_case(image, (4.3, 1.0, 1.0)), (None, 2.0, 2.0))
    assert prepared.record.shape == (6, 10, 10)
    assert prepared.record.spacing == (4.3, 2.0, 2.0)
    assert prepared.label is None


def test_an_absent_channel_is_zero_and_stays_out_of_the_crop() -> None:
    image = np.zeros((2, 6, 8, 8), np.float32)
    image[0, 1:5, 2:7, 3:8] = np.random.default_rng(0).normal(100, 10, (4, 5, 5))
    two = (example_channel("T1"), example_channel("T2"))
    prepared = prepare(loaded_case(image), (1.5, 1.0, 1.0), channels=two)
    assert prepared.record.present == (True, False)
    assert (prepared.record.crop_lower, prepared.record.crop_upper) == ((1, 2, 3), (5, 7, 8))
    assert prepared.image[0].any() and not prepared.image[1].any()


def test_the_case_that_was_given_is_not_changed() -> None:
    image = np.random.default_rng(0).normal(5, 1, (1, 6, 8, 8)).astype(np.float32)
    before = image.copy()
    prepare(loaded_case(image), (2.0, 1.0, 1.0))
    np.testing.assert_array_equal(image, before)


def taken_back(prepared: PreparedCase, labels: Labels) -> np.ndarray:
    """The prepared label map (z, y, x) at the stored geometry, as if it had been predicted without a doubt."""
    certain = np.stack([prepared.label == k for k in range(labels.classes)]).astype(np.float16)
    return export_labels(certain, prepared.record, labels).array[0]


@pytest.mark.parametrize("index", [0, 7])
@pytest.mark.parametrize("spacing", [(5.5, 1.6, 1.6), (None, 1.6, 1.6)], ids=["3d", "2d"])
def test_labels_of_real_anisotropic_cases_come_back(test_data: Path, index: int, spacing) -> None:
    label_path = sorted((test_data / "abdomen20" / "labelsTr").glob("*.nii.gz"))[index]
    image_path = test_data / "abdomen20" / "imagesTr" / label_path.name.replace(".nii.gz", "_0000.nii.gz")
    case = load_case(Case("a", (image_path,), label_path), ABDOMEN, "canonical")
    prepared = prepare(case, spacing, labels=ABDOMEN)
    back = taken_back(prepared, ABDOMEN)
    reference = read_label(label_path).array[0]
    assert back.shape == reference.shape
    # 4/5 of the in-plane resolution, and other planes where the coarse axis is resampled by nearest ones
    for k in range(1, 5):
        assert dice(back == k, reference == k) >= 0.95


def test_labels_of_a_real_isotropic_case_come_back(test_data: Path) -> None:
    image_path = sorted((test_data / "hippocampus40" / "imagesTr").glob("*.nii.gz"))[0]
    label_path = test_data / "hippocampus40" / "labelsTr" / image_path.name
    labels = Labels(values=(0, 1, 2), names=("background", "anterior", "posterior"))
    case = load_case(Case("a", (image_path,), label_path), labels, "canonical")
    prepared = prepare(case, (0.8, 0.9, 0.7))
    reference = read_label(label_path).array[0]
    back = taken_back(prepared, labels)
    for k in (1, 2):
        assert dice(back == k, reference == k) >= 0.95
