"""Export of probabilities: exact placement in all orientations, scipy's interpolation, argmax, values."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy import ndimage

from autoseg.image.geometry import Reorientation
from autoseg.image.labels import Labels
from autoseg.whole_image.case_probabilities import CaseProbabilities
from autoseg.whole_image.export import export_labels, export_probabilities
from tests.autoseg.whole_image.probabilities import LABELS, random_probabilities, record

ORIENTATIONS = [
    Reorientation(permutation, flips)
    for permutation in permutations(range(3))
    for flips in product((False, True), repeat=3)
]


def one_hot(classes: np.ndarray, count: int = 3) -> np.ndarray:
    return np.stack([classes == k for k in range(count)]).astype(np.float16)


@pytest.mark.parametrize("reorientation", ORIENTATIONS, ids=str)
def test_every_orientation_is_undone(reorientation: Reorientation) -> None:
    stored = np.random.default_rng(1).integers(0, 3, (7, 9, 11)).astype(np.uint8)
    # independent of Reorientation: voxel by voxel in world coordinates
    case = record((7, 9, 11), reorientation=reorientation)
    reoriented = case.reoriented
    index = np.stack(np.meshgrid(*map(np.arange, reoriented.shape), indexing="ij"), axis=-1)
    there = np.rint(case.stored.to_index(reoriented.to_world(index))).astype(int)
    turned = stored[tuple(np.moveaxis(there, -1, 0))]
    image = export_labels(one_hot(turned), case, LABELS)
    np.testing.assert_array_equal(image.array[0], np.array([0, 200, 600])[stored])
    assert image.geometry == case.stored


def test_outside_the_crop_is_background() -> None:
    case = record((7, 9, 11), crop_lower=(2, 3, 1), crop_upper=(5, 9, 4))
    inside = np.random.default_rng(1).integers(1, 3, (3, 6, 3)).astype(np.uint8)
    array = export_labels(one_hot(inside), case, LABELS).array[0]
    np.testing.assert_array_equal(array[2:5, 3:9, 1:4], np.array([0, 200, 600])[inside])
    array[2:5, 3:9, 1:4] = 0
    assert not array.any()


@pytest.mark.parametrize("count", [2, 3, 12])
@pytest.mark.parametrize("shape", [(14, 15, 10), (20, 30, 40)])
def test_labels_are_the_argmax_of_linearly_interpolated_probabilities(count: int, shape) -> None:
    case = record((20, 30, 33), (1.5, 2.0, 3.0), shape=shape)
    probabilities = random_probabilities(shape, count)
    labels = Labels(values=tuple(range(count)), names=tuple(map(str, range(count))))
    zoom = [n / o for n, o in zip((20, 30, 33), shape, strict=True)]
    interpolated = [ndimage.zoom(p, zoom, order=1, mode="nearest", grid_mode=True) for p in probabilities]
    top = np.sort(interpolated, axis=0)
    clear = top[-1] - top[-2] > 1e-5
    assert clear.mean() > 0.99
    array = export_labels(probabilities.astype(np.float32), case, labels).array[0]
    np.testing.assert_array_equal(array[clear], np.argmax(interpolated, axis=0)[clear])


def test_half_precision_changes_only_ties() -> None:
    case = record((20, 30, 33), (2.0, 2.0, 2.0), shape=(10, 15, 16))
    probabilities = random_probabilities((10, 15, 16))
    half = export_labels(probabilities.astype(np.float16), case, LABELS).array
    full = export_labels(probabilities.astype(np.float32), case, LABELS).array
    assert (half != full).mean() < 1e-3


def test_an_anisotropic_axis_is_taken_from_the_nearest_plane() -> None:
    """As nnU-Net: linear in plane, nearest along an axis more than three times as coarse."""
    case = record((12, 20, 20), (4.0, 1.2, 1.2), stored_spacing=(2.0, 1.0, 1.0), shape=(6, 17, 17))
    probabilities = random_probabilities((6, 17, 17))
    in_plane = [
        ndimage.zoom(np.repeat(p, 2, axis=0), (1, 20 / 17, 20 / 17), order=1, mode="nearest", grid_mode=True)
        for p in probabilities
    ]
    array = export_labels(probabilities, case, LABELS).array[0]
    assert (array == np.array(LABELS.values)[np.argmax(in_plane, axis=0)]).mean() > 0.999


def test_probabilities_are_exported_class_by_class() -> None:
    case = record((20, 30, 33), (1.5, 2.0, 3.0), crop_lower=(2, 0, 3), crop_upper=(20, 30, 31), shape=(12, 15, 9))
    probabilities = random_probabilities((12, 15, 9)).astype(np.float16)
    exported = dict(export_probabilities([CaseProbabilities(probabilities, case)], LABELS))
    assert list(exported) == [0, 200, 600]
    expected = ndimage.zoom(
        probabilities[2].astype(float), (18 / 12, 30 / 15, 28 / 9), order=1, mode="nearest", grid_mode=True
    )
    np.testing.assert_allclose(exported[600].array[0, 2:20, :, 3:31], expected, atol=1e-6)
    np.testing.assert_allclose(sum(image.array for image in exported.values()), 1, atol=2e-3)
    assert exported[0].array[0, 0, 0, 0] == 1 and exported[600].array[0, 0, 0, 0] == 0
    assert exported[0].geometry == case.stored
