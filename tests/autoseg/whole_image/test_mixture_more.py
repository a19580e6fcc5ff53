"""Probabilities of regions: from logits to files and back, and to label maps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from autoseg.image.labels import LabelRegion, Labels
from autoseg.whole_image.case_probabilities import LEVELS, CaseProbabilities, quantized
from autoseg.whole_image.export import export_labels, export_probabilities
from autoseg.whole_image.mixture import Mixture, most_probable, predicted_classes, region_mask
from autoseg.whole_image.out_of_fold import read_probabilities, write_probabilities
from autoseg.whole_image.patch_probabilities import mean_probabilities
from tests.autoseg.whole_image.probabilities import record

SHAPE = (8, 12, 14)
LABELS = Labels(
    values=(0, 3, 7),
    names=("background", "label 3", "label 7"),
    regions=(LabelRegion(name="whole", values=(3, 7), value=3), LabelRegion(name="core", values=(7,), value=7)),
)


def drawn(seed: int) -> np.ndarray:
    """Probabilities (2, z, y, x) of two regions, whose sum may exceed 1."""
    return np.random.default_rng(seed).random((2, *SHAPE)).astype(np.float16)


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.9])
def test_a_region_is_where_the_mean_exceeds_the_threshold(threshold: float) -> None:
    arrays = [drawn(0), drawn(1)]
    members = [CaseProbabilities(array, record(SHAPE), overlapping=True) for array in arrays]
    mean = (arrays[0].astype(np.float32) + arrays[1].astype(np.float32)) / 2
    for index in (1, 2):
        np.testing.assert_array_equal(region_mask(Mixture(members), index, threshold), mean[index - 1] > threshold)
    whole, core = mean > 0.5
    np.testing.assert_array_equal(LABELS.to_values(predicted_classes(members, LABELS)), np.where(core, 7, 3 * whole))


def test_regions_and_classes_are_not_averaged() -> None:
    array = drawn(0)
    with pytest.raises(ValueError, match="one number of classes"):
        Mixture([CaseProbabilities(array, record(SHAPE)), CaseProbabilities(array, record(SHAPE), overlapping=True)])
    with pytest.raises(AssertionError):
        most_probable([CaseProbabilities(array, record(SHAPE), overlapping=True)])


def test_they_come_back_in_8_bit(tmp_path: Path) -> None:
    write_probabilities(tmp_path, record(SHAPE), drawn(0), overlapping=True)
    read = read_probabilities(tmp_path, "a", overlapping=True)
    assert read.overlapping and np.abs(read.probabilities / LEVELS - drawn(0)).max() < 0.6 / LEVELS
    np.testing.assert_array_equal(read.probabilities, quantized(drawn(0), overlapping=True))


def test_each_regions_probability_is_exported_by_its_number() -> None:
    predicted = CaseProbabilities(drawn(0), record(SHAPE), overlapping=True)
    exported = dict(export_probabilities([predicted], LABELS))
    assert list(exported) == [1, 2]
    for number, image in exported.items():
        np.testing.assert_allclose(image.array[0], drawn(0)[number - 1], atol=1e-6)
    whole, core = drawn(0) > 0.5
    np.testing.assert_array_equal(export_labels(drawn(0), record(SHAPE), LABELS).array[0], np.where(core, 7, 3 * whole))


def test_outputs_are_averaged_after_the_sigmoid() -> None:
    logits = torch.randn((2, 2, 2, 3, 4, 5), generator=torch.Generator().manual_seed(0))
    networks = [_Fixed(one) for one in logits]
    found = mean_probabilities(networks, torch.zeros((2, 1, 3, 4, 5)), overlapping=True)
    torch.testing.assert_close(found, torch.sigmoid(logits).mean(0))


class _Fixed(torch.nn.Module):
    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.logits
