"""Aligns the sequences of a case where the patient moved between them: a rigid registration for each.

In: a loaded case, whose sequences lie on one grid. Out: the case with its sequences moved onto one of them, the one
that the label was drawn on. The metric is mutual information (Mattes et al., IEEE Trans Med Imaging 2003;22:120-128),
which holds between any two contrasts; what it finds is refined on edges. The result is kept only where the edges of the
two images then correspond better than before, so that a registration that goes astray changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from autoseg.dataset.load import LoadedCase
from autoseg.image.geometry import Spacing
from autoseg.plan.plan import Plan
from autoseg.preprocessing.edge_refinement import Rigid, matrix_of, refine
from autoseg.preprocessing.sequence_displacement import LEAST_CORRELATION, displacements, edge_correlation

LEAST_GAIN = 0.01
"""The correlation of the edges must grow by so much for a registration to be kept."""

FARTHEST_MM, FARTHEST_DEGREES = 30.0, 20.0
"""A patient who moved farther is imaged anew; such a result is a registration gone astray."""

UNMOVED: Rigid = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

_BINS = 32
_SEED = 1
_PYRAMID_MM = (6.0, 3.0, 1.5)
_SAMPLED = 200_000
_STEPS = 60


@dataclass(frozen=True)
class Movement:
    """A rigid movement of an image against a reference.

    Args:
        mm: translation along the axes (z, y, x) in mm of the image's centre.
        degrees: rotation about the axes (z, y, x) in degrees.
        before: correlation of the edges before it is undone, -1 to 1.
        after: the same after it is undone.
    """

    mm: Spacing
    degrees: Spacing
    before: float
    after: float

    @property
    def is_kept(self) -> bool:
        """Whether undoing it makes the edges correspond better."""
        plausible = math.hypot(*self.mm) <= FARTHEST_MM and max(map(abs, self.degrees)) <= FARTHEST_DEGREES
        return plausible and self.after >= max(LEAST_CORRELATION, self.before + LEAST_GAIN)

    def __str__(self) -> str:
        return f"{math.hypot(*self.mm):.1f} mm and {max(map(abs, self.degrees)):.1f}°"


def aligned_as_planned(loaded: LoadedCase, plan: Plan) -> LoadedCase:
    """Return a case as its plan wants it: with its sequences aligned, or as they lie."""
    if plan.align is None or sum(loaded.present) < 2:
        return loaded
    return align_case(loaded, [channel.name for channel in plan.channels], plan.align)


def align_case(loaded: LoadedCase, channels: Sequence[str], onto: str) -> LoadedCase:
    """Move every sequence of a case onto one of them.

    Args:
        loaded: case with all channels (channel, z, y, x) on one grid.
        channels: names of the channels.
        onto: name of the sequence that stays; the first one of the case where it is `first`, or the case lacks it.

    Returns:
        The case, with a warning for each sequence that says how it was moved, or that it was left as it is.
    """
    there = [i for i, present in enumerate(loaded.present) if present]
    fixed = channels.index(onto) if onto in channels and loaded.present[channels.index(onto)] else there[0]
    image, told = loaded.image.copy(), []
    for i in there:
        if i == fixed:
            continue
        moved, movement = align(loaded.image[fixed], loaded.image[i], loaded.geometry.spacing)
        pair = f"{channels[i]} onto {channels[fixed]}"
        if movement.is_kept:
            image[i] = moved
            told.append(f"{pair}: moved by {movement}")
        else:
            told.append(f"{pair}: left as it is, since its edges do not fit better when it is moved by {movement}")
    return replace(loaded, image=image, warnings=(*loaded.warnings, *told))


def align(
    fixed: NDArray[np.float32], moving: NDArray[np.float32], spacing: Spacing
) -> tuple[NDArray[np.float32], Movement]:
    """Find the rigid movement of one image against another, and undo it.

    One thread computes, and the sampling is seeded: the result is repeatable.

    Args:
        fixed: image (z, y, x) that stays.
        moving: image (z, y, x) on the same grid.
        spacing: spacing (z, y, x) in mm.

    Returns:
        The second image moved onto the first, with zeros where it shows nothing; and its movement.
    """
    still, other = (_as_image(array, spacing) for array in (fixed, moving))
    coarse = _registered(still, other, displacements(fixed, [moving], spacing)[0])
    rigid = refine(fixed, moving, spacing, [_as_rigid(coarse), UNMOVED])
    moved = sitk.GetArrayFromImage(sitk.Resample(other, still, _as_transform(rigid), sitk.sitkLinear, 0.0))
    movement = Movement(
        mm=rigid[:3],
        degrees=rigid[3:],
        before=edge_correlation(fixed, moving, spacing),
        after=edge_correlation(fixed, moved, spacing),
    )
    return moved, movement


def _as_rigid(transform: sitk.Euler3DTransform) -> Rigid:
    z, y, x = transform.GetTranslation()[::-1]
    matrix = np.asarray(transform.GetMatrix()).reshape(3, 3)
    turned = np.degrees(Rotation.from_matrix(matrix).as_rotvec())[::-1]
    return z, y, x, float(turned[0]), float(turned[1]), float(turned[2])


def _as_transform(rigid: Rigid) -> sitk.AffineTransform:
    transform = sitk.AffineTransform(3)
    transform.SetTranslation(rigid[2::-1])
    transform.SetMatrix(matrix_of(rigid[3:]).ravel().tolist())
    return transform


def _as_image(array: NDArray[np.float32], spacing: Spacing) -> sitk.Image:
    """The array with its centre at the origin; positions are in mm along its axes."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(spacing[::-1])
    image.SetOrigin([-0.5 * (n - 1) * s for n, s in zip(array.shape[::-1], spacing[::-1], strict=True)])
    return image


def _registered(fixed: sitk.Image, moving: sitk.Image, start: Spacing | None) -> sitk.Euler3DTransform:
    """The transform from points of `fixed` to those of `moving`, by mutual information, from coarse voxels to fine."""
    transform = sitk.Euler3DTransform()
    if start is not None:
        transform.SetTranslation([float(v) for v in start[::-1]])
    registration = sitk.ImageRegistrationMethod()
    registration.SetNumberOfWorkUnits(1)
    registration.SetMetricAsMattesMutualInformation(_BINS)
    registration.SetMetricSamplingStrategy(registration.REGULAR)
    registration.SetInterpolator(sitk.sitkLinear)
    registration.SetOptimizerScalesFromPhysicalShift()
    registration.SetInitialTransform(transform, inPlace=True)
    for voxel_mm in _PYRAMID_MM:
        # each axis by itself: the slices of most MR are thicker than any of these voxels
        coarse = [_coarse(image, voxel_mm) for image in (fixed, moving)]
        registration.SetMetricSamplingPercentage(min(1.0, _SAMPLED / coarse[0].GetNumberOfPixels()), _SEED)
        registration.SetOptimizerAsRegularStepGradientDescent(
            0.3 * voxel_mm, 0.01, _STEPS, gradientMagnitudeTolerance=1e-6
        )
        registration.Execute(*coarse)
    return transform


def _coarse(image: sitk.Image, voxel_mm: float) -> sitk.Image:
    """The image averaged over blocks of about this size; axes with larger voxels stay as they are."""
    factors = [min(n, max(1, round(voxel_mm / s))) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    return sitk.BinShrink(image, factors) if max(factors) > 1 else image
