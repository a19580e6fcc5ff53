"""Annotations that are thinner than the plan's voxels are told, or the case is refused where none is left."""

import numpy as np
import pytest

from autoseg.errors import DatasetError
from autoseg.image.labels import Labels
from autoseg.preprocessing.annotated_share import annotated_share, note_on_lost
from autoseg.preprocessing.resample import resample_label

LABELS = Labels(values=(0, 1), names=("background", "lesion"), ignore=2)
SPACING, COARSE = (1.0, 1.0, 1.0), (1.0, 3.0, 3.0)


def resampled(label: np.ndarray) -> tuple[float, float]:
    """Annotated share before and after resampling to voxels three times as large in the plane."""
    after = resample_label(label, SPACING, (6, 8, 8), COARSE)
    return annotated_share(label, LABELS), annotated_share(after, LABELS)


def test_strokes_of_one_voxel_are_lost_in_voxels_of_three() -> None:
    label = np.full((6, 24, 24), LABELS.ignored, np.uint8)
    label[:, 12, 4:20], label[:, 6, 4:20] = 1, 0
    before, after = resampled(label)
    assert (before, after) == (32 / 576, 0.0)
    with pytest.raises(
        DatasetError, match=r"^a: 5\.56% of its voxels are annotated, and at .* none: what is annotated is"
    ):
        note_on_lost("a", before, after, COARSE)


def test_what_is_left_of_strokes_and_a_slab_is_told_with_its_size() -> None:
    label = np.full((6, 24, 24), LABELS.ignored, np.uint8)
    label[:, ::6], label[:, :3, :3] = 0, 1
    before, after = resampled(label)
    assert 0 < after < 0.5 * before
    (told,) = note_on_lost("a", before, after, COARSE)
    assert f"{before:.2%} of its voxels are annotated" in told and f"{after:.2%}: annotated parts" in told


def test_whole_slices_lose_nothing() -> None:
    label = np.zeros((6, 24, 24), np.uint8)
    label[::2] = LABELS.ignored
    assert resampled(label) == (0.5, 0.5) and note_on_lost("a", 0.5, 0.5, COARSE) == ()
    plain = Labels(values=(0, 1), names=("background", "lesion"))
    assert annotated_share(np.zeros((2, 2, 2), np.uint8), plain) == 1.0
