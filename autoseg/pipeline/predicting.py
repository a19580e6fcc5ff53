"""The third stage: new images predicted by the folds' ensemble, and label maps compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from autoseg.defaults import DEFAULT_CONFIGURATIONS
from autoseg.errors import InputError, PartialFailure
from autoseg.pipeline.options import configurations_of, existing_run
from autoseg.pipeline.results import Report, show_report
from autoseg.plan import read_plan

if TYPE_CHECKING:
    from autoseg.metrics.summary import Summary


def predict(
    run: Path | str,
    images: Path | str | Sequence[Path | str],
    output: Path | str,
    *,
    config: str | Sequence[str] = DEFAULT_CONFIGURATIONS,
    fold: int | Sequence[int] | None = None,
    device: str = "auto",
    mirror: bool | None = None,
    save_probabilities: bool = False,
) -> None:
    """Predict label maps with all finished folds together.

    A prediction has its input's name, file format (NIfTI for DICOM) and geometry. An input that cannot
    be predicted is reported, and the rest go on.

    Args:
        run: a RUN folder, or a copy of its models.
        images: a folder, a file, several of them, or a `cases.csv`.
        output: folder for the predictions; several configurations get a subfolder each.
        config: configurations to predict with.
        fold: only these folds; None = all that are finished.
        device: `auto`, `cpu`, `cuda` or `mps`.
        mirror: average over mirrored images too; None = as the plan says.
        save_probabilities: also write the probability of every class.

    Raises:
        PartialFailure: some inputs could not be predicted; lists them.
        InputError, DatasetError: the inputs are not what the models take.
        RunFolderError: nothing is trained yet.
    """
    folder = existing_run(run)
    plan = read_plan(folder.plan)
    configurations = configurations_of(config)
    for name in configurations:
        plan.configuration(name)
    from autoseg.dataset.inputs import read_inputs
    from inference.predict import predict_cases

    paths = [Path(images)] if isinstance(images, (str, Path)) else [Path(image) for image in images]
    if not paths:
        raise InputError("no image to predict was given")
    cases = read_inputs(paths, tuple(channel.name for channel in plan.channels))
    problems: list[str] = []
    for name in configurations:
        problems += predict_cases(
            folder,
            cases,
            Path(output) / name if len(configurations) > 1 else Path(output),
            configuration=name,
            folds=(fold,) if isinstance(fold, int) else fold,
            device=device,
            mirror=mirror,
            save_probabilities=save_probabilities,
        )
    if problems:
        listed = "\n".join(dict.fromkeys(problems))
        raise PartialFailure(f"{len(problems)} of {len(cases) * len(configurations)} could not be predicted:\n{listed}")


def evaluate(
    reference: Path | str,
    prediction: Path | str,
    output: Path | str,
    *,
    run: Path | str | None = None,
    images: Path | str | None = None,
    workers: int | None = None,
) -> Summary:
    """Compare predicted label maps with references of the same names.

    Args:
        reference: folder of reference label maps.
        prediction: folder of predicted ones.
        output: folder for `metrics.csv`, `summary.json` and `report.html`.
        run: RUN folder whose plan names the classes; None = the `dataset.json` beside the references, or
            the values in them.
        images: folder of the images, to show under the outlines.
        workers: processes over cases; None = as many as cores and memory allow.

    Returns:
        What `summary.json` holds.

    Raises:
        InputError: the folders hold no label maps of the same names.
        PartialFailure: some cases could not be evaluated; the report of the others is written.
    """
    labels = None if run is None else read_plan(existing_run(run).plan).labels
    from inference.evaluate import IncompleteEvaluation, evaluate_folders

    try:
        summary = evaluate_folders(
            Path(reference),
            Path(prediction),
            Path(output),
            labels=labels,
            images=None if images is None else Path(images),
            workers=workers,
        )
        report = Report(summary, Path(output), None)
    except IncompleteEvaluation as incomplete:
        report = Report(incomplete.summary, Path(output), incomplete)
    show_report(Console(), report)
    return report.summary
