"""The model of a configuration: input dimension, resolution, patch, network, training schedule and prediction.

Axes are (z, y, x) everywhere, and spacing is in mm. A 2D configuration differs from a 3D one only in that its
patch has length 1 along its `slice_axis`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from autoseg.files import FileModel
from autoseg.image.geometry import Spacing
from autoseg.names import PlainName
from autoseg.plan.bounds import (
    Axes,
    Blocks,
    Degrees,
    Factor,
    Features,
    Fraction,
    KernelLength,
    MedianLength,
    Millimetres,
    PatchLength,
    Seconds,
    Stages,
    Steps,
    ZoomRange,
)

Architecture = Literal["plain", "resenc_m", "resenc_l", "resenc_xl"]

MOST_PATCHES = 65_536
MOST_NEIGHBOURS = 32
MOST_VOXELS = 2**31
"""Largest number of voxels in a batch of patches."""


class Network(FileModel):
    """U-Net of a configuration; each tuple has one entry per stage, from full resolution down.

    Args:
        architecture: `plain` for plain convolutions, or `resenc_m`, `resenc_l`, `resenc_xl` for an encoder of
            residual blocks.
        features: number of channels of each stage.
        strides: down-sampling factors (z, y, x) at the entry of each stage; those of the first are (1, 1, 1).
        kernel_sizes: size (z, y, x) of the convolution kernels of each stage.
        encoder_blocks: number of convolutions (`plain`) or residual blocks of each encoder stage.
        decoder_blocks: number of convolutions of each decoder stage; there is one decoder stage fewer.
    """

    architecture: Architecture
    features: tuple[Features, ...] = Field(min_length=1, max_length=12)
    strides: tuple[tuple[Factor, Factor, Factor], ...]
    kernel_sizes: tuple[tuple[KernelLength, KernelLength, KernelLength], ...]
    encoder_blocks: tuple[Blocks, ...]
    decoder_blocks: tuple[Blocks, ...]

    @model_validator(mode="after")
    def _stages_agree(self) -> Network:
        stages = {len(self.features), len(self.strides), len(self.kernel_sizes), len(self.encoder_blocks)}
        if len(stages) != 1 or len(self.decoder_blocks) != len(self.features) - 1:
            raise ValueError(
                "features, strides, kernel_sizes and encoder_blocks have one entry a stage, decoder_blocks one less"
            )
        if self.strides[0] != (1, 1, 1):
            raise ValueError(f"strides[0] = {list(self.strides[0])}: the first stage has the patch's own resolution")
        return self


class LengthDependent(FileModel):
    """Training settings that follow the length of the schedule where that is revised during training.

    The length is revised where steps take longer or shorter than planned.

    Args:
        full_dropout_from: length in steps from which `sequence_dropout` has its full value; in a shorter schedule
            it is proportional to the length.
        mirror_from: length in steps from which patches are mirrored; in a shorter schedule they are not.
        mirror: axes (0 = z, 1 = y, 2 = x) that are mirrored in a schedule of at least `mirror_from` steps.
    """

    full_dropout_from: Steps
    mirror_from: int = Field(ge=0, le=100_000_000)
    mirror: Axes


class Training(FileModel):
    """Training settings of each fold of a configuration.

    Args:
        iterations: number of optimiser steps of one fold; the learning rate is annealed over them.
        iterations_per_epoch: steps per epoch; a checkpoint and a line of `log.csv` are written after each epoch.
        optimizer: `sgd` (Nesterov momentum 0.99, polynomial decay) or `adamw` (one cycle).
        learning_rate: peak of the learning rate.
        warmup: share of the steps in which the rate rises to its peak; `adamw` only.
        weight_decay: weight decay of the optimiser.
        gradient_clip: largest norm of the gradient; a larger gradient is scaled down to it.
        beta2: decay of AdamW's moving average of squared gradients; None = 0.999.
        average_decay: decay of the exponential moving average of the weights; 0 turns the average off.
        oversample_foreground: share of the patches that are centred on a foreground voxel.
        sample_by: how this voxel is drawn: with `lesion`, each connected component of a class is equally likely;
            with `voxel`, each voxel of a class is.
        sequence_dropout: probability that a training patch loses some of its sequences; it never loses all.
        lesion_loss: weight of the lesion-wise loss, added to Dice and cross-entropy; 0 turns it off.
        batch_dice: pool the Dice loss over the batch instead of computing it per patch.
        deep_supervision: compute the loss at every decoder stage.
        rotation: largest rotation of a patch in degrees about each axis (z, y, x).
        scaling: smallest and largest zoom factor of a patch.
        elastic: probability of an elastic deformation.
        mirror: axes (0 = z, 1 = y, 2 = x) along which patches may be mirrored.
        contrast_maps: probability that a patch's intensities go through a random map, rising or falling, and that they
            get a bias field.
        foreground_prior: probability of each foreground class, against background, that the untrained network
            predicts; None = foreground and background are equally likely.
        pasted_lesions: share of the foreground patches that show a lesion of another case, pasted into this one.
        augmentation: whose transforms augment a patch: `autoseg` or `batchgenerators`; both with nnU-Net's
            probabilities.
        augment_on: who augments the images of the patches: the processes that prepare them (`workers`), or the `device`
            that trains; `auto` = what was measured to be faster on CUDA, processes elsewhere.
        patch_growth: number of stages in which patches grow to `patch_size`, each for an equal share of the schedule;
            None = all patches have `patch_size`.
        validate_every: epochs between two predictions of whole validation cases; 0 = at the end only.
        by_length: settings that follow the length of the schedule when it is revised; None = none.
        seconds: time limit for training one fold; the schedule is as long as steps of their real duration allow.
            None = no limit.
        validation_seconds: expected seconds to predict the fold's validation cases at the end, reserved beside
            `seconds`; None = no time is reserved.
    """

    iterations: Steps
    iterations_per_epoch: Steps
    optimizer: Literal["sgd", "adamw"]
    learning_rate: float = Field(gt=0, le=10)
    warmup: float = Field(ge=0, lt=1)
    weight_decay: Fraction
    gradient_clip: float = Field(gt=0, le=1e6)
    beta2: float | None = Field(default=None, gt=0, lt=1)
    average_decay: float = Field(ge=0, lt=1)
    oversample_foreground: Fraction
    sample_by: Literal["lesion", "voxel"] = "lesion"
    sequence_dropout: Fraction = 0.0
    lesion_loss: float = Field(default=0.0, ge=0, le=100)
    batch_dice: bool
    deep_supervision: bool
    rotation: tuple[Degrees, Degrees, Degrees]
    scaling: ZoomRange
    elastic: Fraction
    mirror: Axes
    contrast_maps: Fraction = 0.0
    pasted_lesions: Fraction = 0.0
    foreground_prior: float | None = Field(default=None, gt=0, lt=1)
    augmentation: Literal["autoseg", "batchgenerators"] = "autoseg"
    augment_on: Literal["auto", "workers", "device"] = "auto"
    patch_growth: Stages | None = None
    validate_every: int = Field(ge=0, le=1_000_000)
    by_length: LengthDependent | None = None
    seconds: Seconds | None
    validation_seconds: float | None = Field(default=None, ge=0, le=1e9)

    @model_validator(mode="after")
    def _library_can_do_it(self) -> Training:
        if self.augmentation == "batchgenerators":
            if self.elastic:
                raise ValueError(f"elastic = {self.elastic:g}: 0 with augmentation: batchgenerators; autoseg can do it")
            if self.augment_on == "device":
                raise ValueError("augment_on = device: workers with augmentation: batchgenerators; autoseg can do it")
            if not self.scaling[0] <= 1 <= self.scaling[1]:
                raise ValueError(f"scaling = {list(self.scaling)}: contains 1 with augmentation: batchgenerators")
        return self


class Prediction(FileModel):
    """Settings by which whole images are predicted.

    Args:
        overlap: share of the patch by which neighbouring windows overlap.
        mirror: axes (0 = z, 1 = y, 2 = x) mirrored as test-time augmentation; an empty tuple turns it off.
    """

    overlap: float = Field(ge=0, le=0.9)
    mirror: Axes


class Configuration(FileModel):
    """One way to train and predict: input dimension, resolution, patch, network, schedule.

    Args:
        spacing: spacing (z, y, x) in mm to which cases are resampled; None along an axis that is not resampled
            (the `slice_axis` of a 2D configuration).
        median_shape: median shape (z, y, x) of the cases in voxels at that spacing.
        patch_size: shape (z, y, x) in voxels of the patch that the network sees.
        batch_size: number of patches in a training step.
        slice_axis: axis (0 = z, 1 = y, 2 = x) along which a 2D configuration takes single slices; None in 3D.
        neighbours: number of slices on each side along `slice_axis` that are input channels too (2.5D).
        sequences: names of the plan's channels that the network sees; None = all.
        availability_code: give the network one more channel per sequence, which is 1 everywhere where the case has
            the sequence, else 0.
        preprocessed_as: name of the configuration whose preprocessed cases this one reads, which has the same
            spacing; None = its own.
        network: U-Net of the configuration.
        training: settings by which each fold is trained.
        prediction: settings by which whole images are predicted.
    """

    spacing: tuple[Millimetres | None, Millimetres | None, Millimetres | None]
    median_shape: tuple[MedianLength, MedianLength, MedianLength]
    patch_size: tuple[PatchLength, PatchLength, PatchLength]
    batch_size: int = Field(ge=1, le=MOST_PATCHES)
    slice_axis: Literal[0, 1, 2] | None
    neighbours: int = Field(default=0, ge=0, le=MOST_NEIGHBOURS)
    sequences: tuple[str, ...] | None = None
    availability_code: bool = False
    preprocessed_as: PlainName | None = None
    network: Network
    training: Training
    prediction: Prediction

    @model_validator(mode="after")
    def _patch_fits_network(self) -> Configuration:
        if problems := [*_unfit_patch(self), *_unfit_kernels(self), *_unfit_slices(self)]:
            raise ValueError("; ".join(problems))
        return self

    @property
    def mirrored_in_prediction(self) -> tuple[int, ...]:
        """Axes (0 = z, 1 = y, 2 = x) of test-time mirroring: those of `prediction` that training mirrors too.

        Mirroring along another axis would show the network images unlike those that it was trained on.
        """
        return tuple(axis for axis in self.prediction.mirror if axis in self.training.mirror)

    def target_spacing(self, current: Spacing) -> Spacing:
        """Spacing in mm (z, y, x) that a case of spacing `current` is resampled to."""
        z, y, x = (c if s is None else s for s, c in zip(self.spacing, current, strict=True))
        return z, y, x


def _unfit_patch(configuration: Configuration) -> Iterator[str]:
    """Problems of a patch that cannot be pooled by the strides, or whose batch no machine holds."""
    patch = configuration.patch_size
    for axis, length in enumerate(patch):
        factor = math.prod(stage[axis] for stage in configuration.network.strides)
        if length % factor:
            below = length // factor * factor
            nearest = " or ".join(str(n) for n in (below, below + factor) if n > 0)
            yield f"patch_size[{axis}] = {length} cannot be pooled by {factor}; the nearest that can: {nearest}"
    if (voxels := math.prod(patch) * configuration.batch_size) > MOST_VOXELS:
        yield f"patch_size and batch_size: a batch has {voxels:.3g} voxels, more than {MOST_VOXELS:.3g}"


def _unfit_kernels(configuration: Configuration) -> Iterator[str]:
    """Problems of kernels that reach over a whole feature map: their outer weights would never see data."""
    size = list(configuration.patch_size)
    stages = zip(configuration.network.strides, configuration.network.kernel_sizes, strict=True)
    for stage, (strides, kernel) in enumerate(stages):
        size = [length // factor for length, factor in zip(size, strides, strict=True)]
        for axis, (length, reach) in enumerate(zip(size, kernel, strict=True)):
            if reach > max(3, 2 * length - 1):
                yield f"network.kernel_sizes[{stage}][{axis}] = {reach}: the feature map has {length} voxels there"


def _unfit_slices(configuration: Configuration) -> Iterator[str]:
    """Problems of a 2D configuration that is not one slice thick, and of an axis without a spacing in 3D."""
    axis = configuration.slice_axis
    if axis is not None and configuration.patch_size[axis] != 1:
        yield f"patch_size[{axis}] = {configuration.patch_size[axis]}: slices along slice_axis: {axis} have length 1"
    for other, spacing in enumerate(configuration.spacing):
        if spacing is None and other != axis:
            yield f"spacing[{other}]: null stands only along the slice_axis of a 2D configuration"
