"""What networks see beside the slice or volume itself: neighbouring slices, and which sequences a case has.

nnU-Net has no such decisions; they are made after its rules, which decide the rest: `2.5d` is `2d`
with neighbouring slices as channels, and where sequences differ from case to case every
configuration learns to do without some.
"""

from __future__ import annotations

import numpy as np

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.configuration import Configuration
from autoseg.plan.decision import Decision
from planner.rules.reference_plan import PlannedDecisions
from planner.rules.spacing import AXIS

REACH = 5.0
"""Distance in mm across slices that neighbours should reach: what is further away is another structure."""

MOST_NEIGHBOURS = 3
"""Slices on each side at most: thinner ones differ too little to be worth a channel each."""

DROPOUT = 0.5
"""Share of the patches that lose sequences: half of them show all that the case has. Short schedules lower it."""


def with_inputs(decisions: PlannedDecisions, fingerprint: Fingerprint) -> PlannedDecisions:
    """The reference plan with `2.5d`, and with sequence dropout and availability code where sequences are missing.

    Args:
        decisions: by nnU-Net's rules.
        fingerprint: of the data set.
    """
    return _with_missing_sequences(_with_neighbours(decisions, fingerprint), fingerprint)


def neighbours(slice_spacing: float) -> Decision[int]:
    """Slices on each side that a 2.5D network sees: as many as reach 5 mm, at least one and three at most.

    Args:
        slice_spacing: mm between slices.
    """
    wanted = round(REACH / slice_spacing)
    count = min(max(wanted, 1), MOST_NEIGHBOURS)
    apart = f"slices are {slice_spacing:.3g} mm apart"
    if wanted > count:
        return Decision(count, f"{apart}: {count} on each side, the most, though {wanted} would reach {REACH:g} mm")
    if wanted < count:
        return Decision(count, f"{apart}, more than {REACH:g} mm: {count} on each side, the least")
    return Decision(count, f"{apart}: {count} on each side comes nearest to {REACH:g} mm")


def sequence_dropout(fingerprint: Fingerprint) -> Decision[float]:
    """Probability of a training patch to lose some of its sequences: one half as soon as a case lacks one."""
    lacking = sum(not all(case.present) for case in fingerprint.cases)
    if not lacking:
        return Decision(0.0, "every case has every sequence")
    return Decision(
        DROPOUT,
        f"{lacking} of {len(fingerprint.cases)} cases lack a sequence: half of the patches lose some too, "
        "so that any set of them can be predicted from",
    )


def _with_neighbours(decisions: PlannedDecisions, fingerprint: Fingerprint) -> PlannedDecisions:
    """`2.5d` beside `2d`, where there are neighbours at all."""
    flat = decisions.plan.configurations.get("2d")
    if flat is None or flat.slice_axis is None or flat.median_shape[flat.slice_axis] <= 1:
        return decisions
    spacing = float(np.median([case.spacing[flat.slice_axis] for case in fingerprint.cases]))
    count = neighbours(spacing)
    stacked = flat.changed(neighbours=count.value, preprocessed_as="2d")
    before, prefix = "configurations.2d.", "configurations.2.5d."
    reasons = {
        prefix + field.removeprefix(before): reason
        for field, reason in decisions.reasons.items()
        if field.startswith(before)
    }
    reasons |= {
        prefix + "slice_axis": f"as 2d: {AXIS[flat.slice_axis]}, across which neighbours lie",
        prefix + "neighbours": count.reason,
        prefix + "preprocessed_as": "the cases of 2d, of the same spacing",
    }
    configurations: dict[str, Configuration] = {}
    for name, configuration in decisions.plan.configurations.items():
        configurations[name] = configuration
        if name == "2d":
            configurations["2.5d"] = stacked
    return PlannedDecisions(decisions.plan.changed(configurations=configurations), decisions.reasons | reasons)


def _with_missing_sequences(decisions: PlannedDecisions, fingerprint: Fingerprint) -> PlannedDecisions:
    dropout = sequence_dropout(fingerprint)
    if not dropout.value:
        return decisions
    configurations: dict[str, Configuration] = {}
    reasons: dict[str, str] = {}
    for name, configuration in decisions.plan.configurations.items():
        training = configuration.training.changed(sequence_dropout=dropout.value)
        configurations[name] = configuration.changed(training=training, availability_code=True)
        reasons[f"configurations.{name}.training.sequence_dropout"] = dropout.reason
        reasons[f"configurations.{name}.availability_code"] = (
            "tells the network which sequences a case has, where some lack one"
        )
    return PlannedDecisions(decisions.plan.changed(configurations=configurations), decisions.reasons | reasons)
