"""Whether cases on which the folds agree little are those with a low Dice, on cases that no fold was trained on.

    python -m benchmarks.agreement FOLDER --data DATA [--tests TESTS] [--time-budget 40m] [--device auto]

Without TESTS, two of the five folds of DATA are left out as test cases, and three networks are trained on the other
three, each with one of them as validation; these predict the test cases together. This is done three times, so that
each case is a test case once. With TESTS, a data set of other cases, the five networks of DATA predict these. Printed
are, for each class, Spearman's rank correlation of agreement with Dice, and the share of the worst fifth of the cases
by Dice that is in the first fifth by agreement; and the same for the order in which `predict` says that cases should be
checked against the mean Dice of a case. By chance the correlation is 0, and the share a fifth. The same command again
goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import mean

import numpy as np
from rich.table import Table
from scipy.stats import spearmanr

import autoseg
from autoseg.dataset.case import Case
from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.dataset.read import read_dataset
from autoseg.metrics import CaseMetrics
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, cases_of, read_splits, write_splits
from autoseg.terminal import open_console
from inference.compare import Pair, compare_all
from inference.measurements.check_order import always_there, check_order
from inference.measurements.table import Line, read_lines
from inference.output_files import output_files
from inference.predict import predict_cases

TEST_FOLDS = ((3, 4), (1, 2), (0,))
"""Folds that are left out, time after time."""

TRAINED = 3
"""Folds of each time that are trained."""

WORST = 0.2
CONFIGURATION = "3d"


@dataclass(frozen=True)
class Figures:
    """How well agreement tells the Dice.

    Args:
        cases: number of cases in which both are defined.
        undefined: number of the other cases.
        spearman: rank correlation; None where it is not defined, as of cases that are all equal.
        share: share of the worst fifth by Dice that is in the lowest fifth by agreement; None without cases.
    """

    cases: int
    undefined: int
    spearman: float | None
    share: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for the run and the predictions")
    parser.add_argument("--data", type=Path, required=True, help="data set with labels")
    parser.add_argument("--tests", type=Path, help="data set with labels, of other cases")
    parser.add_argument("--time-budget", help="of planning and training")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    if given.tests is not None:
        run = made(given.folder / "run", given.data, given.time_budget, given.device, None)
        found = [measured(run, read_dataset(given.tests).cases, given.folder / "predicted", given.device)]
    else:
        found = []
        for left_out in TEST_FOLDS:
            name = "".join(map(str, left_out))
            run = made(given.folder / f"run_without_{name}", given.data, given.time_budget, given.device, left_out)
            known = set(cases_of(read_splits(run.splits)))
            # with one fold left out, another one is neither trained on nor tested
            tested = {case for fold in left_out for case in read_splits(run.made_splits)[fold].val}
            tests = [case for case in read_dataset(given.data).cases if case.name in tested - known]
            found.append(measured(run, tests, given.folder / f"predicted_{name}", given.device))
    show(all_figures(found, run))


def made(folder: Path, data: Path, time_budget: str | None, device: str, left_out: Sequence[int] | None) -> RunFolder:
    """Plan, preprocess and train; without the cases of the folds that are left out."""
    run = RunFolder(folder)
    autoseg.plan_and_preprocess(data, run.path, time_budget=time_budget, device=device)
    if left_out is not None and not run.models(CONFIGURATION).exists():
        write_splits(run.splits, without_test_folds(read_splits(run.splits), left_out))
    autoseg.train(run.path, fold="all", config=(CONFIGURATION,), device=device)
    return run


def without_test_folds(splits: Sequence[Split], left_out: Sequence[int]) -> tuple[Split, ...]:
    """The folds that are trained: none of them knows the validation cases of those that are left out."""
    kept = [split.val for fold, split in enumerate(splits) if fold not in left_out][:TRAINED]
    return tuple(
        Split(train=tuple(case for j, val in enumerate(kept) if j != i for case in val), val=own)
        for i, own in enumerate(kept)
    )


@dataclass(frozen=True)
class Found:
    """What was measured on test cases.

    Args:
        lines: lines of `measurements.csv`.
        rows: the cases compared with their labels.
    """

    lines: tuple[Line, ...]
    rows: tuple[CaseMetrics, ...]


def measured(run: RunFolder, tests: Sequence[Case], output: Path, device: str = "auto") -> Found:
    """Predict test cases, and compare them with their labels.

    Args:
        run: RUN folder with trained folds.
        tests: cases with label maps that no fold has seen.
        output: folder for the predictions.
        device: device that predicts.
    """
    problems = predict_cases(
        run, tests, output, configuration=CONFIGURATION, agreement=True, skip_existing=True, device=device
    )
    if problems:
        raise SystemExit("\n".join(problems))
    files = zip(tests, output_files(tests, output), strict=True)
    pairs = [Pair(case.name, case.label, target) for case, target in files if case.label is not None]
    compared = compare_all(pairs, read_plan(run.plan).labels)
    if failed := [one.problem for one in compared if one.problem]:
        raise SystemExit("\n".join(failed))
    lines = [line for line in read_lines(output) if line.case in {case.name for case in tests}]
    return Found(tuple(lines), tuple(row for one in compared for row in one.rows))


def all_figures(found: Sequence[Found], run: RunFolder) -> dict[str, Figures]:
    """Figures of each class and of the order of checking, over all test cases."""
    lines = [line for one in found for line in one.lines]
    rows = [row for one in found for row in one.rows]
    by_class = {name: of_class(name, lines, rows) for name in read_plan(run.plan).labels.foreground}
    return by_class | {"order of checking": of_order(lines, rows, always_there(read_fingerprint(run.fingerprint)))}


def of_class(name: str, lines: Sequence[Line], rows: Sequence[CaseMetrics]) -> Figures:
    """Figures of the agreement on a class."""
    agreement = {line.case: line.agreement for line in lines if line.class_name == name}
    dice = {row.case: row.dice for row in rows if row.class_name == name}
    return figures([agreement[case] for case in dice], list(dice.values()))


def of_order(lines: Sequence[Line], rows: Sequence[CaseMetrics], always: frozenset[str]) -> Figures:
    """Figures of the order of checking; a case without a reason to be checked comes last."""
    trust = {one.case: one.trust for one in check_order(lines, always)}
    dice: dict[str, list[float]] = {row.case: [] for row in rows}
    for row in rows:
        if row.dice is not None:
            dice[row.case].append(row.dice)
    return figures([trust.get(case, 1.0) for case in dice], [mean(d) if d else None for d in dice.values()])


def figures(agreement: Sequence[float | None], dice: Sequence[float | None]) -> Figures:
    """How well agreement tells the Dice over cases; cases in which either is not defined are left out.

    Args:
        agreement: agreement of each case.
        dice: Dice of each case, in the same order.
    """
    defined = [(a, d) for a, d in zip(agreement, dice, strict=True) if a is not None and d is not None]
    undefined = len(dice) - len(defined)
    if not defined:
        return Figures(0, undefined, None, None)
    agreed, right = np.array(defined).T
    worst = ceil(WORST * len(defined))
    first_by = [set(np.argsort(values, kind="stable")[:worst].tolist()) for values in (agreed, right)]
    same = min(np.ptp(agreed), np.ptp(right)) == 0
    spearman = None if same else float(spearmanr(agreed, right).statistic)
    return Figures(len(defined), undefined, spearman, len(first_by[0] & first_by[1]) / worst)


def show(found: dict[str, Figures]) -> None:
    shown = Table("class", "cases", "undefined", "Spearman", "of the worst fifth in the first fifth")
    for name, of_one in found.items():
        spearman = "–" if of_one.spearman is None else f"{of_one.spearman:.2f}"
        share = "–" if of_one.share is None else f"{of_one.share:.0%}"
        shown.add_row(name, str(of_one.cases), str(of_one.undefined), spearman, share)
    open_console().print(shown)


if __name__ == "__main__":
    main()
