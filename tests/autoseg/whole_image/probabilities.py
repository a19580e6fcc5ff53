"""Probabilities of whole images, drawn from a seed, and the records that lead them back to a stored image."""

import numpy as np
from scipy import ndimage

from autoseg.image.geometry import Geometry, Shape, Spacing
from autoseg.image.labels import Labels
from autoseg.run_folder.preprocessed_case import CaseRecord
from tests.example_record import STRAIGHT, example_record

LABELS = Labels(values=(0, 200, 600), names=("background", "body", "lesion"))


def record(
    stored_shape: Shape = (7, 9, 11),
    spacing: Spacing = (1.0, 1.0, 1.0),
    *,
    stored_spacing: Spacing = (1.0, 1.0, 1.0),
    **changes: object,
) -> CaseRecord:
    """The record of case `a`, which is stored away from the origin."""
    stored = Geometry(stored_shape, stored_spacing, (3.0, -4.0, 5.0), STRAIGHT)
    return example_record(stored, case="a", spacing=spacing, **changes)


def random_probabilities(shape: Shape, count: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth probabilities (count, *shape), in most places of one class almost alone."""
    smooth = [ndimage.gaussian_filter(layer, 1.5) for layer in np.random.default_rng(seed).random((count, *shape))]
    exponential = np.exp(40 * np.asarray(smooth))
    return exponential / exponential.sum(axis=0)
