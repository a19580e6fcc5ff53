"""Prints the results of a study as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from autoseg.errors import PartialFailure
from autoseg.run_folder.paths import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.study.results import StudyResults


def print_study(console: Console, results: StudyResults) -> None:
    """Print the table of mean Dice, a row per set of sequences, a column per dimension; then the path of the page."""
    table = Table("", *results.dimensions, title=f"{results.dataset}: Dice, {results.main_class}")
    for label in results.labels:
        table.add_row(label, *(results.figure(label, dimension, "dice").text for dimension in results.dimensions))
    console.print(table)
    for line in (*results.problems, *results.warnings):
        console.print(line, style="yellow")
    if results.synthetic:
        console.print("The images are synthetic: these numbers say nothing about patients.", style="bold")
    console.print(f"Study: {results.folder / 'study.html'}", soft_wrap=True)


def failed_parts(run: RunFolder, problems: Sequence[str]) -> PartialFailure:
    """Return the error that tells which parts of a study failed.

    Args:
        run: STUDY folder, whose page `study.html` shows the parts that are finished.
        problems: a sentence for each part.
    """
    return PartialFailure(
        f"{len(problems)} {'part' if len(problems) == 1 else 'parts'} of the study failed; "
        f"the others are in {run.study / 'study.html'}, and the same command tries these again\n" + "\n".join(problems)
    )
