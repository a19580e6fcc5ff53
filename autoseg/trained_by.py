"""What a network's input and shape follow from, kept with each fold: it must not be used by a plan changed since."""

from __future__ import annotations

from typing import Literal

from autoseg.labels import Labels
from autoseg.plan import Channel, Configuration, Plan, PlanModel, differing_fields

FREE_AFTERWARDS = ("training", "prediction", "median_shape", "batch_size", "preprocessed_as")
"""Fields of a configuration that a trained network can be used without."""


class TrainedBy(PlanModel):
    """The part of a plan that a fold was trained by."""

    orientation: Literal["canonical", "as_stored"]
    channels: tuple[Channel, ...]
    labels: Labels
    configuration: Configuration

    @classmethod
    def of(cls, plan: Plan, configuration: str) -> TrainedBy:
        """What a fold of a configuration is trained by.

        Raises:
            PlanError: there is no such configuration.
        """
        return cls(
            orientation=plan.orientation,
            channels=plan.channels,
            labels=plan.labels,
            configuration=plan.configuration(configuration),
        )

    def differing(self, now: TrainedBy) -> list[str]:
        """Dotted paths of fields that the network depends on, and that are others now."""
        free = tuple(f"configuration.{field}" for field in FREE_AFTERWARDS)
        return [field for field in differing_fields(self, now) if not field.startswith(free)]
