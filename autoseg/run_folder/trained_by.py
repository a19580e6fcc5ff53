"""What a network's input and shape follow from, kept with each fold: it must not be used by a plan changed since."""

from __future__ import annotations

from typing import Literal

from autoseg.errors import RunFolderError
from autoseg.files import FileModel, differing_fields, read_model, write_text
from autoseg.image.labels import Labels
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Channel, Plan
from autoseg.run_folder.paths import RunFolder

FREE_AFTERWARDS = ("training", "prediction", "median_shape", "batch_size", "preprocessed_as")
"""Fields of a configuration that a trained network can be used without."""


class TrainedBy(FileModel):
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


def write_trained_by(run: RunFolder, plan: Plan, configuration: str, fold: int) -> None:
    """Write `trained_by.json` of a fold that begins, atomically."""
    text = TrainedBy.of(plan, configuration).model_dump_json(indent=1)
    write_text(run.trained_by(configuration, fold), text)


def read_trained_by(run: RunFolder, configuration: str, fold: int) -> TrainedBy | None:
    """By what a fold was begun; None where it does not say, as those of earlier releases.

    Raises:
        RunFolderError: the file is malformed; names file and field.
    """
    advice = f"delete {run.fold(configuration, fold)} to train the fold anew"
    return read_model(run.trained_by(configuration, fold), TrainedBy, advice)


def refuse_other_plan_than_trained(run: RunFolder, plan: Plan, configuration: str) -> None:
    """Refuse to take a network for one of another spacing, shape or normalisation.

    Args:
        run: the RUN folder.
        plan: as `plan.yaml` now stands.
        configuration: whose folds are looked at, finished or not.

    Raises:
        RunFolderError: a fold was begun by settings that the plan no longer has.
    """
    now = TrainedBy.of(plan, configuration)
    for fold, folder in run.begun_folds(configuration):
        then = read_trained_by(run, configuration, fold)
        if then is not None and (differing := then.differing(now)):
            raise RunFolderError(
                f"{folder}: fold {fold} of {configuration} was trained by another plan than {run.plan} now holds "
                f"(differing: {', '.join(differing)}); undo the change, or delete this folder to train the fold anew"
            )
