"""Does the units of work of a folder of predictions: a part of the images, and the comparison with references."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from autoseg.commands.predicting import compare, models_of, predict_listed
from autoseg.errors import InputError
from autoseg.run_folder.lock_holder import Watch
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.terminal import open_console
from autoseg.work.prediction_request import read_prediction_request
from autoseg.work.prediction_units import Predicted, predicted_by
from autoseg.work.state import States
from autoseg.work.unit import Unit
from autoseg.work.units import units_of


def do_prediction(folder: PredictionsFolder, unit: Unit, watch: Watch, *, follow_links: bool) -> None:
    """Do a unit.

    Args:
        folder: folder of the predictions.
        unit: one of its units.
        watch: knows which processes live.
        follow_links: whether links in the RUN folder may lead out of it, as whoever does the unit says.

    Raises:
        InputError: the models have changed since they were asked for.
        IncompletePrediction: some images could not be predicted.
        AutosegError: as `autoseg predict` and `autoseg evaluate`.
    """
    request = read_prediction_request(folder)
    options = replace(request.options, follow_links=follow_links)
    if unit.kind == "evaluate":
        assert request.labels is not None
        compare(folder, Path(request.labels), options)
        return
    from inference.part_of_many import PartOfMany

    models = models_of(options)
    if models.digest(options) != request.models:
        raise InputError(
            f"{models.folder.path}: its plan, selection or models have changed since the predictions in {folder.path} "
            "were asked for, or the table of --codes, or the release of autoseg; give the same `autoseg predict` "
            "again, which predicts all images with what is there now"
        )
    predict_listed(
        models,
        [case.as_case() for case in request.cases],
        options,
        folder.path,
        open_console(stderr=True),
        part=predicted_by(unit),
        of_many=PartOfMany(request.made_from, lambda: cases_to_help(folder, unit, watch)),
    )


def cases_to_help(folder: PredictionsFolder, own: Unit, watch: Watch) -> tuple[str, ...]:
    """Names of the cases that parts which run have left, the last ones of each first.

    As long as a part waits for its turn there are none: whoever is done takes that part.

    Args:
        folder: folder of the predictions.
        own: unit that is done, and may help.
        watch: knows which processes live.
    """
    states, predicted, left = States(folder, watch), Predicted(folder), list[str]()
    # parts that wait are the last ones as a rule, so that few of many are looked at
    for unit in reversed([unit for unit in units_of(folder) if unit.kind == "predict" and unit != own]):
        if of_unit := predicted.left_of(predicted_by(unit)[0]):
            word = states.of(unit).word
            if word == "ready":
                return ()
            left += reversed(of_unit) if word == "running" else ()
    return tuple(left)
