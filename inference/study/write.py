"""Evaluates a study and writes its files: `results.csv`, `lesions.csv`, tables, `comparisons.csv`, `study.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from autoseg.dataset.dataset_json import is_synthetic
from autoseg.disk.csv_files import guarded
from autoseg.errors import RunFolderError
from autoseg.files import write_text
from autoseg.plan.plan import read_plan
from autoseg.plan.study_cells import Cell
from autoseg.run_folder.dataset_record import read_record
from autoseg.run_folder.paths import RunFolder
from inference.evaluation.evaluate import preprocessed_backgrounds
from inference.study.collect import collect, lesions_frame
from inference.study.page import page
from inference.study.pictures import side_by_side
from inference.study.results import StudyResults, study_results
from inference.study.statistics import comparisons_frame
from inference.study.tables import paper_table


def write_study(
    run: RunFolder,
    cells: Sequence[Cell],
    *,
    failures: Mapping[str, str],
    workers: int | None = None,
    threads: int | None = None,
) -> StudyResults:
    """Evaluate all cells of a study and write its results into `run.study`.

    This needs neither the raw data nor the models.

    Args:
        run: STUDY folder that holds the plan and the predictions of the cells.
        cells: cells of the study; the results say which of them have no predictions.
        failures: reason of each failure, by name of the cell that failed.
        workers: number of processes; None = as many as the cores and the free memory allow.
        threads: threads that all processes together may use; None = as many as there are cores.

    Raises:
        RunFolderError: no cell has predicted a case, or the folder is damaged.
    """
    plan = read_plan(run.plan)
    collected = collect(run, plan, cells, workers=workers, threads=threads)
    problems = [f"{name}: {why}" for name, why in failures.items()]
    if not any(of_cell.rows for of_cell in collected):
        # what else is wrong with a cell whose training failed follows from that
        others = (p for of_cell in collected if of_cell.cell.name not in failures for p in of_cell.problems)
        lines = "\n".join([*problems, *others])
        raise RunFolderError(f"{run.path}: no cell has predicted a case, so there is nothing to compare\n{lines}")
    record = read_record(run) if run.dataset.exists() else None
    synthetic = is_synthetic(record.synthetic if record else None, plan.dataset)
    results = study_results(run, plan, cells, collected, record, synthetic=synthetic, problems=problems)
    pairs = {pair.case: pair for of_cell in collected for pair in of_cell.found.pairs}
    # of a cell that predicted cases, all are preprocessed
    shown = next(of_cell.cell.name for of_cell in collected if of_cell.rows)
    backgrounds = preprocessed_backgrounds(run, shown, plan, list(pairs.values()))
    pictures = side_by_side(collected, plan.labels, backgrounds)
    _write_csv(run, "results.csv", results.frame)
    _write_csv(run, "lesions.csv", lesions_frame(collected))
    _write_csv(run, "table.csv", paper_table(results.long))
    _write_csv(run, "comparisons.csv", comparisons_frame(results.compared))
    if not results.strata.empty:
        _write_csv(run, "table_by_stratum.csv", paper_table(results.strata))
    write_text(run.study / "study.html", page(results, collected, pictures))
    return results


def _write_csv(run: RunFolder, name: str, frame: pd.DataFrame) -> None:
    safe = frame.map(guarded).rename(columns=guarded)
    write_text(run.study / name, safe.to_csv(index=False, float_format="%.7g", lineterminator="\n"))
