"""The reference plan: what nnU-Net would decide for a data set, each decision with its reason.

In: fingerprint, memory target and architecture, which alone decide the result. Out: `PlannedDecisions`. The rules are
nnU-Net's (Isensee et al., Nature Methods 2021, and its supplement; residual-encoder presets, arXiv:2404.09556; where
text and release 2.8.1 differ, the release). nnU-Net plans with the coarsest axis first; here the results are put back
to (z, y, x).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import PlanError
from autoseg.image.geometry import Spacing
from autoseg.plan.configuration import Architecture, Configuration
from autoseg.plan.decision import Decision
from autoseg.plan.plan import Plan
from planner.rules.network_size import SizedNetwork, Target, reasons_of, size_network
from planner.rules.normalization import normalize_channels
from planner.rules.schedule import reference_schedule
from planner.rules.spacing import AXIS, axis_order, coarser_spacing, median_shape, target_spacing

SEED = 1234
LOW_RESOLUTION_BELOW = 0.25
"""`3d_lowres` is planned if a patch of `3d` holds less than this share of the median case's voxels."""

LOW_RESOLUTION_GAIN = 2.0
"""The median case must have at least this many times fewer voxels in `3d_lowres` than in `3d`."""


@dataclass(frozen=True)
class PlannedDecisions:
    """A plan and the reasons for its fields.

    Args:
        plan: the plan.
        reasons: reason for each field, keyed by the field's dotted path such as `configurations.2d.patch_size`.
    """

    plan: Plan
    reasons: dict[str, str]


@dataclass(frozen=True)
class _Draft:
    """A sized network at a spacing; `spacing` and `median_shape` are in the order of the planned axes."""

    target: Target
    spacing: NDArray[np.float64]
    median_shape: tuple[float, ...]
    sized: SizedNetwork
    spacing_reason: str

    @property
    def slice_axis(self) -> Literal[0, 1, 2] | None:
        """The array axis that a 2D network does not see; None for a 3D network."""
        unseen: set[Literal[0, 1, 2]] = {0, 1, 2}
        return next(iter(unseen - set(self.target.axes)), None)


def reference_plan(
    fingerprint: Fingerprint, *, memory_gb: float = 8, architecture: Architecture = "plain"
) -> PlannedDecisions:
    """Plan every configuration that nnU-Net would plan: `2d`, `3d` (its 3d_fullres), `3d_lowres`.

    Args:
        fingerprint: fingerprint of the data set.
        memory_gb: GPU memory in GB that a training step may take.
        architecture: architecture of every network in the plan.

    Raises:
        PlanError: the fingerprint has no cases, or the memory target is not positive or too small for any patch.
    """
    if not fingerprint.cases:
        raise PlanError(f"{fingerprint.dataset}: the fingerprint has no cases; measure the data set again")
    if memory_gb <= 0:
        raise PlanError(f"a memory target of {memory_gb:g} GB is not possible; give a positive number with --memory")
    spacing = target_spacing(fingerprint)
    order = axis_order(spacing.value)
    channels = normalize_channels(fingerprint)
    configurations, reasons = _configurations(fingerprint, spacing, order.value, memory_gb, architecture)
    plan = Plan(
        dataset=fingerprint.dataset,
        orientation="canonical",
        transpose_forward=order.value,
        memory_gb=memory_gb,
        device="cuda",
        time_budget_seconds=None,
        seed=SEED,
        channels=channels.value,
        labels=fingerprint.labels,
        configurations=configurations,
    )
    return PlannedDecisions(
        plan, _PLAN_REASONS | reasons | {"transpose_forward": order.reason, "channels": channels.reason}
    )


def _configurations(
    fingerprint: Fingerprint,
    spacing: Decision[Spacing],
    order: tuple[int, int, int],
    memory_gb: float,
    architecture: Architecture,
) -> tuple[dict[str, Configuration], dict[str, str]]:
    shape = median_shape(fingerprint, spacing.value)
    cases, classes = len(fingerprint.cases), fingerprint.labels.classes
    planned_spacing = np.array([spacing.value[axis] for axis in order])
    planned_shape = tuple(shape[axis] for axis in order)
    voxels = math.prod(planned_shape) * cases

    def draft(axes: tuple[int, ...]) -> _Draft:
        target = Target(architecture, memory_gb, classes, axes)
        start = 3 - len(axes)
        along, median = planned_spacing[start:], planned_shape[start:]
        return _Draft(target, along, median, size_network(target, along.tolist(), median, voxels), spacing.reason)

    drafts = {"2d": draft(order[1:])}
    # a 3D network is of no use for a data set of single slices
    if planned_shape[0] != 1:
        drafts["3d"] = draft(order)
        if low := low_resolution(drafts["3d"], cases):
            drafts["3d_lowres"] = low
    return _assembled(drafts, shape, order[0])


def low_resolution(full: _Draft, cases: int) -> _Draft | None:
    """A coarser 3D network, where the patch of the full-resolution network sees too little of a case; else None.

    The spacing grows by 3 % at a time until a patch holds a quarter of the median case. None is returned where a patch
    does so at full resolution, or where the coarser median case has more than half the voxels of the full one.

    Args:
        full: the draft of `3d`, at full resolution.
        cases: number of cases in the data set.
    """
    median = np.array(full.median_shape)
    spacing, voxels, sized, shape = full.spacing, float(np.prod(median)), full.sized, full.median_shape
    while math.prod(sized.patch_size) / voxels < LOW_RESOLUTION_BELOW:
        spacing = coarser_spacing(spacing)
        resampled = full.spacing / spacing * median
        voxels = float(np.prod(resampled))
        shape = tuple(max(1, round(n)) for n in resampled)
        sized = size_network(full.target, spacing.tolist(), shape, voxels * cases)
    if math.prod(full.median_shape) / voxels < LOW_RESOLUTION_GAIN:
        return None
    share = math.prod(full.sized.patch_size) / math.prod(full.median_shape)
    reason = (
        f"a patch of 3d sees {share:.0%} of the median case, under {LOW_RESOLUTION_BELOW:.0%}: "
        "coarser by 3 % at a time until it does"
    )
    return _Draft(full.target, spacing, shape, sized, reason)


def _assembled(
    drafts: dict[str, _Draft], full_shape: Spacing, coarse_axis: int
) -> tuple[dict[str, Configuration], dict[str, str]]:
    """The configurations that the drafts lead to, and the reasons for each of their fields."""
    configurations: dict[str, Configuration] = {}
    reasons: dict[str, str] = {}
    for name, draft in drafts.items():
        batch_dice = pool_dice(name, "3d_lowres" in drafts)
        schedule = reference_schedule(draft.sized.patch_size, coarse_axis, draft.slice_axis, batch_dice)
        configurations[name] = Configuration(
            spacing=draft.target.in_array_order([float(s) for s in draft.spacing], None),
            median_shape=draft.target.in_array_order(draft.median_shape, full_shape[coarse_axis]),
            patch_size=draft.sized.patch_size,
            batch_size=draft.sized.batch_size,
            slice_axis=draft.slice_axis,
            network=draft.sized.network,
            training=schedule.training,
            prediction=schedule.prediction,
        )
        of_fields = _draft_reasons(draft) | schedule.reasons
        reasons |= {f"configurations.{name}.{field}": reason for field, reason in of_fields.items()}
    return configurations, reasons


def pool_dice(configuration: str, has_low_resolution: bool) -> Decision[bool]:
    """Whether the Dice loss pools over the batch; it does where a patch sees little of a case."""
    if configuration == "2d":
        return Decision(True, "a slice sees little of a case")
    if configuration == "3d_lowres":
        return Decision(False, f"a patch sees at least {LOW_RESOLUTION_BELOW:.0%} of the median case")
    if has_low_resolution:
        return Decision(
            True, f"a patch sees under {LOW_RESOLUTION_BELOW:.0%} of the median case, so 3d_lowres is planned"
        )
    return Decision(False, "a patch sees enough of a case for 3d_lowres not to be planned")


def _draft_reasons(draft: _Draft) -> dict[str, str]:
    reasons = reasons_of(draft.target, draft.sized, draft.median_shape)
    axis = draft.slice_axis
    reasons["spacing"] = draft.spacing_reason if axis is None else f"{draft.spacing_reason}; {AXIS[axis]} as it is"
    reasons["median_shape"] = "voxels of the median case at this spacing"
    reasons["slice_axis"] = "a 3D network has none" if axis is None else f"{AXIS[axis]} is the coarsest axis"
    return reasons | _INPUT_REASONS


_INPUT_REASONS = {
    "neighbours": "none: a 2D network sees one slice, a 3D network sees them all",
    "sequences": "all that the data set has",
    "availability_code": "every case has every sequence, or nnU-Net would not take it",
    "preprocessed_as": "cases of its own",
    "training.sequence_dropout": "nnU-Net wants every sequence of every case",
}

_PLAN_REASONS = {
    "dataset": "name of the data set",
    "orientation": "every image is brought to LPS axes by flips and permutations",
    "memory_gb": "asked for, or nnU-Net's 8 GB",
    "device": "the reference plan is made for a GPU",
    "time_budget_seconds": "no limit in the reference plan",
    "planned_again": "none: planned once",
    "seed": "any number; the same gives the same run",
    "labels": "as the data set declares them",
}
