"""Facts about the plan of a configuration for the report: each value with autoseg's reason, or that it was edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from autoseg.files import differing_fields
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import seen_sequences
from autoseg.plan.plan import Plan
from autoseg.run_folder.plan_edits import EDITED
from autoseg.terminal import format_duration
from inference.report.fact import Fact

_DIRECTIONS = ("z (head–foot)", "y (front–back)", "x (left–right)")


@dataclass(frozen=True)
class _PlanLine:
    """A line on the plan.

    Args:
        what: what the line is about.
        value: values of its fields, as text.
        fields: dotted paths of the fields that it shows; the first that has a reason gives the line's reason.
        off: whether it shows something that is switched off, and is left out unless a person switched it off.
    """

    what: str
    value: str
    fields: tuple[str, ...] = ()
    off: bool = False


def plan_facts(plan: Plan, planned: Plan, name: str, reasons: Mapping[str, str]) -> tuple[Fact, ...]:
    """Facts about a configuration; where a person edited what a line shows, the planned value replaces the reason.

    Args:
        plan: plan of the run, with the edits of a person.
        planned: the same plan as autoseg made it.
        name: name of the configuration.
        reasons: reason for each field of `planned`, keyed by its dotted path.
    """
    edits = differing_fields(planned, plan)
    before = {line.what: line.value for line in _plan_lines(planned, name)} if name in planned.configurations else {}
    facts = []
    for line in _plan_lines(plan, name):
        edited = any(_concerns(edit, field) for edit in edits for field in line.fields)
        if line.off and not edited:
            continue
        reason = next((reasons[field] for field in line.fields if reasons.get(field)), "")
        if edited:
            former = before.get(line.what, line.value)
            reason = EDITED if former == line.value else f"{EDITED}; planned: {former}"
        facts.append(Fact(line.what, line.value, reason))
    return tuple(facts)


def _concerns(edit: str, field: str) -> bool:
    """Whether the edited field is the field itself, a part of it, or what it is a part of; both are dotted paths."""
    return f"{edit}.".startswith(f"{field}.") or f"{field}.".startswith(f"{edit}.")


def _plan_lines(plan: Plan, name: str) -> tuple[_PlanLine, ...]:
    c = plan.configuration(name)
    t = c.training
    axes = _DIRECTIONS if plan.orientation == "canonical" else ("z", "y", "x")
    mirrored = ", ".join(axes[axis] for axis in t.mirror) or "none"
    averaged = ", ".join(axes[axis] for axis in c.mirrored_in_prediction) or "off"
    normalizations = ", ".join(sorted({channel.normalization for channel in plan.channels}))
    device = plan.device if plan.devices == 1 else f"{plan.devices} × {plan.device} side by side"
    budget = format_duration(plan.time_budget_seconds) if plan.time_budget_seconds else "no limit"
    dropout = f"{t.sequence_dropout:.0%}"
    spacing = " × ".join("as it is" if s is None else f"{s:.3g}" for s in c.spacing)

    def of_configuration(what: str, value: str, *fields: str, off: bool = False) -> _PlanLine:
        return _PlanLine(what, value, tuple(f"configurations.{name}.{field}" for field in fields), off)

    return (
        _PlanLine("configuration", name),
        of_configuration(
            "the network sees", _input(plan, c), "neighbours", "sequences", "availability_code", "slice_axis"
        ),
        _PlanLine("region", plan.region.text if plan.region else "whole images", ("region",), off=not plan.region),
        of_configuration("voxel size for training (z, y, x)", f"{spacing} mm", "spacing"),
        of_configuration("patch (z, y, x)", f"{_times(c.patch_size)} voxels", "patch_size"),
        of_configuration("batch", f"{c.batch_size} patches", "batch_size"),
        of_configuration("network", _network(c), "network.features", "network"),
        _PlanLine("normalisation", normalizations, ("channels",)),
        of_configuration("training steps of a fold", f"{t.iterations}", "training.iterations"),
        of_configuration(
            "optimiser",
            f"{t.optimizer}, peak learning rate {t.learning_rate:g}",
            "training.optimizer",
            "training.learning_rate",
        ),
        of_configuration(
            "patches that lose sequences", dropout, "training.sequence_dropout", off=not t.sequence_dropout
        ),
        of_configuration(
            "lesion-wise loss", f"weight {t.lesion_loss:g}" if t.lesion_loss else "off", "training.lesion_loss"
        ),
        of_configuration("foreground patches are drawn by", t.sample_by, "training.sample_by"),
        of_configuration("mirrored in training along", mirrored, "training.mirror"),
        of_configuration("mirrored in prediction along", averaged, "prediction.mirror", "training.mirror"),
        _PlanLine("planned for", f"{device}, {plan.memory_gb:g} GB", ("device", "devices", "memory_gb")),
        _PlanLine("time budget", budget, ("time_budget_seconds",), off=not plan.time_budget_seconds),
    )


def _input(plan: Plan, c: Configuration) -> str:
    parts = [", ".join(seen_sequences(plan, c))]
    if c.slice_axis is not None:
        parts.append("one slice" if not c.neighbours else f"{2 * c.neighbours + 1} neighbouring slices")
    return "; ".join([*parts, "which sequences there are"] if c.availability_code else parts)


def _network(c: Configuration) -> str:
    features = " – ".join(map(str, c.network.features))
    down = [prod(stage[axis] for stage in c.network.strides) for axis in range(3)]
    stages = f"{len(c.network.features)} stages of {features} features"
    return f"{c.network.architecture} U-Net, {stages}, pooled {_times(down)}"


def _times(values: Sequence[int]) -> str:
    return " × ".join(map(str, values))
