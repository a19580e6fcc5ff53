"""The fingerprint of synthetic cases with known answers, and of real ones against SimpleITK."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.fingerprint import Fingerprint, read_fingerprint, write_fingerprint
from autoseg.dataset.read import read_dataset
from autoseg.errors import DatasetError
from autoseg.image.geometry import Geometry, Reorientation
from autoseg.image.image import Image, read_image, write_image
from autoseg.image.labels import Labels
from planner.fingerprint import measure_fingerprint

# array axes (z, y, x) grow to superior, posterior, left
CANONICAL = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
LABELS = Labels(values=(0, 200, 500), names=("background", "lesion", "organ"))


def write_case(
    folder: Path,
    name: str,
    channels: Sequence[NDArray | None],
    label: NDArray | None,
    *,
    spacing: tuple[float, float, float] = (4.0, 2.0, 1.0),
    direction: tuple = CANONICAL,
) -> Case:
    """Write the channels and the label, (z, y, x), of a case; None is an absent channel."""
    shape = next(c for c in channels if c is not None).shape
    geometry = Geometry(shape=shape, spacing=spacing, origin=(3.0, -7.0, 11.0), direction=direction)
    images = []
    for i, channel in enumerate(channels):
        path = None if channel is None else folder / f"{name}_{i}.nii.gz"
        if path is not None and channel is not None:
            write_image(path, Image(channel[None].astype(np.float32), geometry))
        images.append(path)
    label_path = None if label is None else folder / f"{name}.nii.gz"
    if label_path is not None and label is not None:
        write_image(label_path, Image(label[None].astype(np.int16), geometry))
    return Case(name=name, images=tuple(images), label=label_path)


def dataset_of(*cases: Case, channels: int = 1, ct: bool = False) -> Dataset:
    """A data set of the cases."""
    return Dataset(
        name="synthetic",
        layout="table",
        channels=tuple(f"channel {i}" for i in range(channels)),
        ct=(ct,) * channels,
        labels=LABELS,
        cases=cases,
    )


def image_and_label(seed: int = 0) -> tuple[NDArray, NDArray]:
    """An image (10, 20, 40) with a zero margin along x, three lesions of 8, 2 and 1 voxels, an organ at the left."""
    image = np.random.default_rng(seed).normal(100, 10, (10, 20, 40))
    image[..., :5] = 0
    label = np.zeros(image.shape, dtype=int)
    label[2:4, 2:4, 10:12] = 200
    # the second touches itself over a corner only
    label[6, 6, 20] = label[7, 7, 21] = 200
    label[9, 19, 30] = 200
    label[:, 5:15, 36:40] = 500
    return image, label


def test_known_answers(tmp_path: Path) -> None:
    image, label = image_and_label()
    case = write_case(tmp_path, "a", [image], label)
    measured = measure_fingerprint(dataset_of(case), workers=1)
    (of_case,) = measured.cases
    assert of_case.case == "a"
    assert of_case.shape == (10, 20, 40)
    assert of_case.cropped_shape == (10, 20, 35)
    assert of_case.spacing == (4, 2, 1)
    assert of_case.orientation == "SPL"
    assert of_case.classes["lesion"].components_mm3 == (64, 16, 8)
    assert of_case.classes["lesion"].volume_mm3 == 88
    assert of_case.classes["organ"].components_mm3 == (3200,)
    # voxels 36 to 39 of 40: their centre lies at 38 voxel widths
    assert of_case.classes["organ"].centroid_x == pytest.approx(38 / 40)
    assert measured.median_relative_size_after_crop == pytest.approx(35 / 40)
    assert measured.modality == ("other",)


@pytest.mark.parametrize("orientation", ["canonical", "as_stored"])
def test_left_and_right_are_the_patients_in_any_storage_order(tmp_path: Path, orientation: str) -> None:
    image, label = image_and_label()
    # stored with axes (left-right reversed, z, y): the organ stays at the patient's left
    image, label = (np.flip(a, axis=2).transpose(2, 0, 1) for a in (image, label))
    direction = ((-1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0))
    case = write_case(tmp_path, "a", [image], label, spacing=(1, 4, 2), direction=direction)
    (of_case,) = measure_fingerprint(dataset_of(case), workers=1, orientation=orientation).cases
    assert of_case.orientation == "RSP"
    assert of_case.classes["organ"].centroid_x == pytest.approx(38 / 40)
    assert of_case.shape == ((10, 20, 40) if orientation == "canonical" else (40, 10, 20))


def test_a_class_that_a_case_lacks(tmp_path: Path) -> None:
    image, label = image_and_label()
    label[label == 200] = 0
    (of_case,) = measure_fingerprint(dataset_of(write_case(tmp_path, "a", [image], label)), workers=1).cases
    lesion = of_case.classes["lesion"]
    assert (lesion.volume_mm3, lesion.components_mm3, lesion.centroid_x) == (0, (), None)


def test_absent_sequences_stay_out_of_statistics_and_crop(tmp_path: Path) -> None:
    image, label = image_and_label()
    whole = np.full(image.shape, 50.0) + np.random.default_rng(3).normal(0, 1, image.shape)
    both = write_case(tmp_path, "both", [image, whole], label)
    one = write_case(tmp_path, "one", [image, None], label)
    measured = measure_fingerprint(dataset_of(both, one, channels=2), workers=1)
    assert [case.present for case in measured.cases] == [(True, True), (True, False)]
    assert [case.cropped_shape for case in measured.cases] == [(10, 20, 40), (10, 20, 35)]
    # zeros of the absent channel would bring the mean down to 25
    assert measured.intensities[1].mean == pytest.approx(50, abs=0.5)
    assert measured.intensities[1].percentile_00_5 > 45


def test_intensities_are_those_of_foreground_voxels(tmp_path: Path) -> None:
    image, label = image_and_label()
    measured = measure_fingerprint(dataset_of(write_case(tmp_path, "a", [image], label)), workers=1)
    foreground = image[label > 0].astype(np.float32)
    found = measured.intensities[0]
    assert found.mean == pytest.approx(foreground.mean(), rel=1e-3)
    assert found.sd == pytest.approx(foreground.std(), rel=1e-2)
    expected = np.percentile(foreground, (0.5, 50, 99.5))
    np.testing.assert_allclose((found.percentile_00_5, found.median, found.percentile_99_5), expected, rtol=1e-2)


def test_cases_weigh_the_same_whatever_their_foreground(tmp_path: Path) -> None:
    image, label = image_and_label()
    small = np.zeros_like(label)
    small[5, 5, 20] = 200
    cases = (write_case(tmp_path, "a", [image], label), write_case(tmp_path, "b", [image + 400], small))
    mean = measure_fingerprint(dataset_of(*cases), workers=1).intensities[0].mean
    expected = (image[label > 0].mean() + image[5, 5, 20] + 400) / 2
    assert mean == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_any_number_of_workers_measures_the_same(tmp_path: Path, monkeypatch) -> None:
    cases = [write_case(tmp_path, f"c{i}", [image_and_label(i)[0]], image_and_label(i)[1]) for i in range(3)]
    once = measure_fingerprint(dataset_of(*cases), workers=1)
    assert measure_fingerprint(dataset_of(*cases), workers=2) == once
    monkeypatch.setattr("autoseg.dataset.disk_space.SMALL_BYTES", 0)
    assert measure_fingerprint(dataset_of(*cases), workers=2) == once, "processes"
    reversed_order = measure_fingerprint(dataset_of(*cases[::-1]), workers=1)
    assert reversed_order.cases == once.cases[::-1]


def test_round_trip_through_the_file(tmp_path: Path) -> None:
    image, label = image_and_label()
    measured = measure_fingerprint(dataset_of(write_case(tmp_path, "a", [image], label), ct=True), workers=1)
    assert measured.modality == ("ct",)
    write_fingerprint(tmp_path / "fingerprint.json", measured)
    assert read_fingerprint(tmp_path / "fingerprint.json") == measured


def test_what_cannot_be_learned_from_is_refused(tmp_path: Path) -> None:
    image, label = image_and_label()
    labelled = write_case(tmp_path, "a", [image], label)
    with pytest.raises(DatasetError, match="b: has no label"):
        measure_fingerprint(dataset_of(labelled, replace(labelled, name="b", label=None)), workers=1)
    empty = write_case(tmp_path, "c", [image], np.zeros_like(label))
    with pytest.raises(DatasetError, match="channel 0: no case"):
        measure_fingerprint(dataset_of(empty), workers=1)
    with pytest.raises(DatasetError, match="no training cases"):
        measure_fingerprint(dataset_of(), workers=1)


def first_cases(dataset: Dataset, count: int) -> tuple[Dataset, Fingerprint]:
    """The first cases of a data set and their fingerprint."""
    few = replace(dataset, cases=dataset.cases[:count])
    return few, measure_fingerprint(few, workers=1)


def test_real_cases_against_simpleitk(test_data: Path) -> None:
    dataset, measured = first_cases(read_dataset(test_data / "abdomen20"), 2)
    for case, found in zip(dataset.cases, measured.cases, strict=True):
        label = sitk.ReadImage(str(case.label), sitk.sitkUInt8)
        assert sorted(found.shape) == sorted(label.GetSize())
        assert sorted(found.spacing) == pytest.approx(sorted(label.GetSpacing()), rel=1e-6)
        for value, name in zip(dataset.labels.values[1:], dataset.labels.foreground, strict=True):
            components = sitk.ConnectedComponent(label == value, True)
            shape = sitk.LabelShapeStatisticsImageFilter()
            shape.Execute(components)
            sizes = sorted((shape.GetPhysicalSize(c) for c in shape.GetLabels()), reverse=True)
            assert found.classes[name].components_mm3 == pytest.approx(sizes, rel=1e-6)
            assert found.classes[name].volume_mm3 == pytest.approx(sum(sizes), rel=1e-6)


def test_real_organs_lie_on_their_sides(test_data: Path) -> None:
    _, measured = first_cases(read_dataset(test_data / "abdomen20"), 3)
    for case in measured.cases:
        places = {name: found.centroid_x for name, found in case.classes.items()}
        assert places["right kidney"] < 0.5 < places["left kidney"]
        assert places["liver"] < 0.5 < places["spleen"]


def test_sequences_on_grids_of_their_own_are_told_and_measured(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tissue = ndimage.zoom(rng.integers(0, 4, (4, 8, 8)), (3, 8, 8), order=0)
    label = np.zeros(tissue.shape, int)
    label[4:7, 20:30, 20:30] = 200
    still, moved = tissue[:, 2:58, 2:58], tissue[:, 4:60, 1:57]
    contrasts = (
        np.array(s)[t] + rng.normal(0, 3, t.shape) for s, t in (((10, 90, 40, 150), still), ((200, 50, 120, 20), moved))
    )
    case = write_case(tmp_path, "a", list(contrasts), label[:, 2:58, 2:58], spacing=(4.0, 1.0, 1.0))
    # the same voxels of the second channel, said to lie half a voxel further down, and in another axis order
    path = case.images[1]
    assert path is not None
    image = read_image(path)
    apart = replace(image.geometry, origin=(3.0, -6.5, 11.0))
    write_image(tmp_path / "apart.nii.gz", Image(image.array, apart))
    turned = Reorientation((2, 0, 1), (True, False, False))
    write_image(tmp_path / "turned.nii.gz", Image(turned.apply(image.array), turned.apply_to_geometry(image.geometry)))
    cases = [
        replace(case, name=name, images=(case.images[0], file))
        for name, file in (
            ("same", path),
            ("apart", tmp_path / "apart.nii.gz"),
            ("turned", tmp_path / "turned.nii.gz"),
            ("alone", None),
        )
    ]
    measured = measure_fingerprint(dataset_of(*cases, channels=2), workers=1)
    same, own, turned_too, alone = (found.displacements for found in measured.cases)
    assert alone == ()
    assert [(d.channel, d.reference, d.own_grid) for d in (*same, *own, *turned_too)] == [
        ("channel 1", "channel 0", False),
        ("channel 1", "channel 0", True),
        ("channel 1", "channel 0", False),
    ]
    assert same[0].mm == pytest.approx((0, -2, 1), abs=0.3)
    assert own[0].mm == pytest.approx((0, -1.5, 1), abs=0.3)
    assert turned_too[0].mm == pytest.approx((0, -2, 1), abs=0.3)
    path = tmp_path / "fingerprint.json"
    write_fingerprint(path, measured)
    assert read_fingerprint(path) == measured


def test_ignored_voxels_take_no_part_and_regions_are_measured(tmp_path: Path) -> None:
    image, label = image_and_label()
    regions = (
        {"name": "any", "values": (200, 500), "value": 200},
        {"name": "organ", "values": (500,), "value": 500},
    )
    labels = LABELS.changed(regions=regions, ignore=900)
    whole = measure_fingerprint(dataset_of(write_case(tmp_path, "a", [image], label)), workers=1)
    # voxels of another brightness all around, of which nobody knows what they are
    far = ~ndimage.binary_dilation(label > 0, np.ones((3, 3, 3)))
    label[far], image[far] = 900, 5000
    image[..., :5] = 0
    sparse = replace(dataset_of(write_case(tmp_path, "a", [image], label)), labels=labels)
    measured = measure_fingerprint(sparse, workers=1)
    assert measured.intensities == whole.intensities
    (of_case,), (before,) = measured.cases, whole.cases
    assert of_case.foreground == before.foreground
    assert of_case.classes["organ"] == before.classes["organ"]
    assert of_case.classes["any"].volume_mm3 == 3200 + 88
    assert of_case.classes["any"].components_mm3 == (3200, 64, 16, 8)
    # half of the largest lesion is not annotated, and the smallest touches such voxels over a corner
    label[2], label[8, 18, 31] = 900, 900
    sparse = replace(dataset_of(write_case(tmp_path, "a", [image], label)), labels=labels)
    (cut,) = measure_fingerprint(sparse, workers=1).cases
    assert cut.classes["any"].components_mm3 == (16,) and cut.classes["organ"].components_mm3 == ()
    assert cut.classes["any"].volume_mm3 == 3200 * 0.9 + 88 - 32
