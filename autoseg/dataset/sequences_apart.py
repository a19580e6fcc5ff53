"""Which sequences of a data set lie apart, in sentences: the patient moved between them."""

from __future__ import annotations

import math
from collections import defaultdict

from autoseg.dataset.fingerprint import Displacement, Fingerprint

FAR_MM, FAR_DEGREES = 2.0, 2.0
"""From these on a displacement is told: wider than the voxels of most spine protocols, at 60 mm from the centre."""


def is_far(one: Displacement) -> bool:
    """Whether a displacement is so large that it is told by case."""
    return (one.distance_mm or 0.0) > FAR_MM or (one.angle_degrees or 0.0) > FAR_DEGREES


def size_told(one: Displacement) -> str:
    """A displacement in words, such as `5.1 mm and 4.8 degrees`."""
    if one.distance_mm is None:
        return "an unknown distance"
    return f"{one.distance_mm:.1f} mm" + ("" if one.angle_degrees is None else f" and {one.angle_degrees:.1f} degrees")


def reach(one: Displacement) -> float:
    """Roughly how far a structure 57 mm from the centre lies off, in mm; one degree is a millimetre there."""
    return (one.distance_mm or 0.0) + math.radians(one.angle_degrees or 0.0) * 57.3


def far_apart(fingerprint: Fingerprint) -> tuple[str, ...]:
    """A sentence for each pair of sequences that lie far apart in some cases; empty where there are none."""
    pairs: defaultdict[tuple[str, str], list[tuple[Displacement, str]]] = defaultdict(list)
    for case in fingerprint.cases:
        for one in case.displacements:
            pairs[one.channel, one.reference].append((one, case.case))
    told = []
    for (channel, reference), found in pairs.items():
        far = [(one, case) for one, case in found if is_far(one)]
        if far:
            largest, worst = max(far, key=lambda item: reach(item[0]))
            told.append(
                f"{channel} lies more than {FAR_MM:g} mm or {FAR_DEGREES:g} degrees from {reference} in {len(far)} of "
                f"{len(found)} cases (largest: case {worst}, {size_told(largest)}); --align NAME moves the sequences "
                "of each case onto one"
            )
    return tuple(told)
