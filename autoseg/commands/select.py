"""The choice of what predicts, from all that is trained; its tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from autoseg.commands.options import check_threads_and_epochs, configurations_of, existing_run
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.report_folder import report_folder
from autoseg.run_folder.selection import CandidateScore, Performance, Selection, write_selection
from autoseg.run_folder.time_spent import timed
from autoseg.terminal import open_console

UNDEFINED = "not defined"
CANDIDATES_SHOWN = 10


def select(
    run: Path | str,
    *,
    config: str | Sequence[str] | None = None,
    operating_point: str = "dice",
    workers: int | None = None,
    threads: int | None = None,
) -> Selection:
    """Choose the configuration or pair that predicts best in cross-validation, and its post-processing.

    Compares over the validation cases that all have; predicts nothing anew. The choice is written to
    `RUN/selected.json`, which may be edited; `predict` applies it.

    Args:
        run: a RUN folder with trained configurations; the raw data set is not needed.
        config: configurations to choose from; None = all that are trained.
        operating_point: what threshold and minimal size are for: `dice`, `f2` (detection of lesions) or
            `sensitivity=0.9` (the fewest false components at this share of lesions found).
        workers: cases worked on at once; None = as many as cores and memory allow.
        threads: at most so many cases at once; None = no such limit.

    Returns:
        What `selected.json` holds.

    Raises:
        RunFolderError: nothing is trained, or no case was predicted by all configurations.
        PlanError: a configuration is not planned.
        InputError: an option is malformed.
    """
    check_threads_and_epochs(threads)
    folder = existing_run(run)
    names = None if config is None else configurations_of(config)
    with timed(folder, "select"):
        from inference.selection.select import select_configurations

        selection = select_configurations(
            folder, configurations=names, operating_point=operating_point, workers=workers, threads=threads
        )
        write_selection(folder, selection)
        _renew_reports(folder, selection)
    print_selection(open_console(), folder, selection)
    return selection


def print_selection(console: Console, run: RunFolder, selection: Selection) -> None:
    """What was compared and chosen.

    Args:
        console: where to.
        run: where the choice lies.
        selection: the choice.
    """
    shown = selection.candidates[:CANDIDATES_SHOWN]
    classes = list(shown[0].dice) if shown else []
    title = f"Cross-validated Dice, the same {selection.cases} cases"
    table = Table("candidate", "mean Dice", "gain on the best single", *classes, title=title)
    for score in shown:
        style = "bold" if score.configurations == selection.configurations else None
        cells = [_number(score.mean_dice), _gain(score), *(_number(score.dice[name]) for name in classes)]
        table.add_row(" + ".join(score.configurations), *cells, style=style)
    console.print(table)
    if (held_out := selection.held_out_choice) is not None and len(selection.candidates) > 1:
        console.print(
            f"Chosen anew without each of the {held_out.folds} folds and judged on it: mean Dice "
            f"{_number(held_out.chosen)}; of the best single configuration {_number(held_out.best_single)}.",
            highlight=False,
        )
    console.print(_performance_table(selection))
    for note in selection.notes:
        console.print(note, style="yellow", markup=False, highlight=False)
    console.print(f"predict applies {run.selected}; it may be edited.", highlight=False, soft_wrap=True, markup=False)


def _gain(score: CandidateScore) -> str:
    """What a pair gains, which has to be more than two standard errors."""
    if score.gain is None or score.standard_error is None:
        return ""
    return f"{score.gain:+.3f} (standard error {score.standard_error:.3f})"


def _performance_table(selection: Selection) -> Table:
    """Each class before and after post-processing, the latter on folds that it was not fitted to."""
    title = f"{' + '.join(selection.configurations)}, operating point {selection.operating_point}"
    table = Table("class", "post-processing", "Dice", "lesions found", "false a case", title=title)
    rules = {rule.name: rule.text() for rule in selection.post_processing}
    for performance, text in ((selection.plain, None), (selection.post_processed, rules)):
        for row in (performance or Performance(mean_dice=None, classes=())).classes:
            found = UNDEFINED if row.sensitivity is None else f"{100 * row.sensitivity:.0f} % of {row.lesions}"
            what = "none" if text is None else text.get(row.name, "none")
            table.add_row(row.name, what, _number(row.dice), found, f"{row.false_per_case:.2f}")
    return table


def _renew_reports(run: RunFolder, selection: Selection) -> None:
    """Let the reports of the chosen configurations, where there are any, say what was selected."""
    from inference.evaluation.evaluate import report_run

    for name in selection.configurations:
        if (report_folder(run, name) / "report.html").exists():
            report_run(run, name)


def _number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.3f}"
