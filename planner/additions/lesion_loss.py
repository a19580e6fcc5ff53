"""Decide whether to train with the lesion-wise loss: where a class has several small connected components per case.

In: the fingerprint. Out: the weight of the loss and its reason. nnU-Net has no such loss, so the reference plan has
none either; it is added to the plan that is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.metrics.lesions import equivalent_diameter
from autoseg.plan.decision import Decision, WithReasons
from planner.rules.reference_plan import PlannedDecisions

WEIGHT = 0.3
"""Weight of the lesion-wise loss beside the plain loss, whose weight is 1.

It finds as many lesions as a weight of 1 does, with fewer false ones (docs/experiments/lesions.md)."""

LEAST_COMPONENTS = 2
"""The median case must have at least this many components, so that a plain Dice loss could neglect some of them."""

LARGEST_DIAMETER_MM = 10.0
"""Components count as small if the median diameter is at most this. With a median of 12 mm the loss found no more
lesions and made more false ones (docs/experiments/lesions.md)."""

LEAST_SHARE_OUTSIDE_LARGEST = 0.1
"""At least this share of a class's volume must lie outside the largest component of each case. Otherwise the other
components are specks left over from drawing, not lesions."""


@dataclass(frozen=True)
class Components:
    """The connected components of a class: their number, size and share of the volume.

    Args:
        a_case: median number of components over the cases that have the class.
        diameter_mm: diameter in mm of a ball with the median volume of the components.
        outside_largest: share of the class's volume, over all cases, outside the largest component of each case.
    """

    a_case: float
    diameter_mm: float
    outside_largest: float

    @property
    def are_small_lesions(self) -> bool:
        """Whether the components are several per case and small, and not specks beside one structure."""
        small = self.diameter_mm <= LARGEST_DIAMETER_MM
        return small and self.a_case >= LEAST_COMPONENTS and self.outside_largest >= LEAST_SHARE_OUTSIDE_LARGEST


def lesion_loss(fingerprint: Fingerprint) -> Decision[float]:
    """Weight of the lesion-wise loss: `WEIGHT` if a class has several small components per case, else 0."""
    found = {
        name: components for name in fingerprint.labels.foreground if (components := components_of(fingerprint, name))
    }
    lesions = [name for name, components in found.items() if components.are_small_lesions]
    if lesions:
        components = found[lesions[0]]
        return Decision(
            WEIGHT,
            f"{', '.join(lesions)}: small components ({components.a_case:g} in the median case, the median one "
            f"{components.diameter_mm:.0f} mm across), each of which is to count as much as a large one",
        )
    return Decision(
        0.0,
        f"no class comes in {LEAST_COMPONENTS} or more pieces a case of {LARGEST_DIAMETER_MM:g} mm or less: "
        "plain Dice and cross-entropy",
    )


def components_of(fingerprint: Fingerprint, name: str) -> Components | None:
    """Number and size of the connected components of a class; None where no case has the class.

    Args:
        fingerprint: fingerprint of the data set.
        name: name of the foreground class, such as `lesion`.
    """
    cases: list[Sequence[float]] = [
        case.classes[name].components_mm3
        for case in fingerprint.cases
        if name in case.classes and case.classes[name].components_mm3
    ]
    if not cases:
        return None
    volumes = list(chain.from_iterable(cases))
    return Components(
        a_case=float(median(len(components) for components in cases)),
        diameter_mm=equivalent_diameter(median(volumes) / 1000),
        outside_largest=1 - sum(max(components) for components in cases) / sum(volumes),
    )


def with_lesion_loss(decisions: PlannedDecisions, fingerprint: Fingerprint) -> PlannedDecisions:
    """The decisions with the weight of the lesion-wise loss set in every configuration.

    Args:
        decisions: decisions that were made without this loss.
        fingerprint: fingerprint of the data set.
    """
    weight = lesion_loss(fingerprint)
    return decisions.changed(
        configurations={
            name: WithReasons(c).changed(training=WithReasons(c.training).changed(lesion_loss=weight))
            for name, c in decisions.plan.configurations.items()
        }
    )
