"""`autoseg predict`: predicts label maps of new images with the ensemble of all finished folds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from autoseg.commands.beside_units import beside_units
from autoseg.commands.command import command
from autoseg.commands.give_predictions import give_predictions
from autoseg.commands.guards import folder_for_results
from autoseg.commands.options import (
    Agreement,
    ByPatient,
    Codes,
    Device,
    DryRun,
    Engine,
    EvaluateWith,
    FollowLinks,
    Images,
    Insecure,
    MemberConfigurations,
    MemberFolds,
    Mirror,
    Part,
    PostProcessing,
    PredictionFolder,
    PredictionFormat,
    Preview,
    Retries,
    RunOrModels,
    SaveMembers,
    SaveProbabilities,
    SegmentationType,
    Sequences,
    SkipExisting,
    SlurmOptions,
    Threads,
    WholeImage,
)
from autoseg.commands.predicting import compare, list_cases, models_of, predict_listed, refuse_incomparable
from autoseg.errors import AutosegError, InputError
from autoseg.results import IncompletePrediction, Predictions
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.terminal import open_console, styled
from autoseg.work.engine import asked_of
from autoseg.work.prediction_request import PredictionOptions

Value = TypeVar("Value", str, int)


@command
def predict(
    run: RunOrModels,
    images: Images,
    output: PredictionFolder,
    *,
    config: MemberConfigurations = None,
    fold: MemberFolds = None,
    sequences: Sequences = None,
    device: Device = "auto",
    mirror: Mirror = None,
    save_probabilities: SaveProbabilities = False,
    save_members: SaveMembers = False,
    agreement: Agreement = None,
    preview: Preview = False,
    skip_existing: SkipExisting = False,
    post_processing: PostProcessing = True,
    whole_image: WholeImage = False,
    by_patient: ByPatient = False,
    threads: Threads = None,
    follow_links: FollowLinks = False,
    format: PredictionFormat = None,
    seg_type: SegmentationType = None,
    codes: Codes = None,
    part: Part = None,
    evaluate: EvaluateWith = None,
    engine: Engine = "local",
    retries: Retries = None,
    slurm_option: SlurmOptions = None,
    dry_run: DryRun = False,
    insecure: Insecure = False,
) -> Predictions:
    """Predict images with all finished folds together, as `autoseg select` chose.

    Each prediction has its input's name, geometry and, without --format, format (NIfTI for DICOM). A DICOM series, at
    any depth of a folder, is named by folder and series. An input that cannot be predicted is reported, and the others
    go on; the exit status is then 1. Files of sequences that are not used need not exist.
    Several of these commands, on one machine or many, may predict into one folder: they share the cases, and each case
    is predicted once. With --engine slurm or ray, parts of the images are predicted on any machine which sees RUN, the
    images and the folder of the predictions under the same paths; see docs/cluster.md.
    Sizes of every class, and how far the folds agree, are in measurements.csv; the last line names what to check first.

    Returns:
        The files that this process wrote; a table in a notebook. With --engine slurm or ray others write them.

    Raises:
        IncompletePrediction: some inputs could not be predicted; the message lists them, and the error's `predictions`
            the files that were written.
        InputError, DatasetError: the inputs do not fit the models, or an option is malformed.
        PartialFailure: units of work failed, or some predictions could not be evaluated.
        RunFolderError: nothing is trained yet, or units of work wait or run that predict something else into the
            folder.
    """
    if seg_type is not None and format != "dicom-seg":
        raise InputError("--seg-type: is for --format dicom-seg alone; give both, or neither")
    numbers = part_of(part)
    asked = asked_of(engine, retries=retries, slurm_options=slurm_option, dry_run=dry_run, insecure=insecure)
    if evaluate is not None and part is not None:
        raise InputError("--evaluate: compares the predictions of all images; leave --part out")
    if evaluate is not None and not Path(evaluate).is_dir():
        # told now, and not once all images are predicted
        raise InputError(f"--evaluate {evaluate}: is no folder; give the folder of the references")
    results = folder_for_results(output)
    options = PredictionOptions(
        run=str(run),
        images=tuple(map(str, [images] if isinstance(images, (str, Path)) else images)),
        config=_several(config),
        fold=_several(fold),
        sequences=_several(sequences),
        device=device,
        mirror=mirror,
        save_probabilities=save_probabilities,
        save_members=save_members,
        agreement=agreement,
        preview=preview,
        post_processing=post_processing,
        whole_image=whole_image,
        by_patient=by_patient,
        threads=threads,
        follow_links=follow_links,
        format=format,
        seg_type=seg_type,
        codes=None if codes is None else str(codes),
    )
    if asked.engine != "local":
        if part is not None or skip_existing:
            raise InputError(
                f"--{'part' if part is not None else 'skip-existing'}: is for --engine local; units of work leave as "
                "it is what is predicted with the same models and options"
            )
        give_predictions(PredictionsFolder(results), options, evaluate, asked)
        return Predictions(results, ())
    models, console = models_of(options), open_console(stderr=True)
    if evaluate is not None:
        refuse_incomparable(models, options)
    cases = list_cases(models, options, console)
    of_many = beside_units(PredictionsFolder(results), models, cases, options)
    failure: IncompletePrediction | None = None
    try:
        predictions = predict_listed(
            models, cases, options, results, console, skip_existing=skip_existing, part=numbers, of_many=of_many
        )
    except IncompletePrediction as some:
        # the others are compared first
        failure, predictions = some, some.predictions
    if evaluate is not None:
        try:
            compare(PredictionsFolder(results), Path(evaluate), options)
        except AutosegError as error:
            # that some are not predicted matters more, and is told last
            if failure is None:
                raise
            console.print(styled("red", "--evaluate", f" {error}"), soft_wrap=True)
    if failure is not None:
        raise failure
    return predictions


def part_of(text: str | None) -> tuple[int, int]:
    """Return the number of a part, from 0, and the number of parts, of a text such as `2/8`.

    Raises:
        InputError: it is no such text.
    """
    if text is None:
        return 0, 1
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"--part {text}: is no part; write 2/8 for the second of eight, from 1/8 to 8/8")
    return int(found[1]) - 1, int(found[2])


def _several(value: Value | Sequence[Value] | None) -> tuple[Value, ...] | None:
    """One value, or several, as a tuple; None stays."""
    if value is None:
        return None
    return (value,) if isinstance(value, str | int) else tuple(value)
