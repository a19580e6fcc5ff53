"""Lets `autoseg predict` by hand share a folder with units of work that wait in a queue or run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.commands.folder_with_units import refuse_unsafe_work
from autoseg.commands.predicting import Models
from autoseg.dataset.case import Case
from autoseg.names import listed
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.terminal import open_console
from autoseg.work.at_work import NAMED, is_at_work, refuse_if_at_work
from autoseg.work.prediction_request import (
    PredictionOptions,
    PredictionRequest,
    deciding,
    differing_options,
    models_told,
    read_former_request,
)

if TYPE_CHECKING:
    # imports libraries that read images
    from inference.part_of_many import PartOfMany


def beside_units(
    folder: PredictionsFolder, models: Models, cases: Sequence[Case], options: PredictionOptions
) -> PartOfMany | None:
    """Return what a prediction by hand shares with units of work of its folder; None where none of them wait or run.

    What the units have predicted is left as it is, and what is predicted by hand counts for them.

    Args:
        folder: folder of the predictions.
        models: RUN folder of the models, with the configurations and the post-processing that predict.
        cases: images to predict, with the name that each prediction gets.
        options: what is predicted and what is written.

    Raises:
        RunFolderError: units wait or run, and predict with other models or options, or other images of the same names.
    """
    if not folder.request.exists():
        return None
    refuse_unsafe_work(folder, follow_links=options.follow_links)
    request = read_former_request(folder)
    if request is None:
        return None
    if differs := _differences(request, models, cases, options):
        refuse_if_at_work(folder, f"an earlier `autoseg predict` asked for something else ({', '.join(differs)})")
        return None
    if not is_at_work(folder):
        return None
    from inference.part_of_many import PartOfMany

    open_console(stderr=True).print(
        f"{folder.path}: units of work wait or run there. What they have predicted is left as it is; what is predicted "
        "here, they do not predict again.",
        soft_wrap=True,
    )
    return PartOfMany(request.made_from, lambda: (), waits=False)


def _differences(
    request: PredictionRequest, models: Models, cases: Sequence[Case], options: PredictionOptions
) -> list[str]:
    """What differs from what the units predict; images that are not in their list are no difference."""
    whole = replace(options, run=str(Path(options.run).absolute()))
    told = differing_options(deciding(request.options), deciding(whole))
    if models.digest(options) != request.models:
        told.insert(0, models_told(request.options, options))
    known = {case.name: case.as_case().images for case in request.cases}
    now = {case.name: tuple(None if image is None else image.absolute() for image in case.images) for case in cases}
    if others := [name for name, images in now.items() if known.get(name, images) != images]:
        told.append(f"other images of the names {listed(others, NAMED)}")
    return told
