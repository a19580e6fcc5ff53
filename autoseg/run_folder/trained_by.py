"""`trained_by.json`: the plan settings that a fold was trained with, stored with the fold.

A network is not used with a plan whose input or network settings were changed after the fold began.
"""

from __future__ import annotations

from typing import Literal

from autoseg.disk.checksums import SealedModel
from autoseg.errors import RunFolderError
from autoseg.files import FileModel, differing_fields, read_model, write_text
from autoseg.image.labels import Labels
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Channel, Plan
from autoseg.plan.region import Region
from autoseg.run_folder.paths import RunFolder

FREE_AFTERWARDS = ("training", "prediction", "median_shape", "batch_size", "preprocessed_as")
"""Fields of a configuration that may change after training, since a trained network does not depend on them."""


class TrainedBy(SealedModel, FileModel):
    """The plan settings that a fold was trained with.

    Args:
        orientation: `canonical` or `as_stored`, as in the plan.
        channels: sequences of the data set and their normalisation.
        labels: classes of the data set.
        region: part of an image that the network sees; None = whole images.
        align: sequence onto which the others are moved; None = as they lie.
        configuration: configuration of the fold.
    """

    orientation: Literal["canonical", "as_stored"]
    channels: tuple[Channel, ...]
    labels: Labels
    region: Region | None = None
    align: str | None = None
    configuration: Configuration

    @classmethod
    def of(cls, plan: Plan, configuration: str) -> TrainedBy:
        """Return the settings of `plan` that a fold of the configuration is trained with.

        Raises:
            PlanError: the plan has no such configuration.
        """
        return cls(
            orientation=plan.orientation,
            channels=plan.channels,
            labels=plan.labels,
            region=plan.region,
            align=plan.align,
            configuration=plan.configuration(configuration),
        )

    def differing(self, now: TrainedBy) -> list[str]:
        """Dotted paths of the fields that a network depends on and whose values differ in `now`."""
        free = tuple(f"configuration.{field}" for field in FREE_AFTERWARDS)
        return [field for field in differing_fields(self, now) if not field.startswith(free)]


def write_trained_by(run: RunFolder, plan: Plan, configuration: str, fold: int) -> None:
    """Write `trained_by.json` of a fold that begins, atomically."""
    write_text(run.trained_by(configuration, fold), TrainedBy.of(plan, configuration).sealed_json())


def read_trained_by(run: RunFolder, configuration: str, fold: int) -> TrainedBy | None:
    """Read the settings that a fold is trained with; None where there is no file, as in earlier releases.

    Raises:
        RunFolderError: the file is malformed; the message names the file and the field.
    """
    advice = f"delete {run.fold(configuration, fold)} to train the fold anew"
    return read_model(run.trained_by(configuration, fold), TrainedBy, advice)


def refuse_other_plan_than_trained(run: RunFolder, plan: Plan, configuration: str) -> None:
    """Raise an error where a fold was trained with a region, spacing, network or normalisation that the plan lacks now.

    Args:
        run: RUN folder that holds the trained folds.
        plan: plan as `plan.yaml` now has it.
        configuration: name of the configuration whose folds are checked, finished or not.

    Raises:
        RunFolderError: a fold was begun with settings that the plan no longer has.
    """
    now = TrainedBy.of(plan, configuration)
    for fold, folder in run.begun_folds(configuration):
        then = read_trained_by(run, configuration, fold)
        if then is not None and (differing := then.differing(now)):
            raise RunFolderError(
                f"{folder}: fold {fold} of {configuration} was trained by another plan than {run.plan} now holds "
                f"(differing: {', '.join(differing)}); undo the change, or delete this folder to train the fold anew"
            )
