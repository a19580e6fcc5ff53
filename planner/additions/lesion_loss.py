"""Decide whether to train with the lesion-wise loss: where lesions are small.

In: the fingerprint. Out: the weight of the loss and its reason. nnU-Net has no such loss, so the reference plan has
none either; it is added to the plan that is followed.
"""

from __future__ import annotations

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.decision import Decision, WithReasons
from planner.additions.lesion_classes import lesion_classes, pieces_of
from planner.rules.reference_plan import PlannedDecisions

WEIGHT = 0.3
"""Weight of the lesion-wise loss beside the plain loss, whose weight is 1.

It finds as many lesions as a weight of 1 does, with fewer false ones (docs/experiments/lesions.md)."""

LARGEST_DIAMETER_MM = 10.0
"""Lesions are small if the median diameter is at most this. With a median of 12 mm the loss found no more lesions and
made more false ones (docs/experiments/lesions.md)."""


def lesion_loss(fingerprint: Fingerprint) -> Decision[float]:
    """Weight of the lesion-wise loss: `WEIGHT` if a class of lesions is small, else 0."""
    for name in lesion_classes(fingerprint).value:
        pieces = pieces_of(fingerprint, name)
        if pieces is not None and pieces.small_mm <= LARGEST_DIAMETER_MM:
            return Decision(
                WEIGHT,
                f"{name}: small lesions, the median one {pieces.small_mm:.0f} mm across, each of which is to count as "
                "much as a large one",
            )
    return Decision(0.0, f"no lesions of {LARGEST_DIAMETER_MM:g} mm or less: plain Dice and cross-entropy")


def with_lesions(decisions: PlannedDecisions, fingerprint: Fingerprint) -> PlannedDecisions:
    """The decisions with the classes that are lesions, and the weight of the lesion-wise loss in every configuration.

    Args:
        decisions: decisions that were made without lesions.
        fingerprint: fingerprint of the data set.
    """
    weight = lesion_loss(fingerprint)
    return decisions.changed(
        lesions=lesion_classes(fingerprint),
        configurations={
            name: WithReasons(c).changed(training=WithReasons(c.training).changed(lesion_loss=weight))
            for name, c in decisions.plan.configurations.items()
        },
    )
