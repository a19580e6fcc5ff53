"""The plan: every decision of a run, as a typed model, in a YAML file that a person can edit.

Axes are (z, y, x) everywhere, spacing in mm. A 2D configuration has patch length 1 along its
`slice_axis`; nothing else distinguishes it. Beside each value in `plan.yaml` stands its reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from autoseg.errors import PlanError, wrong_fields
from autoseg.geometry import Shape, Spacing
from autoseg.labels import Labels
from autoseg.plan_inputs import input_problems
from autoseg.plan_yaml import commented_text, comments, read_yaml
from autoseg.run_folder import write_text

Architecture = Literal["plain", "resenc_m", "resenc_l", "resenc_xl"]
Normalization = Literal["ct", "z_score"]
T = TypeVar("T")


@dataclass(frozen=True)
class Decision(Generic[T]):
    """A planned value and, in one sentence, why it is so."""

    value: T
    reason: str


class PlanModel(BaseModel):
    """Common settings: immutable, and a field that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ForegroundIntensity(PlanModel):
    """Intensities of one channel over the foreground voxels of the training cases."""

    mean: float
    sd: float
    median: float
    percentile_00_5: float
    percentile_99_5: float


class Channel(PlanModel):
    """One input channel: a sequence and how it is normalised.

    Args:
        name: the sequence, as the data set calls it.
        normalization: `ct`: clip to the foreground percentiles, z-score by the foreground;
            `z_score`: by each image's own mean and sd.
        inside_nonzero_mask: compute and apply the z-score inside the non-zero mask only.
        foreground: statistics for `ct`, and for warnings about unusual input.
    """

    name: str
    normalization: Normalization
    inside_nonzero_mask: bool
    foreground: ForegroundIntensity


class Network(PlanModel):
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


class ByLength(PlanModel):
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


class Training(PlanModel):
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


class Prediction(PlanModel):
    """How whole images are predicted.

    Args:
        overlap: share of the patch by which neighbouring windows overlap.
        mirror: axes mirrored as test-time augmentation; empty turns it off.
    """

    overlap: float = Field(ge=0, lt=1)
    mirror: tuple[int, ...]


class Configuration(PlanModel):
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


class Plan(PlanModel):
    """All decisions of a run.

    Args:
        dataset: name of the data set.
        orientation: `canonical` brings every image to LPS axes by flips and permutations;
            `as_stored` leaves it.
        transpose_forward: nnU-Net's axis order, coarsest axis first (for comparison and transfer of
            weights; arrays here stay (z, y, x)).
        memory_gb: planner's memory target.
        device: device the plan was made for.
        time_budget_seconds: time for a whole run; None = as long as the schedule takes.
        seed: of the splits, the weights and every random draw.
        planned_again: configurations that were planned a second time, when their first epochs showed another pace.
        configurations: by name: `2d`, `2.5d`, `3d`, `3d_lowres`.
    """

    schema_version: Literal[1] = 1
    dataset: str
    orientation: Literal["canonical", "as_stored"]
    transpose_forward: tuple[int, int, int]
    memory_gb: float
    device: str
    time_budget_seconds: float | None
    seed: int
    planned_again: tuple[str, ...] = ()
    channels: tuple[Channel, ...]
    labels: Labels
    configurations: dict[str, Configuration]

    @model_validator(mode="after")
    def _inputs_can_be_made(self) -> Plan:
        if problems := input_problems(self.configurations, [channel.name for channel in self.channels]):
            raise ValueError("; ".join(problems))
        return self

    def configuration(self, name: str) -> Configuration:
        """The configuration called `name`.

        Raises:
            PlanError: there is none; the message lists those there are.
        """
        if name not in self.configurations:
            raise PlanError(f"configuration {name!r} is not planned; planned are {', '.join(self.configurations)}")
        return self.configurations[name]

    def preprocessed_as(self, name: str) -> str:
        """Name under which the preprocessed cases lie that the configuration `name` reads.

        Raises:
            PlanError: there is no such configuration.
        """
        return self.configuration(name).preprocessed_as or name


def write_plan(path: Path, plan: Plan, reasons: dict[str, str]) -> None:
    """Write a plan as YAML, with reasons as comments at the end of the lines.

    Args:
        path: file to write, replaced atomically.
        plan: what to write.
        reasons: sentence for a field, keyed by its dotted path such as `configurations.3d.spacing`.
    """
    write_text(path, plan_text(plan, reasons))


def plan_text(plan: Plan, reasons: dict[str, str]) -> str:
    """The YAML text of a plan, `reasons` beside the fields they explain."""
    return commented_text(plan.model_dump(mode="json"), reasons)


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        PlanError: the file is missing or malformed; names the file and the field or line.
    """
    document = read_yaml(path)
    try:
        return Plan.model_validate(document)
    except ValidationError as error:
        raise PlanError(f"{path}: {wrong_fields(error)}") from None


def read_reasons(path: Path) -> dict[str, str]:
    """The reasons in a plan file, keyed by dotted path."""
    return comments(read_yaml(path))
