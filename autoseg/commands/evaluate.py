"""`autoseg evaluate`: compares predicted label maps with references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.commands.command import command
from autoseg.commands.guards import existing_run, folder_for_results
from autoseg.commands.options import (
    FollowLinks,
    Predictions,
    References,
    ReportFolder,
    RunOfClasses,
    ShownImages,
    Threads,
    Workers,
)
from autoseg.commands.printed_results import Report, show_report
from autoseg.plan.plan import read_plan
from autoseg.terminal import open_console

if TYPE_CHECKING:
    from autoseg.metrics.summary import Summary


@command
def evaluate(
    reference: References,
    prediction: Predictions,
    output: ReportFolder,
    *,
    run: RunOfClasses = None,
    images: ShownImages = None,
    workers: Workers = None,
    threads: Threads = None,
    follow_links: FollowLinks = False,
) -> Summary:
    """Compare predicted label maps with references, by case, class and lesion.

    Without RUN and without a dataset.json beside the references, the values or names in the references are the classes.

    Returns:
        The content of `summary.json`; a table in a notebook.

    Raises:
        InputError: the folders hold no label maps of the same names.
        PartialFailure: some cases could not be evaluated; the report of the others is written.
    """
    results = folder_for_results(output)
    labels = None if run is None else read_plan(existing_run(run, follow_links=follow_links).plan).labels
    from inference.evaluation.evaluate import IncompleteEvaluation, evaluate_folders

    try:
        summary = evaluate_folders(
            Path(reference),
            Path(prediction),
            results,
            labels=labels,
            images=None if images is None else Path(images),
            workers=workers,
            threads=threads,
        )
        report = Report(summary, results, None)
    except IncompleteEvaluation as incomplete:
        report = Report(incomplete.summary, results, incomplete)
    show_report(open_console(), report)
    return report.summary
