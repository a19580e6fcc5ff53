"""By how much the sequences of the cases lie apart, as facts for the report."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from autoseg.dataset.fingerprint import Displacement, Fingerprint

FAR_MM = 2.0
"""Distance from which cases are named: more than the voxels of most spine protocols are wide."""

MOST_NAMED = 5


def sequences_apart(fingerprint: Fingerprint) -> dict[str, str]:
    """For each pair of sequences, such as `T2 against T1`, how far they lie apart, in words.

    Args:
        fingerprint: measured with displacements; without, there is nothing to say.
    """
    pairs: dict[str, list[tuple[str, Displacement]]] = {}
    for case in fingerprint.cases:
        for one in case.displacements:
            pairs.setdefault(f"{one.channel} against {one.reference}", []).append((case.case, one))
    return {pair: _in_words(found) for pair, found in pairs.items()}


def _in_words(found: Sequence[tuple[str, Displacement]]) -> str:
    """How far apart, first where the sequences share a grid, then where one was resampled onto the other's."""
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
    """The median distance and its range, and for how many cases edges tell it."""
    told = [d for one in found if (d := one.distance_mm) is not None]
    if not told:
        return "edges cannot tell how far apart"
    low, middle, high = (f"{d:.1f}" for d in (min(told), median(told), max(told)))
    text = f"{middle} mm apart" + (f" ({low}–{high})" if low != high else "")
    return text + ("" if len(told) == len(found) else f", as edges tell in {len(told)} of them")


def _cases(count: int) -> str:
    return f"{count} case" if count == 1 else f"{count} cases"
