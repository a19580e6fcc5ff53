"""Analyses the metrics of a study. In: the collected rows of every cell. Out: `StudyResults`, for page and console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from autoseg.dataset.record import DatasetRecord
from autoseg.metrics.summary import METRICS
from autoseg.notebook import ShownAsTable
from autoseg.plan.plan import Plan
from autoseg.plan.study_cells import DIMENSIONS, Cell
from autoseg.run_folder.finished_fold import read_finished_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import format_duration
from inference.study.collect import CellRows, results_frame
from inference.study.ordering import Order, orders
from inference.study.statistics import Comparison, compare_cells
from inference.study.tables import (
    CellFigure,
    FigureIndex,
    figures,
    indexed,
    lookup,
    main_class,
    strata_tables,
    with_mean_of_classes,
)

TABLE_METRICS = ("dice", "sensitivity", "specificity", "precision")


@dataclass(frozen=True)
class CellFacts:
    """Number of cases and folds behind a cell's results, and how the cell was trained.

    Args:
        cell: set of sequences and input dimension that the facts are about.
        cases: number of evaluated cases.
        of_cases: number of cases that take part in the cell.
        folds: number of finished folds.
        of_folds: number of all folds.
        steps: training steps of a fold, or their range, as text.
        time: training time of all finished folds together, as text.
        shortened: number of folds whose schedule was shortened to end in time.
    """

    cell: Cell
    cases: int
    of_cases: int
    folds: int
    of_folds: int
    steps: str
    time: str
    shortened: int


@dataclass(frozen=True)
class StudyResults(ShownAsTable):
    """The results of a study.

    Args:
        folder: folder that the results are written to.
        dataset: name of the data set.
        synthetic: whether the images are synthetic.
        cells: all cells that were asked for, also those without results.
        frame: content of `results.csv`, a row for each cell, case and class.
        main_class: name of the class that charts and orders use, see `tables.main_class`.
        long: `tables.figures` of every class.
        strata: `tables.strata_tables`; empty where there are no strata.
        compared: comparison of every pair of cells by Dice.
        orders: rankings of the cells.
        facts: cases, folds and training of each cell.
        description: description that the data set gives of itself; may be empty.
        problems: sentences on what failed or is missing.
        warnings: sentences on what limits the results, such as unfinished folds.
    """

    folder: Path
    dataset: str
    synthetic: bool
    cells: tuple[Cell, ...]
    frame: pd.DataFrame
    main_class: str
    long: pd.DataFrame
    strata: pd.DataFrame
    compared: tuple[Comparison, ...]
    orders: tuple[Order, ...]
    facts: tuple[CellFacts, ...]
    description: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the sets of sequences, in the order in which they were asked for."""
        return tuple(dict.fromkeys(cell.label for cell in self.cells))

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Input dimensions of the cells, in the order of `DIMENSIONS`, which begins with 2d."""
        asked = {cell.dimension for cell in self.cells}
        return tuple(dimension for dimension in DIMENSIONS if dimension in asked)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; `MEAN_OF_CLASSES` comes first where there are several."""
        return tuple(dict.fromkeys(self.long["class"]))

    @property
    def heading(self) -> str:
        """Data set and folder of the study."""
        told = "; the images are synthetic: these numbers say nothing about patients" if self.synthetic else ""
        return f"{self.dataset}, {len(self.cells)} cells; all tables are in {self.folder}{told}"

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each class, set of sequences, dimension and metric, with `mean`, `sd` and `cases`."""
        return self.long.copy()

    @cached_property
    def _figures(self) -> FigureIndex:
        return indexed(self.long)

    @cached_property
    def figures_of_strata(self) -> FigureIndex:
        """The figures of `strata` by their columns."""
        return indexed(self.strata)

    def figure(self, label: str, dimension: str, metric: str, class_name: str | None = None) -> CellFigure:
        """Mean and standard deviation of a metric of one cell.

        Args:
            label: label of the cell's set of sequences.
            dimension: input dimension of the cell.
            metric: name of the metric.
            class_name: name of the class; None = the main class.
        """
        of_class = self.main_class if class_name is None else class_name
        return lookup(self._figures, class_=of_class, sequences=label, dimension=dimension, metric=metric)


def study_results(
    run: RunFolder,
    plan: Plan,
    cells: Sequence[Cell],
    collected: Sequence[CellRows],
    record: DatasetRecord | None,
    *,
    synthetic: bool,
    problems: Sequence[str],
) -> StudyResults:
    """Compute tables, comparisons and rankings from the collected metrics.

    Args:
        run: STUDY folder whose folds are read.
        plan: plan of the study.
        cells: cells of the study.
        collected: metrics of each cell, in the order of `cells`; at least one cell has rows.
        record: content of the study's `dataset.json`; None where that file is missing.
        synthetic: whether the images are synthetic.
        problems: sentences on what failed before the evaluation.
    """
    frame = results_frame(collected, record)
    wide = with_mean_of_classes(frame, METRICS)
    compared = tuple(compare_cells(wide, seed=plan.seed))
    facts = tuple(_facts(run, of_cell) for of_cell in collected)
    of_class = main_class(frame)
    told = [line for of_cell, fact in zip(collected, facts, strict=True) for line in _told(of_cell, fact)]
    return StudyResults(
        folder=run.study,
        dataset=plan.dataset,
        synthetic=synthetic,
        cells=tuple(cells),
        frame=frame,
        main_class=of_class,
        long=figures(wide, metrics=TABLE_METRICS),
        strata=strata_tables(wide),
        compared=compared,
        orders=orders(wide, cells, compared, of_class),
        facts=facts,
        description=record.description if record else "",
        # training and evaluation of a cell may fail for the same reason, which is then listed once
        problems=tuple(dict.fromkeys([*problems, *(problem for one in collected for problem in one.problems)])),
        warnings=tuple(told),
    )


def _facts(run: RunFolder, of_cell: CellRows) -> CellFacts:
    cell, splits = of_cell.cell, of_cell.found.splits
    finished = list(read_finished_folds(run, cell.name, range(len(splits))).values())
    steps = [done.steps for done in finished]
    low, high = min(steps, default=0), max(steps, default=0)
    return CellFacts(
        cell=cell,
        cases=len(of_cell.pairs),
        of_cases=len(of_cell.found.folds),
        folds=len(finished),
        of_folds=len(splits),
        steps=f"{low:,}" if low == high else f"{low:,} to {high:,}",
        time=format_duration(sum(done.seconds_training for done in finished)),
        shortened=sum(any(event.kind == "shortened" for event in done.events) for done in finished),
    )


def _told(of_cell: CellRows, facts: CellFacts) -> list[str]:
    told = []
    if facts.folds < facts.of_folds:
        told.append(f"{facts.cell.name}: {facts.folds} of {facts.of_folds} folds are finished")
    if empty := [str(i) for i, split in enumerate(of_cell.found.splits) if not (split.train and split.val)]:
        told.append(f"{facts.cell.name}: no case to learn from, or none to judge, in fold {', '.join(empty)}; left out")
    if facts.shortened:
        told.append(
            f"{facts.cell.name}: {facts.shortened} of {facts.folds} folds took fewer steps than planned, to end in time"
        )
    return told
