"""A finished RUN and a STUDY of two cells, tiny, for treatment by a hostile hand."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import autoseg
from autoseg.plan.configuration import Configuration, Prediction
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits
from planner.rules.reference_plan import PlannedDecisions
from tests.autoseg.small_dataset import make_dataset
from tests.example_plan import example_network

CASES = tuple(f"ball_{i}" for i in range(4))
FOLDS = (Split(train=CASES[:2], val=CASES[2:]), Split(train=CASES[2:], val=CASES[:2]))
FIXED = {"device": "cpu", "workers": 1, "threads": 1, "epochs": 1}
CHARTS = {
    "inference.report.page": ("box_plots", "dice_by_size", "training_curves", "svg"),
    "inference.report.pictures": ("draw", "png"),
    "inference.study.page": ("box_plots", "heat_map", "svg"),
    "inference.study.pictures": ("draw_grid", "png"),
}


@dataclass(frozen=True)
class Template:
    """Folders of the raw data set, of a RUN and of a STUDY, each finished."""

    data: Path
    run: Path
    study: Path


def make_template(folder: Path) -> Template:
    """Make the data set, and run and study it with networks that train in a second."""
    made = Template(make_dataset(folder / "data", len(CASES)), folder / "run", folder / "study")
    with small_and_quick():
        write_splits(RunFolder(made.run).splits, FOLDS)
        autoseg.run(made.data, made.run, config=["2d", "3d"], **FIXED)
        autoseg.select(made.run, workers=1, threads=1)
        write_splits(RunFolder(made.study).splits, FOLDS)
        autoseg.study(made.data, made.study, sequences=["all"], dimensions=["2d", "3d"], **FIXED)
    return made


def small_and_quick() -> ExitStack:
    """Plans are tiny, and no chart is drawn, since no path is read there; text still gets into the pages."""
    stack = ExitStack()
    stack.enter_context(mock.patch("planner.budget.time_budget.fit_to_budget", _fit))
    for module, names in CHARTS.items():
        for name in names:
            stack.enter_context(mock.patch(f"{module}.{name}", lambda *_, **__: "data:,"))
    return stack


def _fit(decisions: PlannedDecisions, *_: object, device: str, **__: object) -> PlannedDecisions:
    planned = {name: _shrunk(configuration) for name, configuration in decisions.plan.configurations.items()}
    return PlannedDecisions(decisions.plan.changed(configurations=planned, device=device), decisions.reasons)


def _shrunk(configuration: Configuration) -> Configuration:
    flat = 1 in configuration.patch_size
    network = example_network(
        features=(4, 8),
        strides=((1, 1, 1), (1, 2, 2)),
        kernel_sizes=((1 if flat else 3, 3, 3),) * 2,
        encoder_blocks=(1, 1),
        decoder_blocks=(1,),
    )
    steps = {"iterations": 2, "iterations_per_epoch": 2, "mirror": (), "validate_every": 1}
    return configuration.changed(
        patch_size=(1 if flat else 8, 16, 16),
        batch_size=2,
        network=network,
        training=configuration.training.changed(**steps),
        prediction=Prediction(overlap=0.5, mirror=()),
    )
