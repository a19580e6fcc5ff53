"""Writes the report of a configuration once all its folds are finished, and prints its results as tables."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autoseg.errors import AutosegError, PartialFailure
from autoseg.run_folder.lock import locked_in_turn
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.report_folder import report_folder
from autoseg.run_folder.time_spent import read_time_spent, timed
from autoseg.run_folder.timed_stage import Stage

if TYPE_CHECKING:
    # this module imports libraries that take seconds to load
    from autoseg.metrics.summary import ClassSummary, GroupSummary, LesionSummary, Summary

UNDEFINED = "not defined"
SECONDS_OF_A_PAGE = 3.0
"""Seconds for pictures, charts and tables of one report page, whatever the number of its cases."""

_LESION_HEADS = ("lesions found", "false (per case)", "lesion F1, F2")


@dataclass(frozen=True)
class Report:
    """A written report.

    Args:
        summary: results of the evaluation.
        folder: folder that holds `report.html`.
        problem: error that lists the cases that could not be evaluated, raised after the results are shown;
            None = all cases were evaluated.
    """

    summary: Summary
    folder: Path
    problem: PartialFailure | None


def report_if_finished(run: RunFolder, configuration: str, folds: int, threads: int | None = None) -> Report | None:
    """Write the report of a configuration if every fold is finished; otherwise return None.

    One process writes after the other: the first report takes the folder `report`, and the others their own.

    Args:
        run: RUN folder that holds the finished folds and their validation predictions.
        configuration: name of the configuration.
        folds: number of folds of the configuration.
        threads: number of threads that may compute; None = as many as there are cores.
    """
    if not all(run.is_finished(configuration, fold) for fold in range(folds)):
        return None
    with locked_in_turn(run.work / "reports", f"reporting on {configuration}"):
        folder = report_folder(run, configuration)
        with timed(run, Stage("report", configuration), shared=True):
            from inference.evaluation.evaluate import IncompleteEvaluation, report_run

            try:
                return Report(report_run(run, configuration, threads=threads), folder, None)
            except IncompleteEvaluation as incomplete:
                return Report(incomplete.summary, folder, incomplete)


class ReportTime:
    """Estimate of the seconds that selection and reports at the end of a run will take.

    It follows from the last report that is written; before that, from the evaluation of a few cases of a finished
    fold. Selection is estimated in the same way.

    Args:
        run: RUN folder that holds the time spent and the finished folds.
        configurations: names of the configurations that will be reported on.
        pages: number of pages that will be written; None = one for each configuration.
        threads: number of threads that may compute; None = as many as there are cores.
        selects: whether what predicts is chosen before the reports are written.
    """

    def __init__(
        self,
        run: RunFolder,
        configurations: Sequence[str],
        *,
        pages: int | None = None,
        threads: int | None = None,
        selects: bool = False,
    ) -> None:
        self._selects = selects
        self._selection: float | None = None
        self._run, self._configurations, self._threads = run, configurations, threads
        self._pages = len(configurations) if pages is None else pages
        self._expected: dict[str, float] = {}

    def seconds(self) -> float | None:
        """Expected seconds of selection and of all reports that are still to come; None while nothing is known."""
        reports = self._of_reports()
        return None if reports is None else reports + self._of_selection()

    def _of_reports(self) -> float | None:
        time = read_time_spent(self._run)
        spent = {stage: time.of(stage) for stage in time.by_stage}
        reports = {name: Stage("report", name) for name in self._configurations}
        made = [spent[stage] for stage in reports.values() if stage in spent]
        left = [name for name, stage in reports.items() if stage not in spent]
        if made:
            return made[-1] * len(left)
        known = [seconds for seconds in map(self._estimate, left) if seconds is not None]
        return SECONDS_OF_A_PAGE * self._pages + sum(known) / len(known) * len(left) if known else None

    def _of_selection(self) -> float:
        """Expected seconds of the selection; 0 where there is none to come, or nothing is known yet."""
        if not self._selects or self._run.selected.exists():
            return 0.0
        finished = [name for name in self._configurations if self._run.is_finished(name, 0)]
        if self._selection is None and finished:
            with timed(self._run, Stage("look ahead at selection")), suppress(AutosegError):
                from inference.selection.expected_time import expected_selection_seconds

                configurations = len(self._configurations)
                self._selection = expected_selection_seconds(self._run, finished[0], configurations, self._threads)
        return self._selection or 0.0

    def _estimate(self, name: str) -> float | None:
        """Expected seconds of evaluating all cases of a configuration; None until its first fold is finished."""
        if name not in self._expected and self._run.is_finished(name, 0):
            with timed(self._run, Stage("look ahead at report", name)), suppress(AutosegError):
                from inference.evaluation.evaluate import expected_comparison_seconds

                expected = expected_comparison_seconds(self._run, name, self._threads)
                if expected is not None:
                    self._expected[name] = expected
        return self._expected.get(name)


def show_report(console: Console, report: Report) -> None:
    """Print the results and the path of the report.

    Raises:
        PartialFailure: some cases could not be evaluated.
    """
    print_results(console, report.summary, report.folder)
    if report.problem is not None:
        raise report.problem


def print_results(console: Console, summary: Summary, report: Path) -> None:
    """Print the results by class and, where there are any, by fold and by stratum; then the path of the report.

    Args:
        console: console to print to.
        summary: results of the evaluation.
        report: folder that holds `report.html`.
    """
    console.print(_class_table(summary))
    if summary.folds:
        console.print(_fold_table(summary.folds))
    for column, strata in summary.strata.items():
        if strata:
            console.print(_strata_table(column, strata))
    dice = UNDEFINED if summary.mean_dice is None else f"{summary.mean_dice:.3f}"
    console.print(
        Text.assemble("Mean foreground Dice: ", (dice, "bold"), " (mean over classes of the mean over cases)")
    )
    for line in (*summary.problems, *summary.warnings):
        console.print(line, style="yellow")
    if summary.synthetic:
        console.print("The images are synthetic: these numbers say nothing about patients.", style="bold")
    console.print(f"Report: {report / 'report.html'}", soft_wrap=True)


def _class_table(summary: Summary) -> Table:
    title = f"{summary.dataset}, {summary.cases} cases"
    if summary.configuration is not None:
        title += f", {summary.configuration}, cross-validated"
    table = Table("class", "Dice", "sensitivity", "HD95, mm", "surface Dice", *_LESION_HEADS, title=title)
    for row in summary.classes:
        table.add_row(
            row.name,
            _mean(row, "dice", sd=True),
            _mean(row, "sensitivity"),
            _mean(row, "hd95_mm", digits=1),
            _mean(row, "surface_dice"),
            *_lesions(row.lesions),
        )
    return table


def _fold_table(folds: tuple[GroupSummary, ...]) -> Table:
    names = list(dict.fromkeys(name for fold in folds for name in fold.dice))
    table = Table("", "cases", *names, "mean", title="Dice by fold")
    for fold in folds:
        means = [fold.dice[name].mean if name in fold.dice else None for name in names]
        table.add_row(fold.name, str(fold.cases), *map(_number, means), _number(fold.mean_dice))
    return table


def _strata_table(column: str, strata: tuple[GroupSummary, ...]) -> Table:
    """Table of the results for each value of a stratification column, with the number of cases."""
    heads = ("cases", "class", "Dice", "sensitivity", *_LESION_HEADS)
    table = Table("", *heads, title=f"Results by {column.replace('_', ' ')}")
    for stratum in strata:
        for row in stratum.classes:
            figures = _mean(row, "dice", sd=True), _mean(row, "sensitivity")
            table.add_row(stratum.name, str(row.cases), row.name, *figures, *_lesions(row.lesions))
    return table


def _lesions(found: LesionSummary) -> tuple[str, str, str]:
    """Texts of one row for the columns `_LESION_HEADS`."""
    f_scores = f"{_number(found.f1, 2)}, {_number(found.f2, 2)}"
    return f"{found.found} of {found.reference}", f"{found.false} ({found.false_per_case:.2f})", f_scores


def _mean(row: ClassSummary, metric: str, *, digits: int = 3, sd: bool = False) -> str:
    """Mean of a metric as text, with the number of cases for which it is undefined."""
    spread = row.metrics[metric]
    text = _number(spread.mean, digits)
    if sd and spread.sd is not None:
        text += f" ± {spread.sd:.{digits}f}"
    if spread.n and spread.undefined:
        text += f" (undefined in {spread.undefined})"
    return text


def _number(value: float | None, digits: int = 3) -> str:
    return UNDEFINED if value is None else f"{value:.{digits}f}"
