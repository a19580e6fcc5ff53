"""Finds what a RUN folder predicts with: the configurations and post-processing that were selected, or asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console

from autoseg.commands.guards import configurations_of
from autoseg.plan.plan import Plan, read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.report_folder import reported_mean_dice
from autoseg.run_folder.selection import Selection, read_selection, weakness
from autoseg.terminal import styled


class WhatPredicts(NamedTuple):
    """What a RUN folder predicts with.

    Args:
        plan: plan of the run.
        selected: the selection that the run holds, with the scores of lesions; None = there is none.
        selection: the selection that is applied; None where there is none, or other configurations were asked for.
        configurations: names of the configurations whose probabilities are averaged.
    """

    plan: Plan
    selected: Selection | None
    selection: Selection | None
    configurations: tuple[str, ...]


def what_predicts(folder: RunFolder, config: str | Sequence[str] | None, *, post_processing: bool) -> WhatPredicts:
    """Find the configurations and the post-processing of a prediction.

    Args:
        folder: RUN folder, or a copy of its models.
        config: configurations that a person asked for; None = as selected.
        post_processing: whether the selected post-processing is applied.

    Raises:
        RunFolderError: `selected.json` is malformed.
        PlanError: a configuration is not in the plan.
    """
    plan = read_plan(folder.plan)
    selected = read_selection(folder, plan)
    selection = selected if config is None else None
    if selection is not None and not post_processing:
        selection = selection.changed(post_processing=())
    configurations = configurations_of(config, plan) if selection is None else selection.configurations
    for name in configurations:
        plan.configuration(name)
    return WhatPredicts(plan, selected, selection, configurations)


def say_what_predicts(console: Console, folder: RunFolder, what: WhatPredicts) -> None:
    """Print what was selected, and a warning where cross-validation showed that the models are too weak.

    Args:
        console: console to print to.
        folder: RUN folder, or a copy of its models.
        what: what the folder predicts with.
    """
    if what.selection is not None:
        console.print(f"Selected by cross-validation: {what.selection.text()}", soft_wrap=True)
    dice = None if what.selected is None else what.selected.mean_dice_of(what.configurations)
    if dice is None and len(what.configurations) == 1:
        dice = reported_mean_dice(folder, *what.configurations)
    if (weak := weakness(dice)) is not None:
        console.print(styled("yellow", "cross-validation", f": {weak}"), soft_wrap=True)
