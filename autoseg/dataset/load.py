"""Reads one case into memory: all channels on one grid, in the plan's orientation, and the label as class indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.case import Case
from autoseg.dataset.findings import Findings
from autoseg.dataset.pictures import told_together
from autoseg.dataset.voxels import read_channels, read_label_map
from autoseg.errors import DatasetError
from autoseg.image.flat.read import SpacingSource
from autoseg.image.geometry import IDENTITY, Geometry, Reorientation, to_canonical
from autoseg.image.labels import Labels
from autoseg.image.nifti.fields import NiftiFields


@dataclass(frozen=True)
class LoadedCase:
    """One case in memory.

    Args:
        image: (channel, z, y, x) float32 after reorientation; absent channels are zero.
        present: for each channel whether the sequence was acquired.
        label: class indices (z, y, x) uint8 after reorientation, `Labels.ignored` where not annotated; None where the
            case has no label or it was not read.
        stored: geometry of the file of the first present channel.
        reorientation: flips and permutation from the stored axes to those of the arrays.
        warnings: changes of the channels, such as the resampling of one onto another, one sentence each.
        nifti: transforms of that file as they are stored, where it is NIfTI.
        sized_by: where the size of a picture's pixels comes from; empty for images with a place in a patient.
        done: what was done with pictures, one sentence each.
    """

    image: NDArray[np.float32]
    present: tuple[bool, ...]
    label: NDArray[np.uint8] | None
    stored: Geometry
    reorientation: Reorientation
    warnings: tuple[str, ...] = ()
    nifti: NiftiFields | None = None
    sized_by: SpacingSource = ""
    done: tuple[str, ...] = ()

    @property
    def geometry(self) -> Geometry:
        """Geometry of the arrays, after reorientation."""
        return self.reorientation.apply_to_geometry(self.stored)


def require_sound(case: Case) -> None:
    """Refuse a case in which something was wrong when it was listed, such as its name; nothing is read.

    Raises:
        DatasetError: the case has problems; the message lists all of them.
    """
    if case.problems:
        raise DatasetError([f"{case.name}: {problem}" for problem in case.problems])


def load_case(case: Case, labels: Labels | None, orientation: Literal["canonical", "as_stored"]) -> LoadedCase:
    """Read a case.

    Channels on another grid than the first present one are resampled onto it; the label must lie on that grid to
    within a twentieth of a voxel. Reorientation flips and permutes axes and resamples nothing.

    Args:
        case: case from `read_dataset` or `read_inputs`.
        labels: values and names of the classes; None = the label is not read.
        orientation: `canonical` turns the axes (z, y, x) towards superior, posterior, left (LPS);
            `as_stored` keeps them.

    Raises:
        DatasetError: the case has problems; the message lists all of them.
    """
    require_sound(case)
    findings = Findings(case.name)
    image = read_channels(case, findings)
    label = None
    if labels is not None and case.label is not None:
        label = read_label_map(case.label, labels, image, findings, case.images)
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
        nifti=image.nifti,
        sized_by=image.sized_by,
        done=tuple(told_together(findings.done)),
    )
