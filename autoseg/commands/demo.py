"""`autoseg demo`: draws synthetic cases and runs all stages on them."""

from __future__ import annotations

from autoseg.commands.command import command
from autoseg.commands.guards import folder_for_results
from autoseg.commands.options import (
    DemoBudget,
    DemoFolder,
    Device,
    PhantomCases,
    Threads,
)
from autoseg.commands.phantom import phantom
from autoseg.commands.run import run
from autoseg.plan.defaults import DEMO_BUDGET
from autoseg.results import RunResults
from autoseg.terminal import open_console

SYNTHETIC_NAME = "synthetic_spine"
"""Folder of the demonstration's data set; reports use it as the name of the data set."""

SYNTHETIC = (
    "The demonstration's data are synthetic: autoseg draws them itself, no patient is in them. "
    "Its numbers say that the software works, and nothing about patients."
)


@command
def demo(
    output: DemoFolder = "demo",
    *,
    cases: PhantomCases = 40,
    time_budget: DemoBudget = DEMO_BUDGET,
    device: Device = "auto",
    threads: Threads = None,
) -> RunResults:
    """Draw synthetic cases and take them through the whole path, on any machine.

    The data set goes into `synthetic_spine` below the folder, the RUN folder is `run`. The same command goes on where
    an earlier one stopped.

    Returns:
        The results of cross-validation; a table in a notebook.
    """
    console = open_console()
    console.print(SYNTHETIC, style="bold")
    folder = folder_for_results(output)
    if not (folder / SYNTHETIC_NAME / "cases.csv").exists():
        phantom(folder / SYNTHETIC_NAME, cases=cases, threads=threads)
    return run(folder / SYNTHETIC_NAME, folder / "run", time_budget=time_budget, device=device, threads=threads)
