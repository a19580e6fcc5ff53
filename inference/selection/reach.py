"""Says whether a figure that a person asked for is reached, and what a bound of the risk means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from inference.selection.fit_post_processing import Aim, OutcomeTable, fit
from inference.selection.post_processing_outcomes import THRESHOLDS


def reach_notes(names: Sequence[str], tables: Sequence[OutcomeTable], aims: Sequence[Aim]) -> Iterator[str]:
    """Sentences for each class of which a figure was asked for.

    Args:
        names: names of the foreground classes.
        tables: outcomes of each class.
        aims: aim of each class; others are not told.
    """
    for name, table, aim in zip(names, tables, aims, strict=True):
        if aim.name == "risk":
            yield f"{name}: {_meaning(table, aim)}"
        elif aim.is_asked_for and (missed := _out_of_reach(table, aim)):
            yield f"{name}: {missed}"
    if sum(aim.name == "risk" for aim in aims) > 1:
        yield "each bound holds for its class alone: with several thresholds, classes take voxels from each other"


def _out_of_reach(table: OutcomeTable, aim: Aim) -> str:
    """What is reached instead of a figure that is out of reach; empty where it is met."""
    setting = fit(table, aim, aim.steps)
    found = table.found.sum(axis=0)[setting] / max(int(table.lesions.sum()), 1)
    false = table.false.mean(axis=0)[setting]
    if aim.name == "sensitivity" and found < aim.least - 1e-12:
        return f"{aim.least:.0%} of the lesions is out of reach; the most that is found is {found:.0%}"
    if aim.name == "false" and false > aim.most + 1e-12:
        return f"{aim.most:g} false ones a case are out of reach; the fewest are {false:.2f}"
    return ""


def _meaning(table: OutcomeTable, aim: Aim) -> str:
    setting = fit(table, aim, aim.steps)
    n, bound = int(np.count_nonzero(table.lesions)), float(table.risk_bound()[setting])
    lowest = float(table.risk_bound()[0, 0, 0])
    if n == 0:
        return "no case has lesions, so nothing bounds how many are missed"
    least = 1 / (n + 1)
    if bound > aim.most:
        why = f"{n} cases cannot show less than {least:.1%}" if least > aim.most else "the model misses too many"
        return (
            f"an expected share of missed lesions of {aim.most:.0%} is out of reach, so nothing is changed: at the "
            f"lowest threshold, {THRESHOLDS[0]:g}, the bound is {lowest:.1%}; {why}"
        )
    shares = table.missed_shares()[(slice(None), *setting)]
    error = float(shares.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return (
        f"of one more case like these, {aim.most:.0%} of the lesions are missed on average or fewer. With {n} cases "
        f"the share in cross-validation had to be {(aim.most * (n + 1) - 1) / n:.1%} or less for that, and is "
        f"{shares.mean():.1%} (standard error {error:.1%}). The average is over many sets of {n} cases as well: for "
        "this one set the share may be higher by about that error. It speaks of images from the same scanners and "
        "patients"
    )
