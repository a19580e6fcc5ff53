"""Describes, for the report, how far the sequences of each case are displaced against each other."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from autoseg.dataset.fingerprint import Displacement, Fingerprint

FAR_MM = 2.0
"""Displacement in mm above which cases are named: wider than the voxels of most spine protocols."""

MOST_NAMED = 5


def sequences_apart(fingerprint: Fingerprint) -> dict[str, str]:
    """Text that says how far two sequences are displaced, for each pair such as `T2 against T1`.

    Args:
        fingerprint: properties of the cases; the result is empty where displacements were not measured.
    """
    pairs: dict[str, list[tuple[str, Displacement]]] = {}
    for case in fingerprint.cases:
        for one in case.displacements:
            pairs.setdefault(f"{one.channel} against {one.reference}", []).append((case.case, one))
    return {pair: _in_words(found) for pair, found in pairs.items()}


def _in_words(found: Sequence[tuple[str, Displacement]]) -> str:
    """Text on one pair: first the cases that share a grid, then those in which one sequence was resampled."""
    parts = []
    for own_grid, where in ((False, "on one grid"), (True, "on grids of their own, one resampled")):
        of_kind = [one for _, one in found if one.own_grid == own_grid]
        if of_kind:
            parts.append(f"{where} in {_cases(len(of_kind))}: {_distances(of_kind)}")
    far = sorted(((d, case) for case, one in found if (d := one.distance_mm) and d > FAR_MM), reverse=True)
    if far:
        named = ", ".join(f"{case} {d:.1f} mm" for d, case in far[:MOST_NAMED])
        parts.append(f"over {FAR_MM:g} mm in {_cases(len(far))}: {named}{', …' if len(far) > MOST_NAMED else ''}")
    return "; ".join(parts)


def _distances(found: Sequence[Displacement]) -> str:
    """Text with the median distance, its range, and the number of cases in which it could be measured."""
    told = [d for one in found if (d := one.distance_mm) is not None]
    if not told:
        return "edges cannot tell how far apart"
    low, middle, high = (f"{d:.1f}" for d in (min(told), median(told), max(told)))
    text = f"{middle} mm apart" + (f" ({low}–{high})" if low != high else "")
    return text + ("" if len(told) == len(found) else f", as edges tell in {len(told)} of them")


def _cases(count: int) -> str:
    return f"{count} case" if count == 1 else f"{count} cases"
