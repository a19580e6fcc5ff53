"""One way to train: input dimension, resolution, patch, network, schedule.

Axes are (z, y, x) everywhere, spacing in mm. A 2D configuration has patch length 1 along its
`slice_axis`; nothing else distinguishes it.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from autoseg.files import FileModel
from autoseg.image.geometry import Shape, Spacing

Architecture = Literal["plain", "resenc_m", "resenc_l", "resenc_xl"]


class Network(FileModel):
    """U-Net of a configuration, stage by stage from full resolution down; axes (z, y, x).

    Args:
        architecture: `plain` convolutions or residual-encoder blocks.
        features: channels of each stage.
        strides: down-sampling at the entry of each stage; the first is (1, 1, 1).
        kernel_sizes: convolution kernel of each stage.
        encoder_blocks: convolutions (plain) or residual blocks of each encoder stage.
        decoder_blocks: convolutions of each decoder stage, from full resolution down.
    """

    architecture: Architecture
    features: tuple[int, ...]
    strides: tuple[Shape, ...]
    kernel_sizes: tuple[Shape, ...]
    encoder_blocks: tuple[int, ...]
    decoder_blocks: tuple[int, ...]

    @model_validator(mode="after")
    def _stages_agree(self) -> Network:
        stages = {len(self.features), len(self.strides), len(self.kernel_sizes), len(self.encoder_blocks)}
        if len(stages) != 1 or len(self.decoder_blocks) != len(self.features) - 1:
            raise ValueError("features, strides, kernel_sizes and blocks must have one entry a stage")
        return self


class ByLength(FileModel):
    """What of a training depends on the length of its schedule, which is revised where the machine's pace is another.

    Args:
        full_dropout_from: steps from which sequences are lost as often as at most; a shorter schedule loses them
            less in proportion.
        mirror_from: steps from which patches are mirrored; in a shorter schedule they are not.
        mirror: axes (0 = z, 1 = y, 2 = x) that are then mirrored.
    """

    full_dropout_from: int = Field(ge=1)
    mirror_from: int = Field(ge=0)
    mirror: tuple[int, ...]


class Training(FileModel):
    """How each fold of a configuration is trained.

    Args:
        iterations: optimiser steps of one fold; the learning rate is annealed to its end in them.
        iterations_per_epoch: steps between two checkpoints and lines of `log.csv`.
        optimizer: `sgd` (Nesterov momentum 0.99, polynomial decay) or `adamw` (one cycle).
        learning_rate: its peak.
        warmup: share of the iterations in which the rate rises to its peak.
        weight_decay: as the optimiser takes it.
        gradient_clip: largest norm of the gradient.
        average_decay: decay of the exponential moving average of the weights; 0 turns it off.
        oversample_foreground: share of a batch's patches centred on foreground.
        sample_by: how the voxel that a foreground patch is centred on is drawn: `lesion`: each connected
            component of a class is as likely; `voxel`: each voxel of a class is.
        sequence_dropout: probability of a training patch to lose some of its sequences, never all.
        lesion_loss: weight of the lesion-wise loss beside Dice and cross-entropy; 0 turns it off.
        batch_dice: pool the Dice loss over the batch instead of taking it per patch.
        deep_supervision: loss at every decoder stage.
        rotation: largest rotation in degrees about each axis (z, y, x).
        scaling: smallest and largest zoom.
        elastic: probability of an elastic deformation.
        mirror: axes (0 = z, 1 = y, 2 = x) that may be mirrored.
        foreground_prior: probability, against background, that the network gives each foreground class before it has
            learned anything; None = the same as background.
        validate_every: epochs between predictions of whole validation cases; 0 = at the end only.
        by_length: what follows the schedule's length when that is revised; None = nothing.
        seconds: time that one fold takes; the schedule is as long as the machine's pace then affords. None = no limit.
        validation_seconds: kept for predicting the fold's validation cases after it; None = nothing is kept.
    """

    iterations: int = Field(ge=1)
    iterations_per_epoch: int = Field(ge=1)
    optimizer: Literal["sgd", "adamw"]
    learning_rate: float = Field(gt=0)
    warmup: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    gradient_clip: float = Field(gt=0)
    average_decay: float = Field(ge=0, lt=1)
    oversample_foreground: float = Field(ge=0, le=1)
    sample_by: Literal["lesion", "voxel"] = "lesion"
    sequence_dropout: float = Field(default=0.0, ge=0, le=1)
    lesion_loss: float = Field(default=0.0, ge=0)
    batch_dice: bool
    deep_supervision: bool
    rotation: Spacing
    scaling: tuple[float, float]
    elastic: float = Field(ge=0, le=1)
    mirror: tuple[int, ...]
    foreground_prior: float | None = Field(default=None, gt=0, lt=1)
    validate_every: int = Field(ge=0)
    by_length: ByLength | None = None
    seconds: float | None
    validation_seconds: float | None = None


class Prediction(FileModel):
    """How whole images are predicted.

    Args:
        overlap: share of the patch by which neighbouring windows overlap.
        mirror: axes mirrored as test-time augmentation; empty turns it off.
    """

    overlap: float = Field(ge=0, lt=1)
    mirror: tuple[int, ...]


class Configuration(FileModel):
    """One way to train: input dimension, resolution, patch, network, schedule.

    Args:
        spacing: mm (z, y, x) to which cases are resampled; None along an axis that is kept as it is
            (the `slice_axis` of a 2D configuration).
        median_shape: median case in voxels at that spacing.
        patch_size: voxels (z, y, x) that the network sees.
        slice_axis: axis along which a 2D configuration takes single slices; None in 3D.
        neighbours: slices on each side along `slice_axis` that are channels of the input too (2.5D).
        sequences: those that the network sees, names of the plan's channels; None = all.
        availability_code: give the network a constant channel a sequence: 1 where the case has it, else 0.
        preprocessed_as: configuration whose preprocessed cases this one reads, of the same spacing;
            None = its own.
    """

    spacing: tuple[float | None, float | None, float | None]
    median_shape: Spacing
    patch_size: Shape
    batch_size: int = Field(ge=1)
    slice_axis: Literal[0, 1, 2] | None
    neighbours: int = Field(default=0, ge=0)
    sequences: tuple[str, ...] | None = None
    availability_code: bool = False
    preprocessed_as: str | None = None
    network: Network
    training: Training
    prediction: Prediction

    @model_validator(mode="after")
    def _patch_fits_network(self) -> Configuration:
        problems = []
        for axis, length in enumerate(self.patch_size):
            factor = math.prod(stage[axis] for stage in self.network.strides)
            if length < 1 or length % factor:
                below = length // factor * factor
                nearest = " or ".join(str(n) for n in (below, below + factor) if n > 0)
                problems.append(
                    f"patch_size[{axis}] = {length} cannot be pooled by {factor}; the nearest that can: {nearest}"
                )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def mirrored_in_prediction(self) -> tuple[int, ...]:
        """Axes (0 = z, 1 = y, 2 = x) of test-time mirroring: those of `prediction` that training mirrored too.

        Others would show the network what it has never seen.
        """
        return tuple(axis for axis in self.prediction.mirror if axis in self.training.mirror)

    def target_spacing(self, current: Spacing) -> Spacing:
        """Spacing in mm (z, y, x) that a case of spacing `current` is resampled to."""
        z, y, x = (c if s is None else s for s, c in zip(self.spacing, current, strict=True))
        return z, y, x
