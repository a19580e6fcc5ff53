"""`autoseg phantom`: draws a synthetic data set."""

from __future__ import annotations

from pathlib import Path

from autoseg.commands.command import command
from autoseg.commands.guards import folder_for_results
from autoseg.commands.options import (
    Missing,
    PhantomCases,
    PhantomFolder,
    PhantomKind,
    Seed,
    Threads,
    Workers,
)
from autoseg.terminal import open_console


@command
def phantom(
    output: PhantomFolder,
    *,
    cases: PhantomCases = 40,
    seed: Seed = 0,
    kind: PhantomKind = "spine",
    missing: Missing = None,
    workers: Workers = None,
    threads: Threads = None,
) -> Path:
    """Draw a synthetic spine data set with metastases: T1, T2 and STIR, labels, cases.csv.

    Returns:
        The folder, which holds `cases.csv`.

    Raises:
        InputError: the folder is not empty, or an option is out of range.
    """
    from autoseg.synthetic_spine.write import make_phantom

    folder = make_phantom(
        folder_for_results(output), cases=cases, seed=seed, kind=kind, missing=missing, workers=workers, threads=threads
    )
    open_console().print(f"{cases} synthetic cases: {folder / 'cases.csv'}", soft_wrap=True)
    return folder
