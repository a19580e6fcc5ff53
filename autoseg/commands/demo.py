"""`autoseg demo`: draws synthetic cases and runs all stages on them."""

from __future__ import annotations

from pathlib import Path

from autoseg.commands.phantom import phantom
from autoseg.commands.run import run
from autoseg.plan.defaults import DEMO_BUDGET
from autoseg.terminal import open_console

SYNTHETIC_NAME = "synthetic_spine"
"""Folder of the demonstration's data set; reports use it as the name of the data set."""

SYNTHETIC = (
    "The demonstration's data are synthetic: autoseg draws them itself, no patient is in them. "
    "Its numbers say that the software works, and nothing about patients."
)


def demo(
    output: Path | str = "demo",
    *,
    cases: int = 40,
    time_budget: str | float = DEMO_BUDGET,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Draw a synthetic data set, and call `run` on it.

    The same call goes on where an earlier one stopped.

    Args:
        output: folder to make; the data set goes into `synthetic_spine`, the RUN folder is `run`.
        cases: number of cases to draw.
        time_budget: time for the run, such as `40m`, or seconds.
        device: `auto`, `cpu`, `cuda` or `mps`.
        threads: number of threads that compute on a CPU; None = as many as other programs leave cores for.
    """
    console = open_console()
    console.print(f"[bold]{SYNTHETIC}[/bold]")
    folder = Path(output)
    if not (folder / SYNTHETIC_NAME / "cases.csv").exists():
        phantom(folder / SYNTHETIC_NAME, cases=cases, threads=threads)
    run(folder / SYNTHETIC_NAME, folder / "run", time_budget=time_budget, device=device, threads=threads)
