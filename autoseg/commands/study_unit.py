"""The unit of work `study`: writes the results of a study, of what is finished, once every training has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from autoseg.commands.printed_results import SECONDS_OF_A_PAGE
from autoseg.commands.printed_study import failed_parts, print_study
from autoseg.errors import AutosegError
from autoseg.plan.plan import read_plan
from autoseg.plan.study_cells import cells_in
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.time_spent import timed
from autoseg.run_folder.timed_stage import Stage
from autoseg.terminal import open_console
from autoseg.work.request import Request
from autoseg.work.state import State, States
from autoseg.work.unit import Unit
from autoseg.work.units import trained_in, units_of


def write_study_so_far(run: RunFolder, request: Request, states: States) -> tuple[str, ...]:
    """Write the results of the folds that are finished, with the reason for each that is not.

    Args:
        run: STUDY folder, with a plan.
        request: what was asked for, of which workers and threads are used here.
        states: tells how far each unit is.

    Returns:
        Names of the trainings that are not finished although nothing failed: nobody has begun them.

    Raises:
        RunFolderError: no cell has predicted a case, or the folder is damaged.
        PartialFailure: predictions could not be evaluated; the results of the others are written.
    """
    units = units_of(run)
    found = {unit: states.of(unit) for unit in units if unit.kind in ("prepare", "train")}
    missing = {unit: state for unit, state in found.items() if unit.kind == "train" and state.word != "done"}
    failed = {unit.name: state for unit, state in found.items() if state.word == "failed"}
    failures = _why_missing(missing, failed)
    with timed(run, Stage("study report"), shared=True):
        from inference.study.write import write_study

        # as after the local engine, the page shows all cells of the plan
        cells = cells_in(read_plan(run.plan))
        results = write_study(run, cells, failures=failures, workers=request.workers, threads=request.threads)
    print_study(open_console(), results)
    # what else is wrong with a cell whose training failed follows from that
    known = tuple(f"{cell}: " for cell in failures)
    if problems := [problem for problem in results.problems if not problem.startswith(known)]:
        raise failed_parts(run, problems)
    return tuple(
        unit.name for unit, state in missing.items() if not state.tries and not failed.keys() & {*unit.waits_for}
    )


def _why_missing(missing: Mapping[Unit, State], failed: Mapping[str, State]) -> dict[str, str]:
    """Say of each cell why which folds are not finished; what a unit before them said is told with the first cell.

    Args:
        missing: trainings that are not finished.
        failed: units that failed, by name.
    """
    folds: dict[str, dict[str, list[int]]] = {}
    told_by: dict[str, str] = {}
    for unit, state in missing.items():
        cell, fold = trained_in(unit)
        why = "stopped before its end" if state.tries else "not begun"
        if before := next((name for name in unit.waits_for if name in failed), None):
            is_first = told_by.setdefault(before, cell) == cell
            why = f"not begun, since {before} failed" + (f": {_on_one_line(failed[before])}" if is_first else "")
        elif state.word == "failed":
            why = _on_one_line(state)
        folds.setdefault(cell, {}).setdefault(why, []).append(fold)
    return {cell: "; ".join(f"{_folds(of)}: {why}" for why, of in reasons.items()) for cell, reasons in folds.items()}


def _folds(numbers: Sequence[int]) -> str:
    return f"{'fold' if len(numbers) == 1 else 'folds'} {', '.join(map(str, numbers))}"


def _on_one_line(state: State) -> str:
    """The first line of what a unit said, how many more there are, and where it printed all of them."""
    first, *others = [" ".join(line.split()) for line in state.why.splitlines() if line.strip()] or [""]
    more = f", and {len(others)} more {'line' if len(others) == 1 else 'lines'}" if others else ""
    printed = "" if state.log is None else f" (what it printed: {state.log})"
    return first + more + printed


def seconds_of_results(run: RunFolder, cells: Sequence[str], threads: int | None) -> float | None:
    """Expected seconds of the results at the end, by the evaluation of a few cases of one cell; None = not known yet.

    Args:
        run: STUDY folder that holds the finished folds.
        cells: names of the cells that are trained.
        threads: number of threads that may compute; None = as many as there are cores.
    """
    # each training asks this anew, so that no more than one cell is looked at
    one = next((name for name in cells if run.is_finished(name, 0)), None)
    if one is None:
        return None
    seconds = None
    with timed(run, Stage("look ahead at report", one), shared=True), suppress(AutosegError):
        from inference.evaluation.evaluate import expected_comparison_seconds

        seconds = expected_comparison_seconds(run, one, threads)
    return None if seconds is None else SECONDS_OF_A_PAGE + seconds * len(cells)
