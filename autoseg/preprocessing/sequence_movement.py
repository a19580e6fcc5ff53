"""Measures how a patient moved between two sequences of a case: a translation and a rotation.

In: two images of one patient on one grid, with any contrasts. Out: the movement, or None where it cannot be measured.
Translations alone are found in one step (`sequence_displacement`). From there, a rigid transform is searched on the
edges of both images (`edge_refinement`), on a coarse grid and with few edges: nothing is moved by what is found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Spacing
from autoseg.preprocessing.edge_refinement import QUICK, UNMOVED, Refined, refine
from autoseg.preprocessing.sequence_displacement import displacements

FARTHEST_MM, FARTHEST_DEGREES = 30.0, 20.0
"""A patient who moved farther is imaged anew; such a result is a search gone astray."""

LEAST_IN_A_HALF, LEAST_SHARE = 0.2, 0.6
"""Correlation of the edges that each half of the image must reach, by itself and as a share of that of the whole.

Unrelated images stay below 0.17. Where the halves moved differently, one of them reaches half of the whole's.
"""

LEAST_BEYOND_CHANCE = 0.15
"""Correlation of the edges beyond chance from which on a movement is told.

Noise in thick slices reaches 0.10; T1 against STIR of a spine reaches 0.4.
"""

LEAST_DROP = 0.1
"""By so much the correlation must drop where the image is turned further, or edges do not tell how it is turned.

A ball in noise reaches 0.06, at any angle that fits the noise best; T1 against STIR of a spine 0.22.
"""

THINNEST = 4
"""Along an axis with fewer voxels nothing tells of a rotation."""


@dataclass(frozen=True)
class Moved:
    """How an image lies against a reference.

    Args:
        mm: translation along the axes (z, y, x) in mm, of the image's centre where it is turned too.
        degrees: rotation vector (z, y, x) in degrees; None where only the translation can be measured.
    """

    mm: Spacing
    degrees: Spacing | None


def movements(
    reference: NDArray[np.float32], others: Sequence[NDArray[np.float32]], spacing: Spacing
) -> list[Moved | None]:
    """How each of `others` lies against `reference`.

    A structure at position p in `reference` is, in the other image, at p turned about the centre of the grid and moved.

    Args:
        reference: first image (z, y, x).
        others: further images (z, y, x) on the same grid.
        spacing: spacing (z, y, x) in mm.

    Returns:
        The movements, without a rotation where edges tell a translation alone; None where the edges of the two images
        correspond too little, or no more than by chance, or differently in both halves.
    """
    moved_mm = displacements(reference, others, spacing)
    return [_with_rotation(reference, other, spacing, mm) for other, mm in zip(others, moved_mm, strict=True)]


def _is_evident(found: Refined) -> bool:
    """Whether the edges of two images tell a movement: in both halves, more than chance does, and how it turned."""
    return (
        found.weaker_half >= max(LEAST_IN_A_HALF, LEAST_SHARE * found.after)
        and found.beyond_chance >= LEAST_BEYOND_CHANCE
        and found.after - found.turned_further >= LEAST_DROP
    )


def _with_rotation(
    reference: NDArray[np.float32], other: NDArray[np.float32], spacing: Spacing, mm: Spacing | None
) -> Moved | None:
    translated = None if mm is None else Moved(mm, None)
    if min(reference.shape) < THINNEST:
        return translated
    found = refine(reference, other, spacing, [UNMOVED if mm is None else (*mm, 0.0, 0.0, 0.0)], QUICK)
    z, y, x, *turned = (round(value, 2) for value in found.rigid)
    plausible = math.hypot(z, y, x) <= FARTHEST_MM and math.hypot(*turned) <= FARTHEST_DEGREES
    if not plausible or not _is_evident(found):
        return translated
    # where the image was not turned, the translation is the more exact by itself
    return Moved((z, y, x) if mm is None else mm, (turned[0], turned[1], turned[2]))
