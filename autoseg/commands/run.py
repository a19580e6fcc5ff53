"""`autoseg run`: all stages with one command."""

from __future__ import annotations

from pathlib import Path

from autoseg.commands.asked_here import names_of_devices, told_to_others, written_once_planned
from autoseg.commands.command import command
from autoseg.commands.fold_loop import train_folds
from autoseg.commands.give_to_engine import give_to_engine
from autoseg.commands.guards import configurations_of
from autoseg.commands.messages import say_changed_cases, say_time
from autoseg.commands.options import (
    Align,
    Architecture,
    AtOnce,
    Ct,
    DatasetFolder,
    Device,
    Devices,
    Dimensions,
    DryRun,
    Engine,
    Epochs,
    FollowLinks,
    Insecure,
    Memory,
    NoSelect,
    PixelSize,
    Replan,
    Retries,
    RunBudget,
    RunToMake,
    SlurmOptions,
    Threads,
    TrustTimes,
    Workers,
)
from autoseg.commands.plan_options import check_plan_options
from autoseg.commands.preparation import prepare, source_of
from autoseg.commands.printed_results import Report, ReportTime, report_if_finished, show_report
from autoseg.commands.raw_data import pixel_size
from autoseg.commands.select import select_at_end
from autoseg.commands.train import require_preprocessed
from autoseg.errors import InputError, PartialFailure
from autoseg.plan.plan import default_configurations
from autoseg.results import RunResults
from autoseg.run_folder.folds import read_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.terminal import open_console
from autoseg.work.engine import asked_of
from autoseg.work.request import request_of
from autoseg.work.tries import tried
from autoseg.work.units import report_unit


@command
def run(
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
    replan: Replan = False,
    workers: Workers = None,
    threads: Threads = None,
    epochs: Epochs = None,
    no_select: NoSelect = False,
    trust_times: TrustTimes = False,
    follow_links: FollowLinks = False,
    engine: Engine = "local",
    retries: Retries = None,
    at_once: AtOnce = None,
    slurm_option: SlurmOptions = None,
    dry_run: DryRun = False,
    insecure: Insecure = False,
) -> RunResults:
    """Everything: check, plan, preprocess, train all folds, cross-validate, select, report.

    Each case is predicted by the fold that did not train on it; only training cases of the data set are used.
    Stopped or killed, the same command goes on. With --epochs the plan follows from counted work instead of measured
    steps; with --threads as well, no measured time changes the result.

    With several --devices as many folds are trained at a time; cores and memory are shared out, and the time budget is
    wall time.

    With --engine slurm or ray, the work is divided into units that any machine does which sees DATASET and RUN under
    the same paths; see docs/cluster.md.

    Returns:
        The results of cross-validation; a table in a notebook. Empty where other processes do the work.

    Raises:
        PartialFailure: folds on several devices failed; the others are finished.
        AutosegError: under the same conditions as in `plan_and_preprocess` and `train`.
    """
    configurations = configurations_of(config)
    folder, console = RunFolder(Path(output)), open_console()
    asked = asked_of(
        engine,
        retries=retries,
        slurm_options=slurm_option,
        dry_run=dry_run,
        insecure=insecure,
        at_once=at_once,
    )
    here = asked.engine == "local"
    wanted = check_plan_options(
        time_budget,
        memory,
        device,
        architecture,
        devices=devices,
        threads=threads,
        epochs=epochs,
        align=align,
        elsewhere=not here,
    )
    request = request_of(
        dataset=told_to_others(dataset),
        configurations=configurations,
        ct=None if ct is None else tuple(ct),
        spacing=pixel_size(spacing),
        align=align,
        time_budget=wanted.budget,
        memory=memory,
        device=device,
        devices=names_of_devices(devices),
        architecture=architecture,
        workers=workers,
        threads=threads,
        epochs=epochs,
        selects=not no_select,
        trust_times=trust_times,
        follow_links=follow_links,
    )
    if not here:
        if replan:
            raise InputError("--replan: is for --engine local; `autoseg plan-and-preprocess --replan` plans anew first")
        give_to_engine(folder, request, asked)
        return RunResults(folder, {})
    write_down = written_once_planned(folder, request, wanted)
    prepared = prepare(
        source_of(dataset),
        folder,
        wanted,
        configurations,
        ct=ct,
        spacing=spacing,
        replan=replan,
        workers=workers,
        trust_times=trust_times,
        follow_links=follow_links,
        write_down=write_down,
    )
    plan, splits = prepared.plan, read_splits(folder.splits)
    configurations = configurations or default_configurations(plan)
    folds = [read_folds(folder, plan, name, splits) for name in configurations]
    for name in configurations:
        require_preprocessed(folder, plan, name, splits)
    say_changed_cases(console, folder, plan, configurations)
    left = [(of.configuration, fold) for of in folds for fold in of.left]
    reports_take = ReportTime(folder, configurations, threads=threads, selects=not no_select)
    failure: PartialFailure | None = None
    try:
        prepared = train_folds(folder, prepared, left, configurations, wanted, reports_take, console=console)
    except PartialFailure as some:
        # the results of the other folds are written first
        failure = some
    if not no_select:
        # before the reports, which show the choice
        with tried(folder, "select"):
            select_at_end(folder, configurations, len(splits), console, threads=threads)
    made: dict[str, Report | None] = {}
    for name in configurations:
        with tried(folder, report_unit(name)):
            made[name] = report_if_finished(folder, name, len(splits), threads)
    reports = {name: report for name, report in made.items() if report is not None}
    # printed first, so that the results and the report's path come last
    say_time(console, folder, prepared.plan)
    for report in reports.values():
        show_report(console, report)
    if failure is not None:
        raise failure
    return RunResults(folder, {name: report.summary for name, report in reports.items()})
