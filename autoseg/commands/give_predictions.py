"""Gives the prediction of many images to an engine: writes down what was asked for, and hands over the units."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autoseg.commands.messages_of_predictions import say_predicted
from autoseg.commands.predicting import Models, list_cases, models_of, output_format_of
from autoseg.commands.status import listened
from autoseg.dataset.case import Case
from autoseg.errors import InputError, RunFolderError
from autoseg.names import is_text, listed
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.terminal import open_console
from autoseg.work.engine import Asked, check_engine, give_units
from autoseg.work.prediction_needs import needs_of_a_part
from autoseg.work.prediction_request import (
    AskedCase,
    PredictionOptions,
    PredictionRequest,
    read_prediction_request,
    write_prediction_request,
)
from autoseg.work.state import units_left
from autoseg.work.units import units_of


def give_predictions(
    folder: PredictionsFolder, options: PredictionOptions, labels: Path | str | None, asked: Asked
) -> None:
    """Write down what was asked for, and give the parts that are not predicted to the engine.

    Args:
        folder: folder of the predictions, on a file system that every machine sees under the same path.
        options: what is predicted and what is written.
        labels: folder of references with which the predictions are compared at the end; None = they are not.
        asked: the engine and its options.

    Raises:
        InputError: the engine is not at hand, an option is malformed, the images do not fit the models, or other units
            of the folder run.
        RunFolderError: the folder is a RUN folder, or nothing is trained yet.
    """
    run = RunFolder(folder.path)
    if run.plan.exists() or run.request.exists():
        raise RunFolderError(f"{folder.path}: is a RUN folder; give another folder for the predictions")
    check_engine(folder, asked)
    options, console = _everywhere(options), open_console(stderr=True)
    models = models_of(options)
    cases = list_cases(models, options, console)
    _refuse_impossible(models, cases, options, folder.path)
    request = _request_of(models, cases, options, None if labels is None else _whole("--evaluate", str(labels)))
    request = _write(folder, request)
    place = shlex.quote(str(folder.path))
    console.print(
        f"What was asked for is in {folder.request}: {len(cases):,} {'image' if len(cases) == 1 else 'images'}, in "
        f"{request.parts:,} {'part' if request.parts == 1 else 'parts'}; `autoseg status {place}` shows the units of "
        "work",
        soft_wrap=True,
    )
    if units_left(folder):
        scripts = give_units(folder, asked)
        if scripts is not None:
            print(scripts)
    else:
        console.print("Every unit of work is done; nothing is sent.")
    if not units_left(folder):
        say_predicted(console, folder)


def _request_of(
    models: Models, cases: Sequence[Case], options: PredictionOptions, labels: str | None
) -> PredictionRequest:
    parts, needs = needs_of_a_part(models.folder, models.what.plan, models.what.configurations, options, len(cases))
    return PredictionRequest(
        options=options,
        labels=labels,
        models=models.digest(options),
        cases=tuple(map(AskedCase.of, cases)),
        parts=parts,
        needs=needs,
    )


def _write(folder: PredictionsFolder, request: PredictionRequest) -> PredictionRequest:
    """Write down what was asked for, and let images be predicted again that have changed since they were listed.

    Returns:
        What was written: as long as the images are the same, so are the parts, which may wait in a queue.

    Raises:
        InputError: units run that were given something else.
    """
    try:
        before = read_prediction_request(folder) if folder.request.exists() else None
    except RunFolderError:
        # of another release, or damaged; the person asks anew
        before = None
    if before is not None and [case.name for case in before.cases] == [case.name for case in request.cases]:
        request = request.changed(parts=before.parts, needs=before.needs)
    if before == request:
        return request
    if before is not None:
        _refuse_running(folder)
        _forget_changed(folder, before, request)
    write_prediction_request(folder, request)
    return request


def _refuse_running(folder: PredictionsFolder) -> None:
    states = listened(folder, units_of(folder))
    if running := [unit.name for unit, state in states if state.word == "running" and state.heard]:
        raise InputError(
            f"{folder.path}: {listed(running)} {'runs' if len(running) == 1 else 'run'} with other images, models or "
            f"options than you ask for now; wait for that, or give `autoseg cancel {shlex.quote(str(folder.path))}` "
            "first"
        )


def _forget_changed(folder: PredictionsFolder, before: PredictionRequest, now: PredictionRequest) -> None:
    from inference.lasting_marks import forget

    known = {case.name: case for case in before.cases}
    forget(folder.path, [case.name for case in now.cases if known.get(case.name, case) != case])


def _refuse_impossible(models: Models, cases: Sequence[Case], options: PredictionOptions, output: Path) -> None:
    """Refuse at once what every part would refuse: files that may not be replaced, and formats that do not fit."""
    from inference.measurements.table import read_lines, refuse_other_images
    from inference.output_files import image_of, output_ending
    from inference.planned_files import planned_files
    from inference.writers import writer_for

    plan = models.what.plan
    writer = writer_for(output_format_of(options), cases, output, plan, output_ending)
    planned_files(
        cases,
        output,
        writer,
        save_members=options.save_members,
        preview=options.preview,
        probabilities=plan.labels if options.save_probabilities else None,
    )
    refuse_other_images(output, read_lines(output), {case.name: image_of(case) for case in cases})


def _everywhere(options: PredictionOptions) -> PredictionOptions:
    """The options with whole paths, as other machines need them."""
    return replace(
        options,
        run=_whole("RUN", options.run),
        images=tuple(_whole("--images", image) for image in options.images),
        codes=None if options.codes is None else _whole("--codes", options.codes),
    )


def _whole(option: str, path: str) -> str:
    if not is_text(path):
        shown = path.encode(errors="replace").decode()
        raise InputError(f"{option} {shown}: is not in UTF-8, so that it cannot be written down for other machines")
    return str(Path(path).absolute())
