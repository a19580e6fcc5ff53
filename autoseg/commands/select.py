"""`autoseg select`: chooses the configurations and the post-processing that `predict` uses, and prints the choice."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from autoseg.commands.command import command
from autoseg.commands.guards import configurations_of, existing_run, require_writable
from autoseg.commands.options import (
    CandidateConfigurations,
    Device,
    FollowLinks,
    HeldOutAgreement,
    OperatingPoint,
    Threads,
    TrainedRun,
    Workers,
)
from autoseg.errors import AutosegError
from autoseg.machine.stop_answer import stop_stays_a_stop
from autoseg.plan.plan import read_plan
from autoseg.run_folder.lock import locked_in_turn
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.report_folder import report_folder
from autoseg.run_folder.selection import CandidateScore, Performance, Selection, write_selection
from autoseg.run_folder.time_spent import timed
from autoseg.run_folder.timed_stage import Stage
from autoseg.terminal import open_console

UNDEFINED = "not defined"
CANDIDATES_SHOWN = 10


@command
def select(
    run: TrainedRun,
    *,
    config: CandidateConfigurations = None,
    operating_point: OperatingPoint = None,
    agreement: HeldOutAgreement = False,
    device: Device = "auto",
    workers: Workers = None,
    threads: Threads = None,
    follow_links: FollowLinks = False,
) -> Selection:
    """Choose the configuration or pair that is best in cross-validation, and its post-processing.

    Compares existing predictions of the validation cases that all configurations have predicted. Post-processing is
    chosen only where it helps cases that it was not fitted to. The choice is written to RUN/selected.json, which may
    be edited; `predict` applies it.

    Returns:
        The content of `selected.json`; a table in a notebook.

    Raises:
        RunFolderError: nothing is trained, or no case was predicted by all configurations.
        PlanError: a configuration is not in the plan.
        InputError: an option is malformed, or the device is absent.
    """
    folder = existing_run(run, follow_links=follow_links)
    require_writable(folder.path)
    names = None if config is None else configurations_of(config)
    selection = make_selection(folder, names, operating_point, workers=workers, threads=threads)
    try:
        with timed(folder, Stage("select")):
            _renew_reports(folder, threads)
    except BaseException:
        told = f"{folder.selected} is the new choice already; reports show the former one until you select again"
        open_console(stderr=True).print(told, style="yellow", soft_wrap=True)
        raise
    print_selection(open_console(), folder, selection)
    if agreement:
        from inference.measurements.held_out import write_held_out_agreement

        plan, console = read_plan(folder.plan), open_console(stderr=True)
        rules = selection.post_processing
        for name in selection.configurations:
            write_held_out_agreement(folder, plan, name, rules, device=device, console=console)
    return selection


def make_selection(
    run: RunFolder,
    configurations: Sequence[str] | None,
    operating_point: str | None = None,
    *,
    workers: int | None = None,
    threads: int | None = None,
) -> Selection:
    """Choose what predicts, and write `selected.json` and `suspects.csv`; arguments as in `select_and_suspect`."""
    with timed(run, Stage("select")):
        from inference.selection.select import select_and_suspect
        from inference.suspects.table import write_suspects

        selection, suspects = select_and_suspect(
            run, configurations=configurations, operating_point=operating_point, workers=workers, threads=threads
        )
        # the selection comes last: where it is, the suspects are those of it
        if suspects:
            write_suspects(run, suspects)
        else:
            run.suspects.unlink(missing_ok=True)
        write_selection(run, selection)
    return selection


def select_at_end(
    run: RunFolder, configurations: Sequence[str], folds: int, console: Console, *, threads: int | None
) -> None:
    """Choose what predicts at the end of a run, once every fold is finished; an existing choice is kept.

    Args:
        run: RUN folder with the finished folds, in which `selected.json` is written.
        configurations: configurations that the run trains.
        folds: number of folds of each.
        console: console to print to.
        threads: threads that may compute; None = as many as there are cores.
    """
    if not all(run.is_finished(name, fold) for name in configurations for fold in range(folds)):
        return
    try:
        # of two processes that come to the end of a run, one selects
        with locked_in_turn(run.work / "selection", "selecting what predicts"), stop_stays_a_stop():
            if run.selected.exists():
                console.print(
                    f"{run.selected}: kept as it is; `autoseg select {run.path}` chooses anew", soft_wrap=True
                )
                return
            selection = make_selection(run, configurations, threads=threads)
    except AutosegError as error:
        console.print(f"Nothing is selected: {error}", style="yellow", soft_wrap=True)
        return
    except Exception:
        # the results are there all the same, and the report is still to come
        console.print(f"Nothing is selected; this is a defect of autoseg, please report it:\n{traceback.format_exc()}")
        return
    print_selection(console, run, selection)


def print_selection(console: Console, run: RunFolder, selection: Selection) -> None:
    """Print which configurations were compared, and which one was chosen.

    Args:
        console: console to print to.
        run: RUN folder that holds `selected.json`.
        selection: the choice and the scores of the candidates.
    """
    if len(selection.candidates) > 1:
        console.print(_candidates_table(selection))
    if (held_out := selection.held_out_choice) is not None and len(selection.candidates) > 1:
        console.print(
            f"Chosen anew without each of the {held_out.folds} folds and validated on it: mean Dice "
            f"{_number(held_out.chosen)}; of the best single configuration {_number(held_out.best_single)}.",
        )
    console.print(_performance_table(selection))
    if selection.why_this_point:
        console.print(selection.why_this_point, soft_wrap=True)
    for note in selection.notes:
        console.print(note, style="yellow")
    if run.suspects.exists():
        console.print(f"Lesions whose annotation should be looked at again: {run.suspects}", soft_wrap=True)
    console.print(f"predict applies {run.selected}; it may be edited.", soft_wrap=True)


def _candidates_table(selection: Selection) -> Table:
    """Table of the candidates that were compared, the best first."""
    shown = selection.candidates[:CANDIDATES_SHOWN]
    classes = list(shown[0].dice) if shown else []
    title = f"Cross-validated Dice, the same {selection.cases} cases"
    table = Table("candidate", "mean Dice", "gain on the best single", *classes, title=title)
    for score in shown:
        style = "bold" if score.configurations == selection.configurations else None
        cells = [_number(score.mean_dice), _gain(score), *(_number(score.dice[name]) for name in classes)]
        table.add_row(" + ".join(score.configurations), *cells, style=style)
    return table


def _gain(score: CandidateScore) -> str:
    """Gain of a pair on the best single configuration, as text; empty for a single configuration."""
    if score.gain is None or score.standard_error is None:
        return ""
    return f"{score.gain:+.3f} (standard error {score.standard_error:.3f})"


def _performance_table(selection: Selection) -> Table:
    """Table of each class before and after post-processing, the latter on folds that it was not fitted to."""
    title = f"{' + '.join(selection.configurations)}, operating point {selection.operating_point}"
    table = Table("class", "post-processing", "Dice", "lesions found", "false a case", title=title)
    for performance, text in ((selection.plain, None), (selection.post_processed, selection.rules)):
        for row in (performance or Performance(mean_dice=None, classes=())).classes:
            found = UNDEFINED if row.sensitivity is None else f"{100 * row.sensitivity:.0f} % of {row.lesions}"
            what = "none" if text is None else text.get(row.name, "none")
            table.add_row(row.name, what, _number(row.dice), found, f"{row.false_per_case:.2f}")
    return table


def _renew_reports(run: RunFolder, threads: int | None) -> None:
    """Write existing reports again, so that they show the selection, or show a former one no more."""
    from inference.evaluation.evaluate import report_run

    for name in read_plan(run.plan).configurations:
        if (report_folder(run, name) / "report.html").exists():
            report_run(run, name, threads=threads)


def _number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.3f}"
