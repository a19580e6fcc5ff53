"""Augment one training patch with batchgenerators' transforms, with nnU-Net's probabilities, ranges and order.

In: a place in a case and two random generators. Out: image (C, z, y, x) float32 and label (z, y, x) uint8, as
`augmentation.py` returns them. batchgenerators (Isensee et al., doi:10.5281/zenodo.3632567) draws from the global
generators of numpy and Python. Here they are seeded by the patch's own generators, and put back afterwards. So a patch
depends on nothing but its own seed, and nothing outside it is changed.

Probabilities and ranges are those of nnU-Net 2.8.1, and so is the interpolation: linear for images, for each label
apart, and back from a low resolution. The plan gives rotation, scaling and mirrored axes, and which axes are resampled.
Three things differ from autoseg's own transforms: rotation acts in voxels, not in mm; a patch turns about its middle,
not about the foreground voxel that was drawn; and a zoom is as often below 1 as above it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from batchgenerators.transforms.color_transforms import (
    BrightnessMultiplicativeTransform,
    ContrastAugmentationTransform,
    GammaTransform,
)
from batchgenerators.transforms.noise_transforms import GaussianBlurTransform, GaussianNoiseTransform
from batchgenerators.transforms.resample_transforms import SimulateLowResolutionTransform
from batchgenerators.transforms.spatial_transforms import MirrorTransform, SpatialTransform
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Training
from autoseg.plan.network_input import NO_HALO
from autoseg.run_folder.preprocessed_case import CaseRecord
from trainer.data.contrast import apply_contrast, draw_contrast
from trainer.data.intensity import (
    BLUR,
    BRIGHTNESS,
    CHANNEL,
    CONTRAST,
    GAMMA,
    INVERTED_GAMMA,
    LOW_RESOLUTION,
    NOISE,
)
from trainer.data.sampling import Place
from trainer.data.spatial import (
    IDENTITY,
    ROTATION_PROBABILITY,
    SCALING_PROBABILITY,
    ReadRegion,
    cut_patch,
    resampled_axes,
)

Seed = NDArray[np.uint32]
AXES = (0, 1, 2)
WORDS = 4
"""Number of 32-bit words that seed the global generators."""


def batchgenerators_patch(
    read: ReadRegion,
    record: CaseRecord,
    place: Place,
    patch_size: Shape,
    training: Training,
    rngs: tuple[np.random.Generator, np.random.Generator],
    *,
    halo: Shape = NO_HALO,
    present: tuple[bool, ...] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Draw and apply every transform to one patch: image (C, z, y, x) and label (z, y, x).

    Arguments are those of `augmentation.augmented_patch`, and what it says of absent channels and of neighbouring
    slices holds here too.
    """
    for_space, for_intensity = rngs
    axes = resampled_axes(training.rotation, patch_size)
    there = np.flatnonzero(record.present if present is None else present)
    turning, drawing, flipping = draw_seed(for_space), draw_seed(for_intensity), draw_seed(for_space)
    # in the same order of additions wherever it is computed
    with global_generators_kept(), _libraries().limit(limits=1, user_api="blas"):
        image, label = _cut(read, record, place, patch_size, training, axes, halo, turning)
        seed_global_generators(drawing)
        changed = image[None, there]
        for transform in intensity_transforms(axes, apart=next((axis for axis in AXES if halo[axis]), None)):
            changed = transform(data=changed)["data"]
        image[there] = changed[0]
        apply_contrast(image, draw_contrast(for_intensity, there.tolist(), training.contrast_maps))
        if training.mirror:
            seed_global_generators(flipping)
            flipped = MirrorTransform(training.mirror)(data=image[None], seg=label[None, None])
            image, label = flipped["data"][0], flipped["seg"][0, 0]
    return image, label


@cache
def _libraries() -> ThreadpoolController:
    """The thread pools of this process; finding them takes milliseconds, which is too long for every patch."""
    return ThreadpoolController()


def draw_seed(rng: np.random.Generator) -> Seed:
    """Draw a seed for the global generators."""
    return rng.integers(0, 2**32, WORDS, dtype=np.uint32)


def seed_global_generators(seed: Seed) -> None:
    """Seed the global generators of numpy and of Python."""
    np.random.seed(seed)
    random.seed(seed.tobytes())


@contextmanager
def global_generators_kept() -> Iterator[None]:
    """Context manager that puts the global generators of numpy and Python back as they were, also after an error."""
    of_numpy, of_python = np.random.get_state(legacy=False), random.getstate()
    try:
        yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)


def spatial_transform(training: Training, size: tuple[int, ...], axes: tuple[int, ...]) -> SpatialTransform:
    """The rotation and scaling of a patch of `size` voxels along `axes` (two or three).

    batchgenerators scales coordinates, and the plan says how much larger structures appear: one is the inverse of the
    other. An angle is about an axis; in two dimensions it is the axis across them.
    """
    about = axes if len(axes) == 3 else tuple(axis for axis in AXES if axis not in axes)
    limits = [float(np.deg2rad(training.rotation[axis])) for axis in about]
    angles = {name: (-limit, limit) for name, limit in zip(("angle_x", "angle_y", "angle_z"), limits, strict=False)}
    smallest, largest = training.scaling
    return SpatialTransform(
        size,
        patch_center_dist_from_border=None,
        random_crop=False,
        do_elastic_deform=False,
        **angles,
        p_rot_per_sample=ROTATION_PROBABILITY,
        scale=(1 / largest, 1 / smallest),
        p_scale_per_sample=SCALING_PROBABILITY,
        border_mode_data="constant",
        border_cval_data=0,
        order_data=1,
        border_mode_seg="constant",
        border_cval_seg=0,
        order_seg=1,
    )


def intensity_transforms(axes: tuple[int, ...], apart: int | None = None) -> list[Any]:
    """The transforms of the intensities, in nnU-Net's order.

    Args:
        axes: array axes (0 = z, 1 = y, 2 = x) along which the resolution may be lowered.
        apart: axis whose slices are blurred one by one, because they become channels; None = none.
    """
    blur = GaussianBlurTransform(
        (0.5, 1.0), True, different_sigma_per_axis=True, p_per_channel=CHANNEL, p_per_sample=BLUR
    )
    return [
        GaussianNoiseTransform((0, 0.1), p_per_sample=NOISE),
        blur if apart is None else _SliceBySlice(blur, apart),
        BrightnessMultiplicativeTransform((0.75, 1.25), p_per_sample=BRIGHTNESS),
        ContrastAugmentationTransform((0.75, 1.25), p_per_sample=CONTRAST),
        SimulateLowResolutionTransform(
            (0.5, 1),
            per_channel=True,
            p_per_channel=CHANNEL,
            order_downsample=0,
            order_upsample=1,
            p_per_sample=LOW_RESOLUTION,
            ignore_axes=tuple(axis for axis in AXES if axis not in axes),
        ),
        GammaTransform((0.7, 1.5), True, True, retain_stats=True, p_per_sample=INVERTED_GAMMA),
        GammaTransform((0.7, 1.5), False, True, retain_stats=True, p_per_sample=GAMMA),
    ]


class _SliceBySlice:
    """A transform that changes every slice along an axis with the same draws, so that nothing is mixed across them."""

    def __init__(self, transform: Any, axis: int) -> None:
        self._transform, self._axis = transform, axis

    def __call__(self, data: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        seed = np.random.randint(0, 2**32, WORDS, dtype=np.uint32)
        for one in np.moveaxis(data, 2 + self._axis, 0):
            seed_global_generators(seed)
            one[:] = self._transform(data=one.copy())["data"]
        return {"data": data}


def _cut(
    read: ReadRegion,
    record: CaseRecord,
    place: Place,
    patch_size: Shape,
    training: Training,
    axes: tuple[int, ...],
    halo: Shape,
    seed: Seed,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The image of the patch with its halo, and the label without halo, rotated and scaled as the seed draws it.

    A patch of a single line is not transformed: there is nothing to turn.
    """
    reach = dict.fromkeys(AXES, 0)
    if len(axes) > 1:
        reach |= dict(zip(axes, _reach(training, patch_size, axes, seed), strict=True))
    z, y, x = (halo[axis] + reach[axis] for axis in AXES)
    lower = (place.lower[0] - z, place.lower[1] - y, place.lower[2] - x)
    size = (patch_size[0] + 2 * z, patch_size[1] + 2 * y, patch_size[2] + 2 * x)
    image, label = cut_patch(read, record.shape, Place(lower, place.pivot), size, IDENTITY)
    label = label[tuple(slice(margin, length - margin) for margin, length in zip(halo, label.shape, strict=True))]
    if len(axes) < 2:
        return image.copy(), label.copy()
    seed_global_generators(seed)
    within = spatial_transform(training, tuple(patch_size[axis] for axis in axes), axes)
    turned = within(data=_slices_as_channels(image, axes), seg=_slices_as_channels(label[None], axes))
    across = [axis for axis in AXES if axis not in axes]
    whole = tuple(patch_size[axis] + 2 * halo[axis] for axis in AXES)
    image = _as_volume(turned["data"], len(image), [whole[axis] for axis in across], across)
    label = _as_volume(turned["seg"], 1, [patch_size[axis] for axis in across], across)[0].astype(np.uint8)
    return np.ascontiguousarray(image, dtype=np.float32), np.ascontiguousarray(label)


def _reach(training: Training, patch_size: Shape, axes: tuple[int, ...], seed: Seed) -> list[int]:
    """Voxels along each of `axes` by which the transform that the seed draws reaches beyond the patch on each side.

    The transform is applied to a patch of two voxels along each axis that hold their own coordinates. What is drawn
    does not depend on the size of a patch. The differences between these voxels are the matrix of the transform.
    """
    length = 2 * int(np.ceil(2 / training.scaling[0])) + 3
    coordinates = np.indices((length,) * len(axes), dtype=np.float32)
    seed_global_generators(seed)
    corners = spatial_transform(training, (2,) * len(axes), axes)(data=coordinates[None])["data"][0]
    columns = [np.diff(corners, axis=1 + axis).reshape(len(axes), -1)[:, 0] for axis in range(len(axes))]
    matrix = np.stack(columns, axis=1)
    if np.array_equal(matrix, np.eye(len(axes))):
        return [0] * len(axes)
    half = (np.array([patch_size[axis] for axis in axes]) - 1) / 2
    # one voxel more, so that no rounding takes a position out of what is read
    return [max(0, int(np.ceil(beyond)) + 1) for beyond in np.abs(matrix) @ half - half]


def _slices_as_channels(array: NDArray, axes: tuple[int, ...]) -> NDArray:
    """A patch (C, z, y, x) as batchgenerators' batch of one: (1, C, z, y, x), or (1, C * slices, …) within slices."""
    across = [1 + axis for axis in AXES if axis not in axes]
    moved = array.transpose([0, *across, *(1 + axis for axis in axes)])
    return np.ascontiguousarray(moved).reshape(1, -1, *moved.shape[1 + len(across) :])


def _as_volume(batch: NDArray, channels: int, slices: list[int], across: list[int]) -> NDArray:
    """The inverse of `_slices_as_channels`: (C, z, y, x) of a batch whose channels hold slices across some axes."""
    volume = batch.reshape(channels, *slices, *batch.shape[2:])
    return np.moveaxis(volume, range(1, 1 + len(across)), [1 + axis for axis in across])
