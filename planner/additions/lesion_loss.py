"""Whether to train with the lesion-wise loss: where classes come in many small pieces.

In: the fingerprint. Out: the weight of the loss, with the reason for it. nnU-Net has no such loss, so the
reference plan has none either; it is added to the plan that is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.metrics.lesions import equivalent_diameter
from autoseg.plan.decision import Decision
from planner.rules.reference_plan import PlannedDecisions

WEIGHT = 0.3
"""Beside the plain loss of weight 1. It finds as many lesions as a weight of 1 does, with fewer false ones
(docs/experiments/lesions.md)."""

SEVERAL = 2
"""Pieces of the median case from which there are lesions that a plain Dice loss could neglect for others."""

SMALL_MM = 10.0
"""Diameter of the median piece up to which pieces count as small. With a median of 12 mm the loss found no more of
them and made more false ones (docs/experiments/lesions.md)."""

SPECKS = 0.1
"""Share of a class outside the largest piece of each case, below which the other pieces are specks that
drawing left behind and no lesions of their own."""


@dataclass(frozen=True)
class Pieces:
    """How a class comes in pieces.

    Args:
        a_case: pieces of the median case that has the class.
        diameter_mm: of the median piece, as a ball of its volume.
        outside_largest: share of the class's volume that is not in the largest piece of its case.
    """

    a_case: float
    diameter_mm: float
    outside_largest: float

    @property
    def are_small_lesions(self) -> bool:
        """Whether there are several of them in a case, small, and no specks beside one structure."""
        return self.a_case >= SEVERAL and self.diameter_mm <= SMALL_MM and self.outside_largest >= SPECKS


def lesion_loss(fingerprint: Fingerprint) -> Decision[float]:
    """Weight of the lesion-wise loss: 0, or `WEIGHT` where a class comes in several small pieces a case."""
    found = {name: pieces for name in fingerprint.labels.foreground if (pieces := pieces_of(fingerprint, name))}
    lesions = [name for name, pieces in found.items() if pieces.are_small_lesions]
    if lesions:
        pieces = found[lesions[0]]
        return Decision(
            WEIGHT,
            f"{', '.join(lesions)}: small pieces ({pieces.a_case:g} in the median case, the median one "
            f"{pieces.diameter_mm:.0f} mm across), each of which is to count as much as a large one",
        )
    return Decision(
        0.0,
        f"no class comes in {SEVERAL} or more pieces a case of {SMALL_MM:g} mm or less: plain Dice and cross-entropy",
    )


def pieces_of(fingerprint: Fingerprint, name: str) -> Pieces | None:
    """How a class comes in pieces; None where no case has it.

    Args:
        fingerprint: of the data set.
        name: of the class.
    """
    cases: list[Sequence[float]] = [
        case.classes[name].components_mm3
        for case in fingerprint.cases
        if name in case.classes and case.classes[name].components_mm3
    ]
    if not cases:
        return None
    volumes = list(chain.from_iterable(cases))
    return Pieces(
        a_case=float(median(len(components) for components in cases)),
        diameter_mm=equivalent_diameter(median(volumes) / 1000),
        outside_largest=1 - sum(max(components) for components in cases) / sum(volumes),
    )


def with_lesion_loss(decisions: PlannedDecisions, fingerprint: Fingerprint) -> PlannedDecisions:
    """The decisions with the lesion-wise loss where the rule asks for it, in every configuration.

    Args:
        decisions: made without it.
        fingerprint: of the data set.
    """
    weight = lesion_loss(fingerprint)
    configurations = {
        name: c.changed(training=c.training.changed(lesion_loss=weight.value))
        for name, c in decisions.plan.configurations.items()
    }
    reasons = {f"configurations.{name}.training.lesion_loss": weight.reason for name in configurations}
    plan = decisions.plan.changed(configurations=configurations)
    return PlannedDecisions(plan, decisions.reasons | reasons)
