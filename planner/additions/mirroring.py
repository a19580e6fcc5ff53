"""Which classes belong to one side of the body, so that images must not be mirrored from left to right."""

from __future__ import annotations

import re

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.decision import Decision

LATERAL_SHARE = 0.075
"""A class lies on one side if its centroid is farther from the middle in every case than this share of the width."""

_SIDE = re.compile(r"(^|[^a-z])(left|right|links|rechts|gauche|droite?)([^a-z]|$)|[ _-][lr]$", re.IGNORECASE)
_LEFT_RIGHT_AXIS = 2


def sided_classes(fingerprint: Fingerprint) -> tuple[str, ...]:
    """Names of the classes that lie on the same side of the body in every case, or whose names say so."""
    return tuple(
        name for name in fingerprint.labels.foreground if _SIDE.search(name) or _lies_on_one_side(name, fingerprint)
    )


def allowed_axes(axes: tuple[int, ...], fingerprint: Fingerprint) -> Decision[tuple[int, ...]]:
    """Those of `axes` (0 = z, 1 = y, 2 = x) along which mirroring does not turn one class into another."""
    sided = sided_classes(fingerprint)
    if not sided:
        return Decision(axes, "no class lies on one side of the body")
    kept = tuple(axis for axis in axes if axis != _LEFT_RIGHT_AXIS)
    return Decision(
        kept, f"not from left to right: {', '.join(sided)} {'lie' if len(sided) > 1 else 'lies'} on one side"
    )


def _lies_on_one_side(name: str, fingerprint: Fingerprint) -> bool:
    known = [case.classes[name] for case in fingerprint.cases if case.is_known(name)]
    centroids = [of_class.centroid_x for of_class in known if of_class.centroid_x is not None]
    return bool(centroids) and (min(centroids) > 0.5 + LATERAL_SHARE or max(centroids) < 0.5 - LATERAL_SHARE)
