"""Collects the metrics of every cell in one table, with a row for each cell, fold, case and class.

In: a STUDY folder whose cells have predicted their validation cases. Out: `CellRows` for each cell, and the data
frame of `results.csv`. Metrics are those of `autoseg.metrics`, in the images' own geometry.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from autoseg.dataset.record import DatasetRecord
from autoseg.disk.csv_files import unguarded
from autoseg.errors import RunFolderError
from autoseg.metrics import NOT_STATED, CaseMetrics
from autoseg.plan.plan import Plan
from autoseg.plan.study_cells import Cell
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from inference.compare import Compared, Pair, compare_all
from inference.evaluation.cross_validated import CrossValidated, cross_validated
from inference.report.tables import metrics_csv

STRATUM = "stratum_"
"""Prefix of the stratification columns in `results.csv`, so that none has the name of another column."""


@dataclass(frozen=True)
class CellRows:
    """Metrics of one cell.

    Args:
        cell: set of sequences and input dimension that the rows belong to.
        found: out-of-fold predictions of the cell.
        rows: metrics of every predicted case and class; empty where nothing could be evaluated.
        problems: sentences on what could not be evaluated, and why.
    """

    cell: Cell
    found: CrossValidated
    rows: tuple[CaseMetrics, ...]
    problems: tuple[str, ...]

    @property
    def pairs(self) -> dict[str, Pair]:
        """Reference and prediction of every case that was evaluated, by case name."""
        evaluated = {row.case for row in self.rows}
        return {pair.case: pair for pair in self.found.pairs if pair.case in evaluated}


def collect(
    run: RunFolder, plan: Plan, cells: Sequence[Cell], *, workers: int | None = None, threads: int | None = None
) -> list[CellRows]:
    """Compare the predictions of every cell with the references, all in one pool of processes.

    Args:
        run: STUDY folder, with at least one finished fold.
        plan: plan of the study.
        cells: cells to evaluate; a cell without predictions, or trained on other folds, gets no rows.
        workers: number of processes; None = as many as the cores and the free memory allow.
        threads: threads that all processes together may use; None = as many as there are cores.

    Returns:
        The metrics of each cell, in the order of `cells`.
    """
    found: list[CrossValidated] = []
    refused: list[list[str]] = []
    for cell in cells:
        try:
            found.append(cross_validated(run, plan, cell.name))
            refused.append([])
        except RunFolderError as error:
            of_run = read_splits(run.splits)
            found.append(CrossValidated(of_run, of_run, (), (), ()))
            refused.append([str(error)])
    pairs = [pair for of_cell in found for pair in of_cell.pairs]
    compared = iter(compare_all(pairs, plan.labels, workers=workers, threads=threads) if pairs else [])
    collected = []
    for cell, of_cell, problems in zip(cells, found, refused, strict=True):
        done: list[Compared] = [next(compared) for _ in of_cell.pairs]
        problems += [f"case {case}: its prediction is missing" for case in of_cell.lost]
        problems += [one.problem for one in done if one.problem is not None]
        rows = tuple(row for one in done for row in one.rows)
        collected.append(CellRows(cell, of_cell, rows, tuple(f"{cell.name}: {problem}" for problem in problems)))
    return collected


def results_frame(collected: Sequence[CellRows], record: DatasetRecord | None) -> pd.DataFrame:
    """The table of `results.csv`, with a row for each cell, fold, case and class.

    Args:
        collected: metrics of each cell; at least one cell has rows.
        record: content of the study's `dataset.json`, which gives patient and strata of each case; None where that
            file is missing.

    Returns:
        Columns `cell`, `sequences` (label of the set), `dimension`, `patient`, a `stratum_NAME` for every
        stratification column, then the columns of `metrics.csv`. An undefined metric is NaN.
    """
    # an empty frame has no dtypes and would change those of the concatenated frame
    frame = pd.concat([_frame(of_cell) for of_cell in collected if of_cell.rows], ignore_index=True)
    sources = {case.name: case for case in record.cases} if record else {}
    patients = {name: source.patient or name for name, source in sources.items()}
    columns = dict.fromkeys(column for source in sources.values() for column in source.strata)
    # a case that the record does not name counts as a patient of its own
    frame.insert(3, "patient", [patients.get(case, case) for case in frame["case"]])
    for place, column in enumerate(columns, start=4):
        values = {name: source.strata.get(column) for name, source in sources.items()}
        frame.insert(place, STRATUM + column, [values.get(case) or NOT_STATED for case in frame["case"]])
    return frame


def lesions_frame(collected: Sequence[CellRows]) -> pd.DataFrame:
    """The table of `lesions.csv`, with a row for each cell and each lesion (connected component) of the references."""
    rows = [
        (
            of_cell.cell.name,
            of_cell.cell.label,
            of_cell.cell.dimension,
            folds[row.case],
            row.case,
            row.class_name,
            number,
            lesion.diameter_mm,
            lesion.volume_ml,
            lesion.overlap,
            lesion.dice,
            int(lesion.found),
        )
        for of_cell in collected
        # once a cell: the property goes over all folds
        for folds in (of_cell.found.folds,)
        for row in of_cell.rows
        for number, lesion in enumerate(row.lesions.lesions)
    ]
    columns = ["cell", "sequences", "dimension", "fold", "case", "class", "lesion"]
    return pd.DataFrame(rows, columns=[*columns, "diameter_mm", "volume_ml", "overlap", "dice", "found"])


def _frame(of_cell: CellRows) -> pd.DataFrame:
    text = metrics_csv(of_cell.rows, of_cell.found.folds)
    # names of cases and classes stay text, even if they look like a number or like "NA"
    frame = pd.read_csv(io.StringIO(text), dtype={"case": str, "class": str}, keep_default_na=False, na_values=[""])
    for column in ("case", "class"):
        frame[column] = frame[column].map(unguarded)
    for place, (column, value) in enumerate(
        (("cell", of_cell.cell.name), ("sequences", of_cell.cell.label), ("dimension", of_cell.cell.dimension))
    ):
        frame.insert(place, column, value)
    return frame
