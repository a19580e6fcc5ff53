"""Tells which cases of an interrupted prediction are left to do.

A case is done if its label map is there, its rows are in `measurements.csv`, and so is all else that is asked for.
Files appear whole or not at all, and rows come last. Only presence is judged: whether the model or the input has
changed since is not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from autoseg.dataset.case import Case


def cases_done(
    cases: Sequence[Case],
    targets: Sequence[Path],
    beside: Sequence[Sequence[Path]],
    measured: Collection[str],
) -> frozenset[str]:
    """Names of the cases of which all that is asked for is there.

    Args:
        cases: cases to predict.
        targets: file of each case's label map.
        beside: files that are asked for beside each of them.
        measured: names of the cases that have rows in `measurements.csv`.
    """
    done = set()
    for case, target, further in zip(cases, targets, beside, strict=True):
        if case.name in measured and all(path.exists() for path in (target, *further)):
            done.add(case.name)
    return frozenset(done)


def left_to_do(
    cases: Sequence[Case], targets: Sequence[Path], done: Collection[str]
) -> tuple[tuple[Case, ...], tuple[Path, ...]]:
    """Cases that are not done, and the files of their label maps."""
    left = [(case, target) for case, target in zip(cases, targets, strict=True) if case.name not in done]
    return tuple(case for case, _ in left), tuple(target for _, target in left)
