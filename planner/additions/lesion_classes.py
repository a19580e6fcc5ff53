"""Decides which classes are lesions: pieces that differ in number and size from case to case, and are small.

In: the fingerprint. Out: the names of these classes and why. What counts as a lesion decides the lesion-wise loss, how
coarse a plan may become, the operating point, and which components of a prediction get a score. No single number tells
lesions from organs: a kidney is small in a whole body, vertebrae are many, and an organ may have specks of the drawing.
So one index puts together size, number and share (docs/plan.md#small-lesions).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from autoseg.dataset.fingerprint import ClassFingerprint, Fingerprint
from autoseg.metrics.lesions import equivalent_diameters
from autoseg.plan.decision import Decision

LEAST_INDEX = 1.5
"""A class of this index is a lesion. It is 9.3 for lesions of livers (semi-synthetic), 2.1 to 4.6 for metastases of
synthetic spines of three kinds, and 0.1 to 0.6 for the organs of the abdomen and the hippocampus."""

# sums of floating-point volumes
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Pieces:
    """The connected components of a class over all cases.

    Args:
        a_case: mean over the cases of the effective number of components: (sum of volumes)² / sum of squared volumes,
            in which specks count for nothing (inverse of Simpson's index); 0 in a case without the class.
        varies: standard deviation of this number over the cases, divided by its mean.
        sizes: standard deviation of the logarithm of the diameter, each component weighted by its volume.
        diameter_mm: diameter of the component in which the median voxel of the class lies.
        of_extent: this diameter as a share of the extent of the median image (cube root of its volume), also where only
            a region of it is trained on.
        small_mm: diameter of the median component, however small it is.
    """

    a_case: float
    varies: float
    sizes: float
    diameter_mm: float
    of_extent: float
    small_mm: float

    @property
    def index(self) -> float:
        """How much the components differ in number and size, divided by the share of the image's extent."""
        return math.hypot(self.varies, self.sizes) / self.of_extent

    @property
    def are_lesions(self) -> bool:
        """Whether they are lesions."""
        return self.index >= LEAST_INDEX

    def text(self) -> str:
        """The pieces in words."""
        return f"{self.a_case:.2g} pieces a case, {self.diameter_mm:.0f} mm across, index {self.index:.1f}"


def pieces_of(fingerprint: Fingerprint, name: str) -> Pieces | None:
    """Number and size of the connected components of a class; None where no case has the class.

    Args:
        fingerprint: fingerprint of the data set.
        name: name of the foreground class.
    """
    known = [case for case in fingerprint.cases if case.is_known(name) and not _is_cut(case.classes.get(name))]
    cases = [case.classes[name].components_mm3 if name in case.classes else () for case in known]
    volumes = np.sort(np.fromiter(chain.from_iterable(cases), np.float64))
    if not volumes.size:
        return None
    numbers = np.array([_effective(components) for components in cases])
    diameters = equivalent_diameters(volumes / 1000)
    logarithms, weights = np.log(diameters), volumes / volumes.sum()
    mean = (weights * logarithms).sum()
    typical = float(diameters[np.searchsorted(weights.cumsum(), 0.5)])
    extents = [math.prod(case.shape) * math.prod(case.spacing) for case in known]
    return Pieces(
        a_case=float(numbers.mean()),
        varies=float(numbers.std() / numbers.mean()),
        sizes=float(np.sqrt((weights * (logarithms - mean) ** 2).sum())),
        diameter_mm=typical,
        of_extent=typical / float(np.cbrt(np.median(extents))),
        small_mm=float(np.median(diameters)),
    )


def lesion_classes(fingerprint: Fingerprint) -> Decision[tuple[str, ...]]:
    """Names of the classes that are lesions.

    Args:
        fingerprint: fingerprint of the data set.
    """
    found = {name: pieces for name in fingerprint.labels.foreground if (pieces := pieces_of(fingerprint, name))}
    lesions = tuple(name for name, pieces in found.items() if pieces.are_lesions)
    told = "; ".join(f"{name}: {found[name].text()}" for name in lesions or found)
    told = told or "ignored voxels cut every component, so that no size is known"
    why = f"small pieces that differ in number and size from case to case (index of {LEAST_INDEX:g} and more)"
    return Decision(lesions, f"{why}: {told}" if lesions else f"none has {why}: {told}")


def _is_cut(found: ClassFingerprint | None) -> bool:
    """Whether ignored voxels cut some component of a class in a case, so that number and sizes are not known."""
    return found is not None and sum(found.components_mm3) < (1 - _ROUNDING) * found.volume_mm3


def _effective(volumes: Sequence[float]) -> float:
    return sum(volumes) ** 2 / sum(v**2 for v in volumes) if volumes else 0.0
