"""`autoseg evaluate`: compares predicted label maps with references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.commands.options import check_threads_and_epochs, existing_run
from autoseg.commands.results import Report, show_report
from autoseg.plan.plan import read_plan
from autoseg.terminal import open_console

if TYPE_CHECKING:
    from autoseg.metrics.summary import Summary


def evaluate(
    reference: Path | str,
    prediction: Path | str,
    output: Path | str,
    *,
    run: Path | str | None = None,
    images: Path | str | None = None,
    workers: int | None = None,
    threads: int | None = None,
) -> Summary:
    """Compare predicted label maps with references of the same names.

    Args:
        reference: folder of reference label maps.
        prediction: folder of predicted label maps.
        output: folder for `metrics.csv`, `summary.json` and `report.html`.
        run: RUN folder whose plan names the classes; None = the `dataset.json` beside the references names them, or
            else the values in the references are the classes.
        images: folder of the images, which the report shows under the outlines; None = no images.
        workers: number of cases that are processed at once; None = as many as cores and memory allow.
        threads: maximum number of cases that are processed at once; None = no such limit.

    Returns:
        The content of `summary.json`.

    Raises:
        InputError: the folders hold no label maps of the same names.
        PartialFailure: some cases could not be evaluated; the report of the others is written.
    """
    check_threads_and_epochs(threads)
    labels = None if run is None else read_plan(existing_run(run).plan).labels
    from inference.evaluation.evaluate import IncompleteEvaluation, evaluate_folders

    try:
        summary = evaluate_folders(
            Path(reference),
            Path(prediction),
            Path(output),
            labels=labels,
            images=None if images is None else Path(images),
            workers=workers,
            threads=threads,
        )
        report = Report(summary, Path(output), None)
    except IncompleteEvaluation as incomplete:
        report = Report(incomplete.summary, Path(output), incomplete)
    show_report(open_console(), report)
    return report.summary
