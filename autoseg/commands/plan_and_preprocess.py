"""`autoseg plan-and-preprocess`: makes fingerprint, plan, folds and preprocessed cases from a raw data set."""

from __future__ import annotations

from pathlib import Path

from autoseg.commands.command import command
from autoseg.commands.guards import configurations_of
from autoseg.commands.options import (
    Align,
    Architecture,
    Ct,
    DatasetFolder,
    Device,
    Devices,
    Dimensions,
    FollowLinks,
    Memory,
    PixelSize,
    PlanOnly,
    Replan,
    RunBudget,
    RunToMake,
    Threads,
    TrustTimes,
    Workers,
)
from autoseg.commands.plan_options import check_plan_options
from autoseg.commands.preparation import prepare, source_of
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder


@command
def plan_and_preprocess(
    dataset: DatasetFolder,
    output: RunToMake,
    *,
    config: Dimensions = None,
    ct: Ct = None,
    spacing: PixelSize = None,
    align: Align = None,
    time_budget: RunBudget = None,
    memory: Memory = None,
    device: Device = "auto",
    devices: Devices = None,
    architecture: Architecture = None,
    plan_only: PlanOnly = False,
    replan: Replan = False,
    workers: Workers = None,
    threads: Threads = None,
    trust_times: TrustTimes = False,
    follow_links: FollowLinks = False,
) -> Plan:
    """Check a data set, measure its fingerprint, plan, split and preprocess it.

    Again on the same RUN, edits of plan.yaml are kept, and only what they, or changes of the data set, touch is done
    again.

    Returns:
        The plan that is now in `plan.yaml`.

    Raises:
        DatasetError: the data set has problems; the message lists all of them, and nothing has been written.
        PlanError: an edited plan, or a person's own folds, are impossible.
        RunFolderError: RUN was planned with other options, or its models would not fit a new plan.
        InputError: an option is malformed, or the disk has too little space.
    """
    return prepare(
        source_of(dataset),
        RunFolder(Path(output)),
        check_plan_options(time_budget, memory, device, architecture, devices=devices, threads=threads, align=align),
        configurations_of(config),
        ct=ct,
        spacing=spacing,
        plan_only=plan_only,
        replan=replan,
        trust_times=trust_times,
        follow_links=follow_links,
        workers=workers,
    ).plan
