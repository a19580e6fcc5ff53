"""`autoseg phantom`: draws a synthetic data set."""

from __future__ import annotations

from pathlib import Path

from autoseg.commands.options import check_threads_and_epochs


def phantom(
    output: Path | str,
    *,
    cases: int = 40,
    seed: int = 0,
    kind: str = "spine",
    missing: float | None = None,
    workers: int | None = None,
    threads: int | None = None,
) -> Path:
    """Draw a synthetic spine data set with metastases, with a `cases.csv` that lists its files.

    Args:
        output: folder to make; it must not exist, or must be empty.
        cases: number of synthetic patients that are drawn.
        seed: random seed; the same seed gives the same data.
        kind: `spine`, or `small`: thick slices, and only small metastases, 0.1 % of the voxels.
        missing: fraction of the cases that lack each sequence, from 0 to 0.5; None = every fourth case lacks one.
        workers: number of processes; None = as many as cores and memory allow.
        threads: maximum number of processes; None = no such limit.

    Returns:
        The folder, which holds `cases.csv`.

    Raises:
        InputError: the folder is not empty, or an option is out of range.
    """
    from autoseg.synthetic_spine.write import make_phantom

    check_threads_and_epochs(threads)
    return make_phantom(
        Path(output), cases=cases, seed=seed, kind=kind, missing=missing, workers=workers, threads=threads
    )
