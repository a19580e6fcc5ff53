"""What `autoseg predict` and its units of work have in common: lists the images, and predicts what was listed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from autoseg.commands.guards import existing_run
from autoseg.commands.what_predicts import WhatPredicts, say_what_predicts, what_predicts
from autoseg.dataset.case import Case
from autoseg.errors import InputError, RunFolderError
from autoseg.plan.network_input import seen_sequences
from autoseg.results import IncompletePrediction, Predictions, WrittenFile
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.terminal import styled
from autoseg.work.at_work import is_at_work
from autoseg.work.prediction_request import PredictionOptions, models_now

if TYPE_CHECKING:
    # imports torch
    from inference.ensemble import Member
    from inference.part_of_many import PartOfMany
    from inference.writers import OutputFormat


@dataclass(frozen=True)
class Models:
    """The models that predict.

    Args:
        folder: RUN folder, or a copy of its models.
        what: names of the configurations that predict together, and the post-processing of each class.
    """

    folder: RunFolder
    what: WhatPredicts

    def digest(self, options: PredictionOptions) -> str:
        """Digest of the models, which changes where one of them is trained anew or another fold is finished.

        So does what the table of codes says of the classes.

        Raises:
            RunFolderError: a fold is not trained.
            InputError: the table of codes is malformed.
        """
        from inference.writers import segments_for

        members = [(one.configuration, one.fold) for of_one in self._members(options).values() for one in of_one]
        return models_now(self.folder, members, repr(segments_for(output_format_of(options), self.what.plan)))

    def tell_members(self, options: PredictionOptions, console: Console) -> None:
        """Print which folds predict, and which of them were not trained to their end.

        Raises:
            RunFolderError: a fold is not trained.
        """
        from inference.ensemble_groups import tell_members

        for name, members in self._members(options).items():
            tell_members(name, members, console)

    def _members(self, options: PredictionOptions) -> dict[str, tuple[Member, ...]]:
        """The folds that predict, by the name of their configuration."""
        from inference.ensemble import choose_members

        return {name: choose_members(self.folder, name, options.fold) for name in self.what.configurations}


def models_of(options: PredictionOptions) -> Models:
    """Find the models that predict.

    Raises:
        RunFolderError: the folder is no RUN folder, or no fold is trained yet of a run that is at work.
        PlanError: a configuration is not in the plan.
    """
    folder = existing_run(options.run, follow_links=options.follow_links)
    models = Models(folder, what_predicts(folder, options.config, post_processing=options.post_processing))
    for name in models.what.configurations:
        _refuse_in_training(folder, name)
    return models


def _refuse_in_training(folder: RunFolder, name: str) -> None:
    """Refuse a configuration without a trained fold while units of its run wait or run.

    Nobody is told to train it then: another training would run beside them.
    """
    has_weights = any(folder.weights(name, fold).exists() for fold, _ in folder.folds(name))
    if not has_weights and is_at_work(folder):
        raise RunFolderError(
            f"{folder.models(name)}: no fold of {name} is trained yet, and units of the run wait or run; see "
            f"`autoseg status {shlex.quote(str(folder.path))}`"
        )


def list_cases(models: Models, options: PredictionOptions, console: Console) -> tuple[Case, ...]:
    """List the cases to predict; what is understood of folders is told.

    Raises:
        InputError: there is no image, or no configuration uses the sequences that were asked for.
        DatasetError: a table is malformed.
    """
    from autoseg.dataset.inputs import read_inputs

    plan = models.what.plan
    if not options.images:
        raise InputError("no image to predict was given")
    channels = tuple(channel.name for channel in plan.channels)
    seen = {name: seen_sequences(plan, plan.configuration(name)) for name in models.what.configurations}
    used = _used_sequences(channels, seen, options.sequences)
    return read_inputs(
        [Path(image) for image in options.images],
        channels,
        sequences=used,
        needed=[name for name in used if any(name in of_one for of_one in seen.values())],
        by_patient=options.by_patient,
        tell=lambda sentence: console.print(styled("yellow", "images", f" {sentence}"), soft_wrap=True),
    )


def predict_listed(
    models: Models,
    cases: Sequence[Case],
    options: PredictionOptions,
    results: Path,
    console: Console,
    *,
    skip_existing: bool = False,
    part: tuple[int, int] = (0, 1),
    of_many: PartOfMany | None = None,
) -> Predictions:
    """Predict cases.

    Args:
        models: RUN folder of the models, with the configurations and the post-processing that predict.
        cases: cases of all parts.
        options: what is predicted and what is written.
        results: folder of the predictions.
        console: what predicts is told there.
        skip_existing: whether cases are left as they are of which all outputs are there.
        part: number of the part that is predicted, from 0, and number of parts.
        of_many: what a unit of work knows of the others; None = this is none.

    Raises:
        IncompletePrediction: some cases could not be predicted.
        InputError: the images do not fit the models, or an option is malformed.
        RunFolderError: nothing is trained yet.
    """
    from inference.predict import predict_cases

    say_what_predicts(console, models.folder, models.what)
    _, selected, selection, configurations = models.what
    written: list[WrittenFile] = []
    problems = predict_cases(
        models.folder,
        cases,
        results,
        configuration=configurations,
        folds=options.fold,
        rules=() if selection is None else selection.post_processing,
        scores=() if selected is None else selected.lesion_scores,
        device=options.device,
        mirror=options.mirror,
        save_probabilities=options.save_probabilities,
        save_members=options.save_members,
        agreement=options.agreement,
        preview=options.preview,
        skip_existing=skip_existing,
        whole_image=options.whole_image,
        threads=options.threads,
        output_format=output_format_of(options),
        wrote=written.append,
        part=part,
        of_many=of_many,
    )
    predictions = Predictions(results, tuple(written))
    if problems:
        raise IncompletePrediction(problems, len(cases[part[0] :: part[1]]), predictions)
    return predictions


def refuse_incomparable(models: Models, options: PredictionOptions) -> None:
    """Refuse predictions of a kind that is not read as labels, before anything is predicted.

    Raises:
        InputError: the predictions would not be compared.
    """
    if options.seg_type == "fractional":
        raise InputError("--evaluate: label maps are compared, and no fractions; leave --seg-type fractional out")
    if options.format is not None and models.what.plan.labels.overlapping:
        raise InputError(
            f"--evaluate: the classes are regions, and of segments that may overlap no label map is made; leave "
            f"--format {options.format} out"
        )


def compare(folder: PredictionsFolder, labels: Path, options: PredictionOptions) -> None:
    """Compare predictions with references, as `autoseg evaluate` does.

    Raises:
        InputError: the folders hold no label maps of the same names.
        PartialFailure: some cases could not be evaluated; the report of the others is written.
    """
    from autoseg.commands.evaluate import evaluate

    evaluate(
        labels,
        folder.path,
        folder.evaluation,
        run=options.run,
        threads=options.threads,
        follow_links=options.follow_links,
    )


def output_format_of(options: PredictionOptions) -> OutputFormat:
    """The format of the predictions."""
    from inference.writers import OutputFormat

    codes = None if options.codes is None else Path(options.codes)
    return OutputFormat(options.format, options.seg_type or "binary", codes)


def _used_sequences(
    channels: Sequence[str], seen: Mapping[str, Sequence[str]], asked: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the names of the sequences to predict from.

    Args:
        channels: names of the plan's channels.
        seen: for each configuration, the sequences that are input to its network.
        asked: sequences that the person asked for; None = all.

    Raises:
        InputError: there is no such sequence, or no configuration uses any of those that were asked for.
    """
    if asked is None:
        return tuple(channels)
    if not asked:
        raise InputError("--sequences: name at least one")
    if unknown := [name for name in asked if name not in channels]:
        raise InputError(f"--sequences {' '.join(unknown)}: the models know {', '.join(channels)}")
    if not any(set(sequences) & set(asked) for sequences in seen.values()):
        sights = "; ".join(f"{name} sees only {', '.join(sequences)}" for name, sequences in seen.items())
        raise InputError(f"--sequences {' '.join(asked)}: {sights}")
    return tuple(asked)
