"""The plan: every decision of a run, as a typed model and as a YAML file that the user can edit.

Axes are (z, y, x) everywhere, and spacing is in mm. A comment after each value in `plan.yaml` gives its reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from autoseg.errors import PlanError, wrong_fields
from autoseg.files import FileModel, write_text
from autoseg.image.labels import Labels
from autoseg.names import PlainName
from autoseg.plan.bounds import MOST_DEVICES, Seconds
from autoseg.plan.configuration import Configuration
from autoseg.plan.defaults import DEFAULT_CONFIGURATIONS, SLICES_ALONE
from autoseg.plan.input_rules import input_problems
from autoseg.plan.region import Region
from autoseg.plan.yaml_comments import commented_text, comments, read_yaml

FIRST = "first"
"""The value of `align` that stands for the first sequence that a case has."""

Normalization = Literal["ct", "z_score", "rgb_to_0_1"]

PLANNED_NAME = "plan.as_planned.yaml"
"""File beside plan.yaml that holds the plan as autoseg made it, so that edits can be found."""


class ForegroundIntensity(FileModel):
    """Statistics of one channel's intensities over the foreground voxels of the training cases."""

    mean: float
    sd: float = Field(ge=0)
    median: float
    percentile_00_5: float
    percentile_99_5: float

    @model_validator(mode="after")
    def _percentiles_ascend(self) -> ForegroundIntensity:
        if not self.percentile_00_5 <= self.median <= self.percentile_99_5:
            raise ValueError("percentile_00_5, median and percentile_99_5 must ascend")
        return self


class Channel(FileModel):
    """One channel of the data set: a sequence and its normalisation.

    Args:
        name: name of the sequence in the data set.
        normalization: `ct`: clip to the foreground percentiles, then z-score by the foreground's mean and standard
            deviation; `z_score`: z-score by each image's own mean and standard deviation; `rgb_to_0_1`: 8-bit
            colours divided by 255.
        inside_nonzero_mask: compute and apply the z-score inside the non-zero mask only.
        foreground: foreground statistics, used by `ct` and by warnings about unusual input.
    """

    name: str
    normalization: Normalization
    inside_nonzero_mask: bool
    foreground: ForegroundIntensity


class Plan(FileModel):
    """All decisions of a run.

    Args:
        dataset: name of the data set.
        orientation: `canonical` brings every image to LPS axes by flips and permutations;
            `as_stored` leaves the axes as they are.
        transpose_forward: nnU-Net's axis order with the coarsest axis first, for comparison and transfer of
            weights; arrays here stay (z, y, x).
        memory_gb: GB of memory that a training step may take.
        device: device that the plan was made for.
        devices: number of devices that train folds side by side; the time budget is wall time.
        time_budget_seconds: time budget of the whole run; None = no limit.
        seed: seed of the splits, the initial weights and every random draw.
        planned_again: names of the configurations that were planned a second time, because steps of their first
            epochs took longer or shorter than planned.
        region: part of an image in which foreground can lie; images are cropped to it. None = whole images.
        align: sequence onto which the others of a case are moved by a rigid registration, or `first` for the first one
            that the case has; None = sequences are taken as they lie.
        lesions: names of the classes that are lesions: their components get a score in predictions.
        channels: sequences of the data set and their normalisation, in the order of the preprocessed channels.
        labels: classes of the data set.
        configurations: configurations by name: `2d`, `2.5d`, `3d`, `3d_lowres`, or the cells of a study.

    Examples:
        A plan is read from its file. `changed` returns a copy with other values.

        >>> from pathlib import Path
        >>> plan = read_plan(Path("RUN/plan.yaml"))
        >>> planned = plan.configuration("3d")
        >>> planned.spacing, planned.patch_size
        ((4.0, 1.0, 1.0), (16, 32, 32))
        >>> longer = planned.changed(training=planned.training.changed(iterations=2000))
        >>> changed = plan.changed(configurations=plan.configurations | {"3d": longer})
        >>> changed.configuration("3d").training.iterations
        2000

        The copy is validated as the file is.

        >>> planned.changed(patch_size=(16, 33, 32))
        Traceback (most recent call last):
            ...
        pydantic_core._pydantic_core.ValidationError: 1 validation error for Configuration
          Value error, patch_size[1] = 33 cannot be pooled by 2; the nearest that can: 32 or 34 ...
        >>> plan.configuration("2d")
        Traceback (most recent call last):
            ...
        autoseg.errors.PlanError: configuration '2d' is not planned; planned are 3d
    """

    schema_version: Literal[1] = 1
    dataset: str
    orientation: Literal["canonical", "as_stored"]
    transpose_forward: tuple[Literal[0, 1, 2], Literal[0, 1, 2], Literal[0, 1, 2]]
    memory_gb: float = Field(gt=0, le=10_000)
    device: Literal["cpu", "cuda", "mps"]
    devices: int = Field(default=1, ge=1, le=MOST_DEVICES)
    time_budget_seconds: Seconds | None
    seed: int = Field(ge=0, lt=2**32)
    planned_again: tuple[str, ...] = ()
    region: Region | None = None
    align: str | None = None
    lesions: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = Field(min_length=1)
    labels: Labels
    configurations: dict[PlainName, Configuration] = Field(min_length=1)

    @model_validator(mode="after")
    def _fields_agree(self) -> Plan:
        problems = input_problems(self.configurations, [channel.name for channel in self.channels])
        if sorted(self.transpose_forward) != [0, 1, 2]:
            problems.append("transpose_forward: names each of the axes 0, 1 and 2 once")
        if self.region is not None and self.orientation != "canonical":
            problems.append("region: lies along canonical axes; set it to null, or leave orientation: canonical")
        names = [channel.name for channel in self.channels]
        if self.align is not None and self.align not in (FIRST, *names):
            problems.append(f"align: {self.align} is no sequence; there are {FIRST} and {', '.join(names)}, or null")
        if unknown := [name for name in self.lesions if name not in self.labels.foreground]:
            problems.append(f"lesions: {', '.join(unknown)} is no class; classes: {', '.join(self.labels.foreground)}")
        if len(set(self.lesions)) < len(self.lesions):
            problems.append("lesions: names each class once")
        if not self.labels.plain:
            pasting = [name for name, one in self.configurations.items() if one.training.pasted_lesions]
            problems += [
                f"configurations.{name}.training.pasted_lesions: not with regions or an ignore label; set it to 0"
                for name in pasting
            ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def configuration(self, name: str) -> Configuration:
        """Return the configuration called `name`.

        Raises:
            PlanError: the plan has no such configuration; the message lists those that it has.
        """
        if name not in self.configurations:
            raise PlanError(f"configuration {name!r} is not planned; planned are {', '.join(self.configurations)}")
        return self.configurations[name]

    def preprocessed_as(self, name: str) -> str:
        """Return the name of the configuration whose preprocessed cases the configuration `name` reads.

        Raises:
            PlanError: the plan has no such configuration.
        """
        return self.configuration(name).preprocessed_as or name


def default_configurations(plan: Plan) -> tuple[str, ...]:
    """Names of the configurations that are trained and predict where nobody names any: `3d`, or `2d` without it."""
    return DEFAULT_CONFIGURATIONS if DEFAULT_CONFIGURATIONS[0] in plan.configurations else SLICES_ALONE


def write_plan(path: Path, plan: Plan, reasons: dict[str, str]) -> None:
    """Write a plan as YAML, with reasons as comments at the end of the lines.

    Args:
        path: file that is written, or replaced atomically.
        plan: plan that is written.
        reasons: reason for each field, keyed by its dotted path such as `configurations.3d.spacing`.
    """
    write_text(path, plan_text(plan, reasons))


def plan_text(plan: Plan, reasons: dict[str, str]) -> str:
    """Return the YAML text of a plan, with `reasons` as comments at the end of the lines."""
    return commented_text(plan.model_dump(mode="json"), reasons)


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        PlanError: the file is missing or malformed, or values in it are impossible; the message names the file and
            every such field, and the value that was planned if `plan.as_planned.yaml` is beside the file.
    """
    document = read_yaml(path)
    try:
        return Plan.model_validate(document)
    except ValidationError as error:
        raise PlanError(f"{path}: {wrong_fields(error, _as_planned(path))}") from None


def _as_planned(path: Path) -> object:
    """The document that autoseg wrote before a person edited it; None where there is no such file."""
    beside = path.with_name(PLANNED_NAME)
    if beside == path or not beside.exists():
        return None
    try:
        return read_yaml(beside)
    except PlanError:
        return None


def read_reasons(path: Path) -> dict[str, str]:
    """Read the reasons in a plan file, keyed by the dotted path of the field.

    Args:
        path: plan file, such as `plan.yaml` of a RUN folder.

    Raises:
        PlanError: the file is missing or not YAML.

    Examples:
        >>> from pathlib import Path
        >>> reasons = read_reasons(Path("RUN/plan.yaml"))
        >>> reasons["configurations.3d.spacing"]
        'median of the cases'
    """
    return comments(read_yaml(path))
