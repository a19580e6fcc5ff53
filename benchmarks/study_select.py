"""Tests whether the choice of `select` is also good on cases that took no part in the choice.

    python -m benchmarks.study_select RUN IMAGES LABELS FOLDER

RUN is a run or a study with trained configurations, IMAGES is a folder of test images and LABELS one of their
references; neither training nor the choice has seen them. The choice is made anew. Then the test images are predicted
by the chosen configurations, with their post-processing and without, and by each trained configuration alone. Printed
are, for each of these, mean Dice in cross-validation and on the test cases, and the mean of the paired difference
over test cases, chosen minus this one, with its 95 % bootstrap interval. The Dice of each test case is written to
FOLDER/select.csv. The benchmark should show that the choice is no worse than the best single configuration.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from rich.table import Table

import autoseg
from autoseg.run_folder.selection import Selection
from autoseg.terminal import open_console
from inference.study.statistics import bootstrap_interval

CHOSEN, WITHOUT = "chosen", "chosen, without post-processing"


def main() -> None:
    options = parse()
    selection = autoseg.select(options.run)
    single = [c.configurations[0] for c in selection.candidates if len(c.configurations) == 1]
    scores = pd.concat(
        [
            score(options, CHOSEN, None, post_processing=True),
            score(options, WITHOUT, None, post_processing=False),
            *(score(options, name, name, post_processing=False) for name in single),
        ]
    )
    scores.to_csv(options.folder / "select.csv", index=False)
    show(selection, scores)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="with trained configurations")
    parser.add_argument("images", type=Path, help="test images")
    parser.add_argument("labels", type=Path, help="their references")
    parser.add_argument("folder", type=Path, help="where everything goes")
    return parser.parse_args()


def score(options: argparse.Namespace, name: str, config: str | None, *, post_processing: bool) -> pd.DataFrame:
    """Predict and evaluate the test images.

    Args:
        options: parsed command line, with run, images, labels and folder.
        name: name of what predicts, which goes into the column `predicted_by`.
        config: name of the configuration; None = what was chosen.
        post_processing: whether to apply the chosen post-processing.

    Returns:
        A row for each test case, with its mean Dice over the classes: columns case, dice, predicted_by.
    """
    predicted = options.folder / name.replace(", ", "_").replace(" ", "_")
    autoseg.predict(options.run, options.images, predicted, config=config, post_processing=post_processing)
    autoseg.evaluate(options.labels, predicted, predicted / "report", run=options.run)
    rows = pd.read_csv(predicted / "report" / "metrics.csv")
    return rows.groupby("case", as_index=False)["dice"].mean().assign(predicted_by=name)


def show(selection: Selection, scores: pd.DataFrame) -> None:
    by_validation: dict[str, float | None] = {" + ".join(c.configurations): c.mean_dice for c in selection.candidates}
    by_validation[WITHOUT] = selection.plain.mean_dice if selection.plain else None
    wide = scores.pivot(index="case", columns="predicted_by", values="dice")
    shown = Table("predicted by", "cross-validated Dice", "Dice of test cases", "chosen - it", "95 % interval")
    for name in scores["predicted_by"].drop_duplicates():
        difference = (wide[CHOSEN] - wide[name]).dropna().to_numpy()
        low, high = bootstrap_interval(difference, 0)
        validated = by_validation.get(name)
        shown.add_row(
            name,
            "" if validated is None else f"{validated:.3f}",
            f"{wide[name].mean():.3f}",
            f"{difference.mean():+.4f}",
            "" if low is None else f"{low:+.4f} to {high:+.4f}",
        )
    open_console().print(f"{len(wide)} test cases; chosen: {selection.text()}", highlight=False)
    open_console().print(shown)


if __name__ == "__main__":
    main()
