"""The reference plan: what nnU-Net would decide for a data set, each decision with its reason.

In: fingerprint, memory target and architecture, which alone decide the result. Out: `PlannedDecisions`. The rules are
nnU-Net's (Isensee et al., Nature Methods 2021, and its supplement; residual-encoder presets, arXiv:2404.09556; where
text and release 2.8.1 differ, the release). nnU-Net plans with the coarsest axis first; here the results are put back
to (z, y, x).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import PlanError
from autoseg.image.geometry import Spacing
from autoseg.plan.configuration import Architecture, Configuration
from autoseg.plan.decision import Decision, WithReasons, reasons_within
from autoseg.plan.plan import Plan
from planner.rules.network_size import SizedNetwork, Target, size_network
from planner.rules.normalization import normalize_channels
from planner.rules.schedule import reference_schedule
from planner.rules.spacing import AXIS, axis_order, coarser_spacing, median_shape, target_spacing

SEED = 1234
LOW_RESOLUTION_BELOW = 0.25
"""`3d_lowres` is planned if a patch of `3d` holds less than this share of the median case's voxels."""

LOW_RESOLUTION_GAIN = 2.0
"""The median case must have at least this many times fewer voxels in `3d_lowres` than in `3d`."""


@dataclass(frozen=True)
class PlannedDecisions(WithReasons[Plan]):
    """A plan and the reasons for its fields, keyed by dotted paths such as `configurations.2d.patch_size`."""

    @property
    def plan(self) -> Plan:
        """The plan without the reasons."""
        return self.value

    def configuration(self, name: str) -> WithReasons[Configuration]:
        """Return the configuration called `name`, with the reasons for its fields.

        Raises:
            PlanError: the plan has no such configuration; the message lists those that it has.
        """
        return WithReasons(self.plan.configuration(name), reasons_within(self.reasons, f"configurations.{name}"))


@dataclass(frozen=True)
class _Draft:
    """A network and the spacing that it is sized for.

    Args:
        target: architecture, memory, classes and axes that the network is planned for.
        spacing: spacing in mm of each planned axis, with the reason.
        median_shape: voxels of the median case along each planned axis.
        sized: the network, with its patch and batch.
    """

    target: Target
    spacing: Decision[NDArray[np.float64]]
    median_shape: tuple[float, ...]
    sized: SizedNetwork

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
    order = axis_order(spacing.value, median_shape(fingerprint, spacing.value))
    return PlannedDecisions.of(
        Plan,
        dataset=Decision(fingerprint.dataset, "name of the data set"),
        orientation=Decision("canonical", "every image is brought to LPS axes by flips and permutations"),
        transpose_forward=order,
        memory_gb=Decision(memory_gb, "asked for, or nnU-Net's 8 GB"),
        device=Decision("cuda", "the reference plan is made for a GPU"),
        devices=Decision(1, "as nnU-Net trains"),
        time_budget_seconds=Decision(None, "no limit in the reference plan"),
        seed=Decision(SEED, "any number; the same gives the same run"),
        planned_again=Decision((), "none: planned once"),
        region=Decision(None, "whole images, as nnU-Net sees them"),
        align=Decision(None, "as they lie; nnU-Net expects them aligned"),
        lesions=Decision((), "nnU-Net's rules know no lesions"),
        channels=normalize_channels(fingerprint),
        labels=Decision(fingerprint.labels, "as the data set declares them"),
        configurations=_configurations(fingerprint, spacing, order.value, memory_gb, architecture),
    )


def _configurations(
    fingerprint: Fingerprint,
    spacing: Decision[Spacing],
    order: tuple[int, int, int],
    memory_gb: float,
    architecture: Architecture,
) -> dict[str, WithReasons[Configuration]]:
    shape = median_shape(fingerprint, spacing.value)
    cases, classes = len(fingerprint.cases), fingerprint.labels.outputs
    planned_spacing = np.array([spacing.value[axis] for axis in order])
    planned_shape = tuple(shape[axis] for axis in order)
    voxels = math.prod(planned_shape) * cases

    def draft(axes: tuple[int, ...]) -> _Draft:
        target = Target(architecture, memory_gb, classes, axes)
        start = 3 - len(axes)
        along, median = planned_spacing[start:], planned_shape[start:]
        sized = size_network(target, along.tolist(), median, voxels)
        return _Draft(target, Decision(along, spacing.reason), median, sized)

    drafts = {"2d": draft(order[1:])}
    # a 3D network is of no use for a data set of single slices
    if planned_shape[0] != 1:
        drafts["3d"] = draft(order)
        if low := low_resolution(drafts["3d"], cases):
            drafts["3d_lowres"] = low
    return {
        name: _configuration(draft, shape[order[0]], order[0], pool_dice(name, "3d_lowres" in drafts))
        for name, draft in drafts.items()
    }


def require_planned(plan: Plan, names: Iterable[str]) -> None:
    """Refuse configurations that the rules do not plan for a data set.

    Args:
        plan: what nnU-Net's rules decided for the data set.
        names: names of the configurations that a person asks for.

    Raises:
        PlanError: the plan has no such configuration; the message says why, and what to ask for.
    """
    for name in (name for name in names if name not in plan.configurations):
        slices = plan.configuration("2d")
        flat = [AXIS[a] for a in range(3) if a == slices.slice_axis and slices.median_shape[a] == 1]
        if flat:
            raise PlanError(
                f"configuration {name!r} cannot be used: most images are one voxel thick along {flat[0]}; "
                "add --config 2d (for a study, --dimensions 2d)"
            )
        if name == "3d_lowres":
            raise PlanError(f"configuration {name!r} is not planned: 3d sees enough of a case in a patch; use 3d")
        plan.configuration(name)


def low_resolution(full: _Draft, cases: int) -> _Draft | None:
    """A coarser 3D network, where the patch of the full-resolution network sees too little of a case; else None.

    The spacing grows by 3 % at a time until a patch holds a quarter of the median case. None is returned where a patch
    does so at full resolution, or where the coarser median case has more than half the voxels of the full one.

    Args:
        full: the draft of `3d`, at full resolution.
        cases: number of cases in the data set.
    """
    median = np.array(full.median_shape)
    spacing, voxels, sized, shape = full.spacing.value, float(np.prod(median)), full.sized, full.median_shape
    while math.prod(sized.patch_size.value) / voxels < LOW_RESOLUTION_BELOW:
        spacing = coarser_spacing(spacing)
        resampled = full.spacing.value / spacing * median
        voxels = float(np.prod(resampled))
        shape = tuple(max(1, round(n)) for n in resampled)
        sized = size_network(full.target, spacing.tolist(), shape, voxels * cases)
    if math.prod(full.median_shape) / voxels < LOW_RESOLUTION_GAIN:
        return None
    share = math.prod(full.sized.patch_size.value) / math.prod(full.median_shape)
    reason = (
        f"a patch of 3d sees {share:.0%} of the median case, under {LOW_RESOLUTION_BELOW:.0%}: "
        "coarser by 3 % at a time until it does"
    )
    return _Draft(full.target, Decision(spacing, reason), shape, sized)


def _configuration(
    draft: _Draft, length: float, coarse_axis: int, batch_dice: Decision[bool]
) -> WithReasons[Configuration]:
    """The configuration that a draft leads to.

    Args:
        draft: network, patch, batch and spacing.
        length: voxels of the median case along the coarse axis, which a 2D network does not see.
        coarse_axis: the axis (0 = z, 1 = y, 2 = x) with the coarsest target spacing.
        batch_dice: whether the Dice loss pools over the batch, with the reason.
    """
    axis, sized = draft.slice_axis, draft.sized
    spacing = draft.target.in_array_order([float(s) for s in draft.spacing.value], None)
    why = draft.spacing.reason
    schedule = reference_schedule(sized.patch_size.value, coarse_axis, axis, batch_dice)
    return WithReasons.of(
        Configuration,
        spacing=Decision(spacing, why if axis is None else f"{why}; {AXIS[axis]} as it is"),
        median_shape=Decision(
            draft.target.in_array_order(draft.median_shape, length), "voxels of the median case at this spacing"
        ),
        patch_size=sized.patch_size,
        batch_size=sized.batch_size,
        slice_axis=_slice_axis(axis, length),
        neighbours=Decision(0, "none: a 2D network sees one slice, a 3D network sees them all"),
        sequences=Decision(None, "all that the data set has"),
        availability_code=Decision(False, "every case has every sequence, or nnU-Net would not take it"),
        preprocessed_as=Decision(None, "cases of its own"),
        network=sized.network,
        training=schedule.training,
        prediction=schedule.prediction,
    )


def _slice_axis(axis: Literal[0, 1, 2] | None, length: float) -> Decision[Literal[0, 1, 2] | None]:
    """The axis across slices; `length` is that of the median case along it, in voxels."""
    if axis is None:
        return Decision(axis, "a 3D network has none")
    return Decision(axis, f"{AXIS[axis]} is {'the axis of one voxel' if length == 1 else 'the coarsest axis'}")


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
