"""Tests whether small lesions in thick slices are found, and what the lesion-wise loss and sampling by lesion add.

    python -m benchmarks.study_small_lesions FOLDER [--minutes 30] [--cases 40] [--test-cases 20] [--config 3d]

The data are the phantom's kind `small`: about 0.1 % of the voxels are foreground, in slices of 6 mm with voxels of
0.7 mm. Four models of one plan are trained for the same time on the same cases. They differ in two fields:
`lesion_loss` (as planned, or 0) and `sample_by` (`lesion` or `voxel`). Fold 0 of each model predicts test patients
of another seed. Printed, and written to FOLDER/small_lesions.csv case by case, are: found lesions of more than 6 mm
(diameter of the ball of equal volume), all found lesions, false lesions per case, and Dice. `docs/metrics.md` defines
which lesions are found and which are false. The benchmark should show that 60 % of the lesions over 6 mm are found
with at most two false lesions per case.

`--arms` trains only some of the four models. If it is stopped or killed, the same command continues.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from rich.table import Table

import autoseg
from autoseg.image.image import read_label
from autoseg.metrics import count_voxels, match_lesions
from autoseg.plan.plan import read_plan, read_reasons, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console

SEED, TEST_SEED = 100, 200
FOLDS = 5  # number of folds that the time is planned for; only one is trained
DIAMETER_MM = 6.0
WEIGHT = 0.3  # weight of the lesion-wise loss where the plan has none
# for each model, by its folder: whether it has the lesion-wise loss, and how foreground patches are drawn
ARMS = {
    "lesion_loss_by_lesion": (True, "lesion"),
    "plain_loss_by_lesion": (False, "lesion"),
    "lesion_loss_by_voxel": (True, "voxel"),
    "plain_loss_by_voxel": (False, "voxel"),
}


def main() -> None:
    options = parse()
    folder: Path = options.folder
    data = phantom(folder / "data", options.cases, SEED)
    test = phantom(folder / "data_test", options.test_cases, TEST_SEED)
    planned = folder / "planned"
    autoseg.plan_and_preprocess(data, planned, config=options.config, time_budget=FOLDS * options.minutes * 60)
    tables = []
    for arm in options.arms:
        run, predicted = folder / arm, folder / f"predicted_{arm}"
        if not run.exists():
            autoseg.copy(planned, run)
        edit(run, options.config, *ARMS[arm])
        autoseg.train(run, fold=0, config=options.config)
        autoseg.predict(run, test / "cases.csv", predicted, config=options.config, fold=0)
        tables.append(score(test / "labels", predicted).assign(arm=arm))
    scores = pd.concat(tables)
    scores.to_csv(folder / "small_lesions.csv", index=False)
    show(scores)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where everything goes")
    parser.add_argument("--minutes", type=float, default=30, help="that a fold of each model may take")
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--test-cases", type=int, default=20)
    parser.add_argument("--config", default="3d")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    return parser.parse_args()


def phantom(folder: Path, cases: int, seed: int) -> Path:
    if not folder.exists():
        autoseg.phantom(folder, cases=cases, seed=seed, kind="small", missing=0.0)
    return folder


def edit(run: Path, config: str, lesion_loss: bool, sample_by: str) -> None:
    """Set `lesion_loss` and `sample_by` of a configuration in `plan.yaml`, as a user would edit it."""
    path = RunFolder(run).plan
    plan = read_plan(path)
    configuration = plan.configuration(config)
    weight = read_plan(RunFolder(run).planned).configuration(config).training.lesion_loss or WEIGHT
    training = configuration.training.changed(lesion_loss=weight if lesion_loss else 0.0, sample_by=sample_by)
    edited = configuration.changed(training=training)
    plan = plan.changed(configurations={**plan.configurations, config: edited})
    write_plan(path, plan, read_reasons(path))


def score(references: Path, predictions: Path) -> pd.DataFrame:
    """A row for each case: Dice, and numbers of reference lesions, found lesions and false lesions."""
    rows = []
    for file in sorted(references.glob("*.nii.gz")):
        reference, prediction = read_label(file), read_label(predictions / file.name)
        truth, guess = reference.array[0] > 0, prediction.array[0] > 0
        match = match_lesions(truth, guess, reference.geometry.spacing)
        large = [lesion for lesion in match.lesions if lesion.diameter_mm > DIAMETER_MM]
        rows.append(
            {
                "case": file.name.removesuffix(".nii.gz"),
                "dice": count_voxels(truth, guess).dice,
                "large": len(large),
                "large_found": sum(lesion.found for lesion in large),
                "lesions": len(match.lesions),
                "found": match.found,
                "false": match.false,
            }
        )
    return pd.DataFrame(rows)


def show(scores: pd.DataFrame) -> None:
    shown = Table("model", f"over {DIAMETER_MM:g} mm found", "all found", "false a case", "Dice, mean ± sd", "cases")
    for arm, of_arm in scores.groupby("arm", sort=False):
        total = of_arm[["large", "large_found", "lesions", "found"]].sum()
        shown.add_row(
            str(arm),
            share(total["large_found"], total["large"]),
            share(total["found"], total["lesions"]),
            f"{of_arm['false'].mean():.2f}",
            f"{of_arm['dice'].mean():.3f} ± {of_arm['dice'].std():.3f}",
            str(len(of_arm)),
        )
    open_console().print(shown)


def share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.0%})" if whole else "none there"


if __name__ == "__main__":
    main()
