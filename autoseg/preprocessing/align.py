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

from autoseg.dataset.case import Case
from autoseg.dataset.load import LoadedCase
from autoseg.image.geometry import Spacing
from autoseg.plan.plan import FIRST, Plan
from autoseg.preprocessing.edge_refinement import UNMOVED, Rigid, matrix_of, refine
from autoseg.preprocessing.sequence_displacement import LEAST_CORRELATION, displacements, edge_correlation
from autoseg.preprocessing.sequence_movement import FARTHEST_DEGREES, FARTHEST_MM, LEAST_BEYOND_CHANCE, THINNEST

LEAST_GAIN = 0.01
"""The correlation of the edges must grow by so much for a registration to be kept."""

LEAST_VOXELS = 0.25
"""A corner of the image must move by so many voxels, or interpolation would blur the image for nothing."""

BYTES_PER_VOXEL = 16
"""Memory for each voxel of an image, beside the case: both images of a pair in ITK, the moved one, the copy."""

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
        degrees: rotation vector (z, y, x) in degrees.
        corner_voxels: largest movement of a corner of the image along an axis, in voxels.
        before: correlation of the edges before it is undone, -1 to 1.
        after: the same after it is undone.
        of_all: correlation of all edges that both images show, after it is undone.
        beyond_chance: `after` on a scale on which chance is 0 and equal edges are 1.
    """

    mm: Spacing
    degrees: Spacing
    corner_voxels: float
    before: float
    after: float
    of_all: float
    beyond_chance: float

    @property
    def is_kept(self) -> bool:
        """Whether undoing it makes the edges correspond better."""
        plausible = math.hypot(*self.mm) <= FARTHEST_MM and math.hypot(*self.degrees) <= FARTHEST_DEGREES
        better = self.after >= self.before + LEAST_GAIN and self.of_all >= LEAST_CORRELATION
        better = better and self.beyond_chance >= LEAST_BEYOND_CHANCE
        return plausible and better and self.corner_voxels >= LEAST_VOXELS

    def __str__(self) -> str:
        return f"{math.hypot(*self.mm):.1f} mm and {math.hypot(*self.degrees):.1f}°"


def aligned_as_planned(loaded: LoadedCase, plan: Plan, case: Case) -> LoadedCase:
    """Return a case as its plan wants it: with its sequences aligned, or as they lie.

    Args:
        loaded: case with all channels (channel, z, y, x) on one grid.
        plan: plan that says whether they are aligned, and onto which sequence where the case does not say.
        case: its name, and the sequence that its label was drawn on.
    """
    if plan.align is None:
        return loaded
    return align_case(loaded, [channel.name for channel in plan.channels], case.drawn_on or plan.align, case.name)


def align_case(loaded: LoadedCase, channels: Sequence[str], onto: str, case: str) -> LoadedCase:
    """Move every sequence of a case onto one of them.

    Args:
        loaded: case with all channels (channel, z, y, x) on one grid.
        channels: names of the channels.
        onto: name of the sequence that stays; the first one of the case where it is `first`, or the case lacks it.
        case: name of the case, for its warnings.

    Returns:
        The case, with a warning for each sequence that says how it was moved, or that it was left as it is.
    """
    there = [i for i, present in enumerate(loaded.present) if present]
    fixed, told = there[0], []
    if onto != FIRST and loaded.present[channels.index(onto)]:
        fixed = channels.index(onto)
    elif onto != FIRST:
        others = f"the others are aligned onto {channels[fixed]}" if len(there) > 1 else "nothing is aligned"
        told.append(f"lacks {onto}, onto which its sequences would be aligned: {others}")
    image = loaded.image.copy() if len(there) > 1 else loaded.image
    for i in there:
        if i != fixed:
            moved, movement = align(loaded.image[fixed], loaded.image[i], loaded.geometry.spacing)
            if movement is not None and movement.is_kept:
                image[i] = moved
            told.append(_told(f"{channels[i]} onto {channels[fixed]}", movement))
    return replace(loaded, image=image, warnings=(*loaded.warnings, *(f"{case}: {text}" for text in told)))


def _told(pair: str, movement: Movement | None) -> str:
    if movement is None:
        return f"{pair}: left as it is; an image without edges or of few slices cannot be aligned"
    if movement.is_kept:
        return f"{pair}: moved by {movement}"
    if movement.corner_voxels < LEAST_VOXELS:
        return f"{pair}: left as it is, it lies right to {LEAST_VOXELS:g} of a voxel"
    return f"{pair}: left as it is, since its edges do not fit better when it is moved by {movement}"


def align(
    fixed: NDArray[np.float32], moving: NDArray[np.float32], spacing: Spacing
) -> tuple[NDArray[np.float32], Movement | None]:
    """Find the rigid movement of one image against another, and undo it.

    One thread computes, and the sampling is seeded: the result is repeatable.

    Args:
        fixed: image (z, y, x) that stays.
        moving: image (z, y, x) on the same grid.
        spacing: spacing (z, y, x) in mm.

    Returns:
        The second image moved onto the first, and its movement. Where it shows nothing it has its own smallest value if
        that is negative, as in a CT, and else 0. The movement is None where the images are too thin or have no edges.
    """
    if min(fixed.shape) < THINNEST or np.ptp(fixed) == 0 or np.ptp(moving) == 0:
        return moving, None
    still, other = (_as_image(array, spacing) for array in (fixed, moving))
    start = displacements(fixed, [moving], spacing)[0]
    refined = refine(fixed, moving, spacing, [_registered(still, other, start), UNMOVED])
    resampling = sitk.ResampleImageFilter()
    resampling.SetReferenceImage(still)
    resampling.SetTransform(_as_transform(refined.rigid))
    resampling.SetInterpolator(sitk.sitkLinear)
    resampling.SetDefaultPixelValue(min(0.0, float(moving.min())))
    resampling.SetNumberOfWorkUnits(1)
    moved = sitk.GetArrayFromImage(resampling.Execute(other))
    movement = Movement(
        mm=refined.rigid[:3],
        degrees=refined.rigid[3:],
        corner_voxels=_corner_voxels(refined.rigid, fixed.shape, spacing),
        before=refined.before,
        after=refined.after,
        of_all=edge_correlation(fixed, moved, spacing),
        beyond_chance=refined.beyond_chance,
    )
    return moved, movement


def _corner_voxels(rigid: Rigid, shape: tuple[int, ...], spacing: Spacing) -> float:
    extent = 0.5 * (np.asarray(shape) - 1) * spacing
    corners = np.array(np.meshgrid(*((-e, e) for e in extent), indexing="ij")).reshape(3, -1).T
    moved = (corners[:, ::-1] @ matrix_of(rigid[3:]).T)[:, ::-1] + np.asarray(rigid[:3])
    return float(np.abs((moved - corners) / spacing).max())


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


def _registered(fixed: sitk.Image, moving: sitk.Image, start: Spacing | None) -> Rigid:
    """The transform from points of `fixed` to those of `moving`, by mutual information, from coarse voxels to fine.

    It is the start where ITK gives up, as it does where the images come to overlap too little.
    """
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
        share = min(1.0, _SAMPLED / coarse[0].GetNumberOfPixels())
        registration.SetMetricSamplingPercentage(share, _SEED)
        registration.SetOptimizerAsRegularStepGradientDescent(
            0.3 * voxel_mm, 0.01, _STEPS, gradientMagnitudeTolerance=1e-6
        )
        try:
            registration.Execute(*coarse)
        except RuntimeError:
            return UNMOVED if start is None else (*start, 0.0, 0.0, 0.0)
    return _as_rigid(transform)


def _as_rigid(transform: sitk.Euler3DTransform) -> Rigid:
    z, y, x = transform.GetTranslation()[::-1]
    matrix = np.asarray(transform.GetMatrix()).reshape(3, 3)
    turned = np.degrees(Rotation.from_matrix(matrix).as_rotvec())[::-1]
    return z, y, x, float(turned[0]), float(turned[1]), float(turned[2])


def _coarse(image: sitk.Image, voxel_mm: float) -> sitk.Image:
    """The image averaged over blocks of about this size; axes with larger voxels stay as they are."""
    factors = [
        max(1, min(n // THINNEST, round(voxel_mm / s)))
        for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)
    ]
    if max(factors) == 1:
        return image
    shrinking = sitk.BinShrinkImageFilter()
    shrinking.SetShrinkFactors(factors)
    shrinking.SetNumberOfWorkUnits(1)
    return shrinking.Execute(image)
