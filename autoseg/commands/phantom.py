"""`autoseg phantom`: a synthetic data set."""

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
    """Draw a synthetic spine data set with metastases, in the layout of a table.

    Args:
        output: folder to make.
        cases: how many.
        seed: the same gives the same data.
        kind: `spine`, or `small`: thick slices, small metastases alone, 0.1 % of the voxels.
        missing: share of the cases that lack each sequence, from 0 to 0.5; None = every fourth case lacks one.
        workers: processes; None = as many as cores and memory allow.
        threads: at most so many processes; None = no such limit.

    Returns:
        The folder, which holds `cases.csv`.

    Raises:
        InputError: the folder is not empty, or a number makes no sense.
    """
    from autoseg.synthetic_spine.write import make_phantom

    check_threads_and_epochs(threads)
    return make_phantom(
        Path(output), cases=cases, seed=seed, kind=kind, missing=missing, workers=workers, threads=threads
    )
