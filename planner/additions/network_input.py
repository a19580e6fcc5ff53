"""Decide what a network sees besides the slice or volume itself: neighbouring slices, and which sequences a case has.

In: the decisions by nnU-Net's rules and the fingerprint. Out: the decisions with two additions that nnU-Net does not
have. `2.5d` is `2d` with neighbouring slices as channels. Where some cases lack a sequence, every configuration learns
to work without some of its sequences.
"""

from __future__ import annotations

import numpy as np

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.configuration import Configuration
from autoseg.plan.decision import Decision, WithReasons
from planner.rules.reference_plan import PlannedDecisions
from planner.rules.spacing import AXIS

REACH_MM = 5.0
"""Distance in mm that neighbouring slices should reach: what is farther away is another structure."""

MOST_NEIGHBOURS = 3
"""Maximum number of neighbours on each side: thinner slices differ too little to be worth a channel each."""

DROPOUT = 0.5
"""Share of the patches that lose sequences; the others show all that the case has. Short schedules lower it."""


def with_inputs(decisions: PlannedDecisions, fingerprint: Fingerprint) -> PlannedDecisions:
    """The reference plan with `2.5d`, and with sequence dropout and availability code where sequences are missing.

    Args:
        decisions: the reference plan by nnU-Net's rules, with its reasons.
        fingerprint: fingerprint of the data set.
    """
    return _with_missing_sequences(_with_neighbours(decisions, fingerprint), fingerprint)


def neighbours(slice_spacing: float) -> Decision[int]:
    """Number of neighbours on each side that a 2.5D network sees: as many as reach 5 mm, from one to three.

    Args:
        slice_spacing: distance between slices in mm.
    """
    wanted = round(REACH_MM / slice_spacing)
    count = min(max(wanted, 1), MOST_NEIGHBOURS)
    apart = f"slices are {slice_spacing:.3g} mm apart"
    if wanted > count:
        return Decision(count, f"{apart}: {count} on each side, the most, though {wanted} would reach {REACH_MM:g} mm")
    if wanted < count:
        return Decision(count, f"{apart}, more than {REACH_MM:g} mm: {count} on each side, the least")
    return Decision(count, f"{apart}: {count} on each side comes nearest to {REACH_MM:g} mm")


def sequence_dropout(fingerprint: Fingerprint) -> Decision[float]:
    """Probability that a training patch loses some of its sequences: one half if any case lacks one, else 0."""
    lacking = sum(not all(case.present) for case in fingerprint.cases)
    if not lacking:
        return Decision(0.0, "every case has every sequence")
    return Decision(
        DROPOUT,
        f"{lacking} of {len(fingerprint.cases)} cases lack a sequence: half of the patches lose some too, "
        "so that any set of them can be predicted from",
    )


def _with_neighbours(decisions: PlannedDecisions, fingerprint: Fingerprint) -> PlannedDecisions:
    """Add `2.5d` after `2d`, where the median case has more than one slice."""
    flat = decisions.plan.configurations.get("2d")
    if flat is None or flat.slice_axis is None or flat.median_shape[flat.slice_axis] <= 1:
        return decisions
    spacing = float(np.median([case.spacing[flat.slice_axis] for case in fingerprint.cases]))
    stacked = decisions.configuration("2d").changed(
        slice_axis=Decision(flat.slice_axis, f"as 2d: {AXIS[flat.slice_axis]}, across which neighbours lie"),
        neighbours=neighbours(spacing),
        preprocessed_as=Decision("2d", "the cases of 2d, of the same spacing"),
    )
    configurations: dict[str, WithReasons[Configuration]] = {}
    for name, configuration in decisions.plan.configurations.items():
        configurations[name] = WithReasons(configuration)
        if name == "2d":
            configurations["2.5d"] = stacked
    return decisions.changed(configurations=configurations)


def _with_missing_sequences(decisions: PlannedDecisions, fingerprint: Fingerprint) -> PlannedDecisions:
    dropout = sequence_dropout(fingerprint)
    if not dropout.value:
        return decisions
    code = Decision(True, "tells the network which sequences a case has, where some lack one")
    return decisions.changed(
        configurations={
            name: WithReasons(c).changed(
                training=WithReasons(c.training).changed(sequence_dropout=dropout), availability_code=code
            )
            for name, c in decisions.plan.configurations.items()
        }
    )
