"""Gives the prediction of many images to an engine: writes down what was asked for, and hands over the units."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from autoseg.commands.folder_with_units import refuse_unsafe_work
from autoseg.commands.give_to_engine import NOTHING_LEFT, give_what_is_left
from autoseg.commands.messages_of_predictions import say_predicted
from autoseg.commands.predicting import Models, list_cases, models_of, output_format_of, refuse_incomparable
from autoseg.dataset.case import Case
from autoseg.errors import InputError, RunFolderError
from autoseg.names import is_text
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.terminal import open_console
from autoseg.work.at_work import refuse_if_at_work
from autoseg.work.engine import (
    Asked,
    Name,
    check_engine,
    giving,
    read_engine,
    scripts_of_units,
)
from autoseg.work.prediction_needs import needs_of_a_part
from autoseg.work.prediction_request import (
    AskedCase,
    PredictionOptions,
    PredictionRequest,
    differing_options,
    models_told,
    read_former_request,
    require_room,
    write_prediction_request,
)
from autoseg.work.state import units_left


def give_predictions(
    folder: PredictionsFolder, options: PredictionOptions, labels: Path | str | None, asked: Asked
) -> None:
    """Write down what was asked for, and give the parts that are not predicted to the engine; a dry run prints both.

    Args:
        folder: folder of the predictions, on a file system that every machine sees under the same path.
        options: what is predicted and what is written.
        labels: folder of references with which the predictions are compared at the end; None = they are not.
        asked: the engine and its options.

    Raises:
        InputError: the engine is not at hand, an option is malformed, or the images do not fit the models.
        RunFolderError: the folder is a RUN folder, nothing is trained yet, or units of an earlier request wait or run.
    """
    run = RunFolder(folder.path)
    if run.plan.exists() or run.request.exists():
        raise RunFolderError(f"{folder.path}: is a RUN folder; give another folder for the predictions")
    refuse_unsafe_work(folder, follow_links=options.follow_links)
    check_engine(folder, asked)
    options, console = _everywhere(options), open_console(stderr=True)
    models = models_of(options)
    if labels is not None:
        refuse_incomparable(models, options)
    cases = list_cases(models, options, console)
    _refuse_impossible(models, cases, options, folder.path)
    reference = None if labels is None else _whole("--evaluate", str(labels))
    before = read_former_request(folder)
    models.tell_members(options, console)
    request = _request_of(models, cases, options, reference, before)
    require_room(request)
    if asked.dry_run:
        _print_scripts(folder, asked, request, _changed(folder, before, request))
        return
    with giving(folder, asked.engine):
        # another process may have written its own since
        if (now := read_former_request(folder)) != before:
            before, request = now, _request_of(models, cases, options, reference, now)
        _hand_over(folder, before, request, asked)


def _hand_over(
    folder: PredictionsFolder,
    before: PredictionRequest | None,
    request: PredictionRequest,
    asked: Asked,
) -> None:
    """Write down what was asked for, and give the units to the engine; no other process does so here meanwhile."""
    # imports libraries that read images
    from inference.lasting_marks import forget

    count = len(request.cases)
    _refuse_other_request(folder, before, request, asked.engine)
    if before != request:
        forget(folder.path, _changed(folder, before, request))
        write_prediction_request(folder, request)
    images = f"{count:,} {'image' if count == 1 else 'images'}"
    parts = f"{request.parts:,} {'part' if request.parts == 1 else 'parts'}"
    was_given = give_what_is_left(folder, asked, f": {images}, in {parts}")
    if not was_given or not units_left(folder):
        say_predicted(open_console(stderr=True), folder)


def _request_of(
    models: Models,
    cases: Sequence[Case],
    options: PredictionOptions,
    labels: str | None,
    before: PredictionRequest | None,
) -> PredictionRequest:
    # as long as the images are the same, so are the parts, which may wait in a queue
    same = before is not None and [case.name for case in before.cases] == [case.name for case in cases]
    there = before.parts if before is not None and same else None
    run, what = models.folder, models.what
    parts, needs = needs_of_a_part(run, what.plan, what.configurations, options, len(cases), there)
    return PredictionRequest(
        options=options,
        labels=labels,
        models=models.digest(options),
        cases=tuple(map(AskedCase.of, cases)),
        parts=parts,
        needs=needs,
    )


def _changed(folder: PredictionsFolder, before: PredictionRequest | None, now: PredictionRequest) -> tuple[str, ...]:
    """Names of the cases that were not in the list before as they are now, so that a mark may be of another image."""
    from inference.lasting_marks import FOLDER, lasts

    if before is None and not lasts(folder.path / FOLDER):
        # marks that are there now are of commands that run, and each of them is looked at with its image
        return ()
    known = {} if before is None else {case.name: case for case in before.cases}
    return tuple(case.name for case in now.cases if known.get(case.name) != case)


def _print_scripts(
    folder: PredictionsFolder,
    asked: Asked,
    request: PredictionRequest,
    again: Collection[str],
) -> None:
    """Print what would be written, forgotten and sent, and do nothing of it."""
    from inference.lasting_marks import marks_of

    if units := units_left(folder, request, again):
        written, marks = {folder.request: request.as_ascii}, marks_of(folder.path, again)
        follow_links = request.options.follow_links
        print(scripts_of_units(folder, asked, units, written=written, removed=marks, follow_links=follow_links))
    else:
        open_console(stderr=True).print(NOTHING_LEFT)


def _refuse_other_request(
    folder: PredictionsFolder, before: PredictionRequest | None, now: PredictionRequest, engine: Name
) -> None:
    """Refuse other images, models, options or another engine than those of units that wait in a queue or run."""
    if before is None:
        return
    if differs := _differences(before, now):
        refuse_if_at_work(folder, f"an earlier `autoseg predict` asked for something else ({', '.join(differs)})")
    recorded = read_engine(folder)
    if recorded not in (None, "local", engine):
        refuse_if_at_work(folder, f"its units were given to {recorded}, and are to be given to {engine}")


def _differences(before: PredictionRequest, now: PredictionRequest) -> list[str]:
    """What differs in two requests, by the names of the options."""
    parts = {"the images": "cases", models_told(before.options, now.options): "models", "--evaluate": "labels"}
    told = [name for name, field in parts.items() if getattr(before, field) != getattr(now, field)]
    return told + differing_options(before.options, now.options)


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
