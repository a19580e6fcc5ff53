"""Which classes were annotated in a case; of the others nobody knows where they are.

A class that was not annotated in a case has no voxel in its label map. Voxels of the background may be of it; voxels of
an annotated class are not. A region is known as a whole where all of its classes were annotated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autoseg.image.labels import Labels

EVERY: Final = "all"
AnnotatedClasses: TypeAlias = Literal["all"] | tuple[str, ...]
"""Names of the classes that were annotated in a case, without the background; `EVERY` = all classes."""


def not_annotated(labels: Labels, annotated: AnnotatedClasses) -> tuple[int, ...]:
    """Indices of the classes that were not annotated in a case, from 1.

    Args:
        labels: classes and regions of the data set.
        annotated: classes that were annotated in the case.

    Examples:
        >>> labels = Labels(values=(0, 1, 5), names=("background", "liver", "spleen"))
        >>> not_annotated(labels, ("spleen",)), not_annotated(labels, "all")
        ((1,), ())
    """
    if annotated == EVERY:
        return ()
    return tuple(index for index, name in enumerate(labels.names) if index and name not in annotated)


def known_outputs(labels: Labels, annotated: AnnotatedClasses) -> tuple[bool, ...]:
    """For each foreground class or region whether all of its voxels in a case are known.

    Args:
        labels: classes and regions of the data set.
        annotated: classes that were annotated in the case.
    """
    missing = set(not_annotated(labels, annotated))
    return tuple(missing.isdisjoint(members) for members in labels.members)


def names_of_unknown(labels: Labels, annotated: AnnotatedClasses) -> tuple[str, ...]:
    """Names of the foreground classes or regions of which not all voxels in a case are known."""
    known = known_outputs(labels, annotated)
    return tuple(name for name, is_known in zip(labels.foreground, known, strict=True) if not is_known)


def known_by_none(labels: Labels, of_cases: Sequence[AnnotatedClasses]) -> tuple[str, ...]:
    """Names of the foreground classes or regions that no case knows as a whole.

    Args:
        labels: classes and regions of the data set.
        of_cases: classes that were annotated in each case.

    Examples:
        >>> labels = Labels(values=(0, 1, 5), names=("background", "liver", "spleen"))
        >>> known_by_none(labels, [("liver",), ("liver",)]), known_by_none(labels, [("liver",), "all"])
        (('spleen',), ())
    """
    unknown = [set(names_of_unknown(labels, annotated)) for annotated in dict.fromkeys(of_cases)]
    return tuple(name for name in labels.foreground if all(name in of_case for of_case in unknown))


def missing_classes(labels: Labels, of_cases: Sequence[AnnotatedClasses]) -> NDArray[np.bool_]:
    """Whether each class was not annotated in each case, (case, class); the background, class 0, never is missing."""
    missing = np.zeros((len(of_cases), labels.classes), dtype=bool)
    for row, annotated in zip(missing, of_cases, strict=True):
        row[list(not_annotated(labels, annotated))] = True
    return missing


def missing_in_training(labels: Labels, of_cases: Sequence[AnnotatedClasses]) -> NDArray[np.bool_] | None:
    """Whether each class is missing for the loss in each training case, (case, class); None where none is.

    A class that no training case knows is not missing for the loss, but absent. Else nothing would tell the network
    where it is not, and it might be predicted anywhere. Of a region that no case knows as a whole, the classes count as
    absent in the cases that lack the fewest of them.

    Args:
        labels: classes and regions of the data set.
        of_cases: classes that were annotated in each training case.
    """
    missing = missing_classes(labels, of_cases)
    missing[:, missing.all(axis=0)] = False
    for members in map(list, labels.members):
        lacking = missing[:, members].sum(axis=1)
        if lacking.min() > 0:
            missing[np.ix_(lacking == lacking.min(), members)] = False
    return missing if missing.any() else None
