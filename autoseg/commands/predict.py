"""`autoseg predict`: predicts label maps of new images with the ensemble of all finished folds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from autoseg.commands.command import command
from autoseg.commands.guards import existing_run, folder_for_results
from autoseg.commands.options import (
    Agreement,
    ByPatient,
    Codes,
    Device,
    FollowLinks,
    Images,
    MemberConfigurations,
    MemberFolds,
    Mirror,
    Part,
    PostProcessing,
    PredictionFolder,
    PredictionFormat,
    Preview,
    RunOrModels,
    SaveMembers,
    SaveProbabilities,
    SegmentationType,
    Sequences,
    SkipExisting,
    Threads,
    WholeImage,
)
from autoseg.commands.what_predicts import say_what_predicts, what_predicts
from autoseg.errors import InputError
from autoseg.plan.network_input import seen_sequences
from autoseg.results import IncompletePrediction, Predictions, WrittenFile
from autoseg.terminal import open_console, styled


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
) -> Predictions:
    """Predict images with all finished folds together, as `autoseg select` chose.

    Each prediction has its input's name, geometry and, without --format, format (NIfTI for DICOM). A DICOM series, at
    any depth of a folder, is named by folder and series. An input that cannot be predicted is reported, and the others
    go on; the exit status is then 1. Files of sequences that are not used need not exist.
    Several of these commands, on one machine or many, may predict into one folder: they share the cases, and each case
    is predicted once.
    Sizes of every class, and how far the folds agree, are in measurements.csv; the last line names what to check first.

    Returns:
        The files that were written; a table in a notebook.

    Raises:
        IncompletePrediction: some inputs could not be predicted; the message lists them, and the error's `predictions`
            the files that were written.
        InputError, DatasetError: the inputs do not fit the models, or an option is malformed.
        RunFolderError: nothing is trained yet.
    """
    if seg_type is not None and format != "dicom-seg":
        raise InputError("--seg-type: is for --format dicom-seg alone; give both, or neither")
    numbers = part_of(part)
    results = folder_for_results(output)
    folder = existing_run(run, follow_links=follow_links)
    what = what_predicts(folder, config, post_processing=post_processing)
    plan, selected, selection, configurations = what
    from autoseg.dataset.inputs import read_inputs
    from inference.predict import predict_cases
    from inference.writers import OutputFormat

    paths = [Path(images)] if isinstance(images, (str, Path)) else [Path(image) for image in images]
    if not paths:
        raise InputError("no image to predict was given")
    channels = tuple(channel.name for channel in plan.channels)
    seen = {name: seen_sequences(plan, plan.configuration(name)) for name in configurations}
    used = _used_sequences(channels, seen, sequences)
    needed = [name for name in used if any(name in of_one for of_one in seen.values())]
    console = open_console(stderr=True)
    cases = read_inputs(
        paths,
        channels,
        sequences=used,
        needed=needed,
        by_patient=by_patient,
        tell=lambda sentence: console.print(styled("yellow", "images", f" {sentence}"), soft_wrap=True),
    )
    say_what_predicts(console, folder, what)
    written: list[WrittenFile] = []
    problems = predict_cases(
        folder,
        cases,
        results,
        configuration=configurations,
        folds=(fold,) if isinstance(fold, int) else fold,
        rules=() if selection is None else selection.post_processing,
        scores=() if selected is None else selected.lesion_scores,
        device=device,
        mirror=mirror,
        save_probabilities=save_probabilities,
        save_members=save_members,
        agreement=agreement,
        preview=preview,
        skip_existing=skip_existing,
        whole_image=whole_image,
        threads=threads,
        output_format=OutputFormat(format, seg_type or "binary", None if codes is None else Path(codes)),
        wrote=written.append,
        part=numbers,
    )
    predictions = Predictions(results, tuple(written))
    if problems:
        raise IncompletePrediction(problems, len(cases), predictions)
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


def _used_sequences(
    channels: Sequence[str], seen: Mapping[str, Sequence[str]], asked: str | Sequence[str] | None
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
    used = (asked,) if isinstance(asked, str) else tuple(asked)
    if not used:
        raise InputError("--sequences: name at least one")
    if unknown := [name for name in used if name not in channels]:
        raise InputError(f"--sequences {' '.join(unknown)}: the models know {', '.join(channels)}")
    if not any(set(sequences) & set(used) for sequences in seen.values()):
        sights = "; ".join(f"{name} sees only {', '.join(sequences)}" for name, sequences in seen.items())
        raise InputError(f"--sequences {' '.join(used)}: {sights}")
    return used
