"""Agreement of members, against the Dice of every two of them computed on the image's grid."""

from itertools import combinations

import numpy as np
import pytest
from scipy import ndimage

from autoseg.image.labels import LabelRegion, Labels
from autoseg.metrics import count_voxels
from inference.measurements import agreement as module
from inference.measurements.agreement import MARGIN_MM, MemberMap, class_agreement, lesion_agreement
from tests.example_record import example_geometry, example_record

SHAPE, LOWER, UPPER = (12, 40, 30), (1, 4, 2), (11, 34, 30)
GRID = example_geometry(SHAPE, (3.0, 1.0, 1.0))
CROP = tuple(slice(a, b) for a, b in zip(LOWER, UPPER, strict=True))
LABELS = Labels(values=(0, 1, 2, 3), names=("background", "a", "b", "never"))


def member(seed: int, step: int = 2) -> MemberMap:
    """Blobs of two classes on a grid that is `step` times as coarse in plane."""
    rng = np.random.default_rng(seed)
    common = np.random.default_rng(9).normal(size=(10, 30 // step, 28 // step))
    noise = ndimage.gaussian_filter(common + 0.5 * rng.normal(size=common.shape), 1)
    labels = np.digitize(noise / noise.std(), (0.8, 1.4)).astype(np.uint8)
    spacing = (3.0, float(step), float(step))
    record = example_record(GRID, crop_lower=LOWER, crop_upper=UPPER, spacing=spacing, shape=labels.shape)
    return MemberMap(f"3d_{seed}", labels, record)


def on_image(one: MemberMap) -> np.ndarray:
    """The map on the grid of the image, every voxel repeated."""
    step = int(one.record.spacing[1])
    whole = np.zeros(SHAPE, np.uint8)
    whole[CROP] = one.labels.repeat(step, axis=1).repeat(step, axis=2)
    return whole


def mean_dice(masks) -> float:
    dice = [count_voxels(a, b).dice for a, b in combinations(masks, 2)]
    return float(np.mean([value for value in dice if value is not None]))


@pytest.mark.parametrize("at_once", [1, 2**22])
@pytest.mark.parametrize("steps", [(2, 2, 2), (1, 2, 2)])
def test_of_a_class_it_is_the_mean_dice_of_every_two_members(monkeypatch, at_once, steps) -> None:
    monkeypatch.setattr(module, "_VOXELS_AT_ONCE", at_once)
    maps = [member(seed, step) for seed, step in enumerate(steps)]
    wholes = [on_image(one) for one in maps]
    for one, whole in zip(maps, wholes, strict=True):
        np.testing.assert_array_equal(one.whole(), whole)
    found = class_agreement(maps, LABELS)
    assert found[:2] == pytest.approx([mean_dice([whole == index for whole in wholes]) for index in (1, 2)])
    assert 0.05 < found[0] < 0.95
    assert found[2] is None, "no member marks it"


def test_a_region_is_agreed_on_as_a_whole() -> None:
    regions = (LabelRegion(name="all", values=(1, 2, 3), value=1), LabelRegion(name="core", values=(2,), value=2))
    labels = LABELS.changed(regions=regions)
    maps = [member(seed) for seed in range(3)]
    wholes = [on_image(one) for one in maps]
    expected = [mean_dice([whole > 0 for whole in wholes]), mean_dice([whole == 2 for whole in wholes])]
    assert class_agreement(maps, labels) == pytest.approx(expected)


def test_of_a_lesion_it_is_that_in_its_grown_box_without_other_lesions() -> None:
    maps = [member(seed) for seed in range(3)]
    wholes = [on_image(one) for one in maps]
    parts = np.zeros(SHAPE, np.uint16)
    parts[4:6, 10:14, 12:18], parts[4:6, 15:17, 12:18] = 1, 2
    box = (slice(4, 6), slice(10, 14), slice(12, 18))
    planes, rows = int(MARGIN_MM / 3), int(MARGIN_MM)
    inside = np.zeros(SHAPE, bool)
    inside[4 - planes : 6 + planes, 10 - rows : 14 + rows, 12 - rows : 18 + rows] = True
    inside &= parts != 2
    expected = mean_dice([(whole == 1) & inside for whole in wholes])
    assert lesion_agreement(maps, LABELS, 1, parts, 1, box) == pytest.approx(expected)
    # at the border of the crop the box ends
    inside = np.zeros(SHAPE, bool)
    inside[1 : 3 + planes, 4 : 12 + rows, 2:30] = True
    expected = mean_dice([(whole == 1) & inside for whole in wholes])
    touching = slice(1, 3), slice(4, 12), slice(2, 30)
    assert lesion_agreement(maps, LABELS, 1, parts * 0, 1, touching) == pytest.approx(expected)


def test_one_member_agrees_with_nobody() -> None:
    assert class_agreement([member(0)], LABELS) == [None, None, None]
    assert lesion_agreement([member(0)], LABELS, 1, np.ones(SHAPE, np.uint8), 1, CROP) is None
