"""The plan: every decision of a run, as a typed model, in a YAML file that a person can edit.

Axes are (z, y, x) everywhere, spacing in mm. A 2D configuration has patch length 1 along its
`slice_axis`; nothing else distinguishes it. Beside each value in `plan.yaml` stands its reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError, model_validator

from autoseg.errors import PlanError, wrong_fields
from autoseg.files import FileModel, write_text
from autoseg.image.labels import Labels
from autoseg.plan.configuration import Configuration
from autoseg.plan.inputs import input_problems
from autoseg.plan.yaml_comments import commented_text, comments, read_yaml

Normalization = Literal["ct", "z_score"]


class ForegroundIntensity(FileModel):
    """Intensities of one channel over the foreground voxels of the training cases."""

    mean: float
    sd: float
    median: float
    percentile_00_5: float
    percentile_99_5: float


class Channel(FileModel):
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


class Plan(FileModel):
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
