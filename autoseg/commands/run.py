"""`autoseg run`: all stages with one command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoseg.commands.fold_loop import train_folds
from autoseg.commands.messages import say_time
from autoseg.commands.options import asked, configurations_of
from autoseg.commands.plan_and_preprocess import prepare
from autoseg.commands.results import ReportTime, report_if_finished, show_report
from autoseg.commands.train import require_preprocessed
from autoseg.plan.configuration import Architecture
from autoseg.plan.defaults import DEFAULT_CONFIGURATIONS
from autoseg.run_folder.folds import read_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.terminal import open_console


def run(
    dataset: Path | str,
    output: Path | str,
    *,
    config: str | Sequence[str] = DEFAULT_CONFIGURATIONS,
    time_budget: str | float | None = None,
    memory: float | None = None,
    device: str = "auto",
    architecture: Architecture | None = None,
    replan: bool = False,
    workers: int | None = None,
    threads: int | None = None,
    epochs: int | None = None,
) -> None:
    """Check, plan, preprocess, train every fold, predict each case by the fold that did not train on it, and report.

    The same call goes on where an earlier one stopped. Only training cases of the data set are used.

    Args:
        dataset: folder in nnU-Net's or the Decathlon's layout, or a `cases.csv` (or its folder).
        output: RUN folder to create, or an existing one to go on with.
        config: configurations to train: `2d`, `2.5d`, `3d`, `3d_lowres`.
        time_budget: time for the whole run, such as `40m`, or seconds; None = 40 minutes on a CPU, and on a
            GPU as long as the reference schedule takes.
        memory: device memory in GB that the plan may use; None = 8.
        device: `auto`, `cpu`, `cuda` or `mps`.
        architecture: architecture of the network; None = `plain`.
        replan: whether to discard edits of `plan.yaml` and plan again.
        workers: number of cases that are processed at once; None = as many as cores and memory allow.
        threads: number of threads that compute on a CPU; None = as many as other programs leave cores for.
        epochs: number of epochs of every fold. The plan then follows from counted work instead of measured
            steps; if `threads` is given too, the result does not depend on measured time. None = as planned.

    Raises:
        AutosegError: under the same conditions as in `plan_and_preprocess` and `train`.
    """
    configurations = configurations_of(config)
    folder, console = RunFolder(Path(output)), open_console()
    wanted = asked(time_budget, memory, device, architecture, threads=threads, epochs=epochs)
    prepared = prepare(Path(dataset), folder, wanted, configurations, replan=replan, workers=workers)
    plan, splits = prepared.plan, read_splits(folder.splits)
    folds = [read_folds(folder, plan, name, splits) for name in configurations]
    for name in configurations:
        require_preprocessed(folder, plan, name, splits)
    left = [(of.configuration, fold) for of in folds for fold in of.left]
    reports_take = ReportTime(folder, configurations, threads=threads)
    prepared = train_folds(folder, prepared, left, configurations, wanted, reports_take, console=console)
    reports = [report_if_finished(folder, name, len(splits), threads) for name in configurations]
    # printed first, so that the results and the report's path come last
    say_time(console, folder, prepared.plan)
    for report in reports:
        if report is not None:
            show_report(console, report)
