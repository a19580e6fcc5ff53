"""Finds what a RUN folder predicts with: the configurations and post-processing that were selected, or asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from autoseg.commands.guards import configurations_of
from autoseg.plan.plan import Plan, read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.selection import Selection, read_selection


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
