"""Checks whether an image is far thinner than the training cases, above all whether it is a single slice.

A 3D network that learned from volumes finds nothing in a single slice, or anything at all, and nobody would see why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.dataset.load import LoadedCase
from autoseg.errors import ImageError
from autoseg.number_text import number_text, range_text
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan

# Images are cropped to an organ, or show a part of what was trained; narrower limits would warn about many of them.
FAR_THINNER = 4.0
_AXES = "zyx"


def require_learned_slices(
    loaded: LoadedCase, plan: Plan, fingerprint: Fingerprint, configurations: Sequence[Configuration]
) -> None:
    """Refuse a single slice where every network learned from volumes.

    A 2D network across the same axis sees a slice as in training, and so one of them suffices.

    Args:
        loaded: image of the case.
        plan: plan of the run, whose 2D configurations are named as a cure.
        fingerprint: properties of the training cases.
        configurations: configurations that predict the image.

    Raises:
        ImageError: the image is a single slice along an axis along which no training case is.
    """
    for axis in _single_slice_axes(loaded, fingerprint):
        if any(one.slice_axis == axis for one in configurations):
            continue
        flat = [name for name, one in plan.configurations.items() if one.slice_axis == axis and not one.neighbours]
        cure = "give the whole volume"
        if flat:
            cure += f", or predict with --config {flat[0]}, which sees single slices (`autoseg train` trains it)"
        raise ImageError(f"{_one_slice(axis, fingerprint)}; {cure}")


def unusual_thickness(loaded: LoadedCase, fingerprint: Fingerprint, configuration: Configuration) -> list[str]:
    """A sentence for each axis along which an image is far thinner than the training cases.

    Args:
        loaded: image of the case.
        fingerprint: properties of the training cases.
        configuration: a 2D one without neighbours sees slices alone, so that their number does not matter to it.
    """
    seen_alone = None if configuration.neighbours else configuration.slice_axis
    single = set(_single_slice_axes(loaded, fingerprint))
    found = []
    for axis in sorted({0, 1, 2} - {seen_alone}):
        voxels, spacing = loaded.geometry.shape[axis], loaded.geometry.spacing[axis]
        trained = np.array([case.shape[axis] * case.spacing[axis] for case in fingerprint.cases])
        if axis in single:
            found.append(_one_slice(axis, fingerprint))
        elif voxels * spacing * FAR_THINNER < trained.min():
            found.append(
                f"along {_AXES[axis]} it has {number_text(voxels * spacing, 3)} mm ({voxels} voxels), in training "
                f"{range_text(trained.min(), trained.max(), 3)} mm"
            )
    return found


def _single_slice_axes(loaded: LoadedCase, fingerprint: Fingerprint) -> Iterator[int]:
    """Axes (0 = z, 1 = y, 2 = x) along which the image is one voxel, and no training case is."""
    for axis, voxels in enumerate(loaded.geometry.shape):
        if voxels == 1 and all(case.shape[axis] > 1 for case in fingerprint.cases):
            yield axis


def _one_slice(axis: int, fingerprint: Fingerprint) -> str:
    trained = [case.shape[axis] for case in fingerprint.cases]
    return (
        f"it has one slice along {_AXES[axis]}, and the models learned from volumes of "
        f"{range_text(min(trained), max(trained))} slices"
    )
