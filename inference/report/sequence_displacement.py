"""Describes, for the report, how far the sequences of each case are displaced against each other."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from autoseg.dataset.fingerprint import Displacement, Fingerprint
from autoseg.dataset.sequences_apart import FAR_DEGREES, FAR_MM, is_far, reach, size_told

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
    far = sorted(((one, case) for case, one in found if is_far(one)), key=lambda item: reach(item[0]), reverse=True)
    if far:
        named = ", ".join(f"{case} {size_told(one)}" for one, case in far[:MOST_NAMED])
        more = ", …" if len(far) > MOST_NAMED else ""
        parts.append(f"over {FAR_MM:g} mm or {FAR_DEGREES:g} degrees in {_cases(len(far))}: {named}{more}")
    return "; ".join(parts)


def _distances(found: Sequence[Displacement]) -> str:
    """Text with the median distance and angle, their ranges, and the number of cases in which edges told them."""
    told = [d for one in found if (d := one.distance_mm) is not None]
    if not told:
        return "edges cannot tell how far apart"
    angles = [a for one in found if (a := one.angle_degrees) is not None]
    text = _median(told, "mm") + (f" and {_median(angles, 'degrees')}" if angles else "")
    return f"{text} apart" + ("" if len(told) == len(found) else f", as edges tell in {len(told)} of them")


def _median(values: Sequence[float], unit: str) -> str:
    low, middle, high = (f"{value:.1f}" for value in (min(values), median(values), max(values)))
    return f"{middle} {unit}" + (f" ({low}–{high})" if low != high else "")


def _cases(count: int) -> str:
    return f"{count} case" if count == 1 else f"{count} cases"
