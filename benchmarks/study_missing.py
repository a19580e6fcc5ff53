"""Measures what training on cases with missing sequences costs, and what it gains where a test case lacks a sequence.

    python -m benchmarks.study_missing FOLDER [--minutes 5] [--folds 5] [--cases 40] [--test-cases 20] [--config 3d]

Four models are trained on the same synthetic patients by one plan (patch, network, length of the schedule):

- `gaps`: on cases of which 30 % lack each sequence, trained as planned for such data (sequence dropout,
  availability code);
- `complete_cases`: on the cases of `gaps` that lack no sequence, trained without these means, as a method that needs
  all sequences has to; it never sees a missing sequence;
- `fewer`: on 70 % of the cases with no sequence missing, trained without these means; it never sees a missing
  sequence, and has as many images of each sequence as `gaps`;
- `complete`: on all cases with no sequence missing, trained without these means; it never sees a missing sequence
  either, and has images that the other models do not have.

The folds of each model together predict test patients of another seed, with all sequences, and with each sequence
left out in turn. Printed are the mean Dice of each model, and the mean of the paired difference over test cases,
`gaps` minus each other model, with its 95 % bootstrap interval; the Dice of each case is written to
FOLDER/missing.csv. The benchmark should show that `gaps` is no worse with all sequences, and that the other models
fail without one sequence where `gaps` does not.

The label belongs to T1, and the patient moves by up to a millimetre before the other sequences, so that without T1
no model can be as good as with it. If it is stopped or killed, the same command continues.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table

import autoseg
from autoseg.dataset.read import read_dataset
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import read_plan, read_reasons, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits, write_splits
from autoseg.terminal import open_console
from inference.study.statistics import bootstrap_interval

SEQUENCES = ("T1", "T2", "STIR")
MISSING = 0.3
SEED, TEST_SEED = 100, 200
FOLDS = 5  # number of folds that the time is planned for
MODELS = ("gaps", "complete_cases", "fewer", "complete")


def main() -> None:
    options = parse()
    folder: Path = options.folder
    data = {
        "gaps": phantom(folder / "data_gaps", options.cases, SEED, MISSING),
        "complete_cases": phantom(folder / "data_gaps", options.cases, SEED, MISSING),
        "fewer": phantom(folder / "data_complete", options.cases, SEED, 0.0),
        "complete": phantom(folder / "data_complete", options.cases, SEED, 0.0),
        "test": phantom(folder / "data_test", options.test_cases, TEST_SEED, 0.0),
    }
    runs = {model: folder / f"run_{model}" for model in MODELS}
    plan_alike(data, runs, options.config, options.minutes)
    for model in MODELS:
        # a second call on the same run keeps the plan as it is, and preprocesses by it
        autoseg.plan_and_preprocess(data[model], runs[model], config=options.config)
        for fold in range(options.folds):
            autoseg.train(runs[model], fold=fold, config=options.config)
    scores = pd.concat(
        score(runs[model], data["test"], left_out, folder / f"predicted_{model}", options.config).assign(model=model)
        for model in MODELS
        for left_out in (None, *SEQUENCES)
    )
    scores.to_csv(folder / "missing.csv", index=False)
    show(scores)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where everything goes")
    parser.add_argument("--minutes", type=float, default=5, help="that a fold of each model may take")
    parser.add_argument("--folds", type=int, default=FOLDS, help="that are trained, and predict together")
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--test-cases", type=int, default=20)
    parser.add_argument("--config", default="3d")
    return parser.parse_args()


def phantom(folder: Path, cases: int, seed: int, missing: float) -> Path:
    if not folder.exists():
        autoseg.phantom(folder, cases=cases, seed=seed, missing=missing)
    return folder


def plan_alike(data: dict[str, Path], runs: dict[str, Path], config: str, minutes: float) -> None:
    """Plan all models with the folds and the configuration of `gaps`, which alone keeps its means against gaps.

    Time limits are removed, so that all models do the planned steps: a slow machine must not shorten a schedule.

    Args:
        data: folder of the data set of each model, by name.
        runs: RUN folder of each model, by name.
        config: name of the configuration.
        minutes: time that a fold of each model is planned for.
    """
    for model in MODELS:
        autoseg.plan_and_preprocess(
            data[model], runs[model], config=config, time_budget=FOLDS * minutes * 60, plan_only=True
        )
    planned = read_plan(RunFolder(runs["gaps"]).plan).configuration(config)
    with_gaps = planned.changed(training=planned.training.changed(seconds=None))
    set_configuration(runs["gaps"], config, with_gaps)
    dropout, code = with_gaps.training.sequence_dropout, with_gaps.availability_code
    open_console().print(f"planned for gaps: sequence dropout {dropout:g}, availability code {code}", highlight=False)
    plain = with_gaps.training.changed(sequence_dropout=0.0)
    without_means = with_gaps.changed(training=plain, availability_code=False)
    splits = read_splits(RunFolder(runs["gaps"]).splits)
    complete = {case.name for case in read_dataset(data["gaps"]).cases if all(case.present)}
    of_complete = tuple(split.changed(train=tuple(c for c in split.train if c in complete)) for split in splits)
    of_fewer = tuple(split.changed(train=thinned(split.train)) for split in splits)
    for model, folds in (("complete_cases", of_complete), ("fewer", of_fewer), ("complete", splits)):
        set_configuration(runs[model], config, without_means)
        write_splits(RunFolder(runs[model]).splits, folds)


def thinned(cases: tuple[str, ...]) -> tuple[str, ...]:
    """A random sample of the cases, as many as have each sequence in the data of `gaps`."""
    drawn = np.random.default_rng(0).permutation(len(cases))[: round((1 - MISSING) * len(cases))]
    return tuple(cases[index] for index in sorted(drawn))


def set_configuration(run: Path, name: str, configuration: Configuration) -> None:
    """Write a configuration into `plan.yaml`, as a person would edit it."""
    path = RunFolder(run).plan
    plan = read_plan(path)
    edited = plan.changed(configurations={**plan.configurations, name: configuration})
    write_plan(path, edited, read_reasons(path))


def score(run: Path, test: Path, left_out: str | None, output: Path, config: str) -> pd.DataFrame:
    """Predict the test cases without the sequence `left_out` (None = with all), and evaluate them.

    Returns:
        A row for each test case, with its Dice and numbers of lesions; the column `left_out` names the sequence.
    """
    name = left_out or "nothing"
    predicted, report = output / name, output / f"{name}_report"
    if not (report / "metrics.csv").exists():
        table = without(test, left_out, output.parent)
        autoseg.predict(run, table, predicted, config=config)
        autoseg.evaluate(test / "labels", predicted, report, run=run)
    rows = pd.read_csv(report / "metrics.csv")
    return rows[["case", "dice", "lesions_reference", "lesions_found", "lesions_false"]].assign(left_out=name)


def without(test: Path, left_out: str | None, folder: Path) -> Path:
    """Write a table of the test cases in which one sequence is missing; returns its path."""
    with (test / "cases.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    table = folder / f"test_without_{left_out or 'nothing'}.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("case", *SEQUENCES))
        writer.writeheader()
        for row in rows:
            images = {s: "" if s == left_out else (test / row[s]).resolve() for s in SEQUENCES}
            writer.writerow({"case": row["case"], **images})
    return table


def show(scores: pd.DataFrame) -> None:
    others = MODELS[1:]
    shown = Table("left out", *MODELS, *(f"gaps - {other}, 95 % interval" for other in others), "cases")
    for left_out in ("nothing", *SEQUENCES):
        of_cases = scores[scores["left_out"] == left_out].pivot(index="case", columns="model", values="dice")
        means = [f"{of_cases[model].mean():.3f}" for model in MODELS]
        differences = [difference(of_cases["gaps"] - of_cases[other]) for other in others]
        shown.add_row(left_out, *means, *differences, str(len(of_cases)))
    open_console().print(shown)


def difference(of_cases: pd.Series) -> str:
    """Text of the mean of paired differences, with its 95 % bootstrap interval."""
    values = of_cases.dropna().to_numpy()
    low, high = bootstrap_interval(values, 0)
    return f"{values.mean():+.3f}" + (f" ({low:+.3f} to {high:+.3f})" if low is not None else "")


if __name__ == "__main__":
    main()
