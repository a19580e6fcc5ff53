"""Reading one case: channels on one grid, in the plan's orientation, the label as class indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.case import Case
from autoseg.dataset.voxels import Findings, read_channels, read_label_map
from autoseg.image.geometry import IDENTITY, Geometry, Reorientation, to_canonical
from autoseg.image.labels import Labels


@dataclass(frozen=True)
class LoadedCase:
    """One case in memory.

    Args:
        image: (C, z, y, x) float32 after reorientation; absent channels are zero.
        present: for each channel whether the sequence was acquired.
        label: (z, y, x) uint8 class indices after reorientation; None where there is none.
        stored: geometry of the user's file of the first present channel.
        reorientation: from the stored axes to those of the arrays.
        warnings: what was done to the channels, such as resampling one onto another.
    """

    image: NDArray[np.float32]
    present: tuple[bool, ...]
    label: NDArray[np.uint8] | None
    stored: Geometry
    reorientation: Reorientation
    warnings: tuple[str, ...] = ()

    @property
    def geometry(self) -> Geometry:
        """Geometry of the arrays, after reorientation."""
        return self.reorientation.apply_to_geometry(self.stored)


def load_case(case: Case, labels: Labels | None, orientation: Literal["canonical", "as_stored"]) -> LoadedCase:
    """Read a case.

    Channels are brought onto the grid of the first present one; the label must lie on it to within
    1e-3 of a voxel. Nothing else is resampled: orientation changes by flips and permutations.

    Args:
        case: as `read_dataset` or `read_inputs` gives it.
        labels: declared values; None leaves the label unread.
        orientation: `canonical` brings the axes (z, y, x) to superior, posterior, left (LPS).

    Raises:
        DatasetError: everything that is wrong with the case.
    """
    findings = Findings(case.name, problems=[f"{case.name}: {problem}" for problem in case.problems])
    findings.raise_problems()
    image = read_channels(case, findings)
    stored = None if image is None else image.geometry
    label = None
    if labels is not None and case.label is not None:
        label = read_label_map(case.label, labels, stored, findings)
    findings.raise_problems()
    assert image is not None
    reorientation = to_canonical(image.geometry) if orientation == "canonical" else IDENTITY
    classes = None
    if label is not None and labels is not None:
        classes = np.ascontiguousarray(reorientation.apply(labels.to_classes(label.array)))
    return LoadedCase(
        image=np.ascontiguousarray(reorientation.apply(image.array)),
        present=case.present,
        label=classes,
        stored=image.geometry,
        reorientation=reorientation,
        warnings=tuple(findings.warnings),
    )
