"""The fingerprint: what the planner needs to know of a data set, measured once. `fingerprint.json`.

Axes are (z, y, x) after canonical orientation (or as stored, if the plan says so); spacing in mm.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from autoseg.errors import PlanError, wrong_fields
from autoseg.files import FileModel, write_text
from autoseg.image.geometry import Shape, Spacing
from autoseg.image.labels import Labels
from autoseg.plan.plan import ForegroundIntensity


class ClassFingerprint(FileModel):
    """One foreground class in one case.

    Args:
        volume_mm3: its volume.
        components_mm3: volume of each connected component (26-neighbourhood), largest first.
        centroid_x: mean position along x as a share of the image's width, 0 right to 1 left in
            canonical orientation; None where the class is absent.
    """

    volume_mm3: float
    components_mm3: tuple[float, ...]
    centroid_x: float | None


class Displacement(FileModel):
    """By how much a sequence of a case lies apart from the case's first one, told by edges.

    Args:
        channel: name of the sequence.
        reference: name of the case's first sequence, onto whose grid it was brought.
        own_grid: whether it was drawn on a grid of its own, and resampled.
        mm: along the axes (z, y, x); None where edges cannot tell.
    """

    channel: str
    reference: str
    own_grid: bool
    mm: Spacing | None

    @property
    def distance_mm(self) -> float | None:
        """Length of the displacement; None where edges cannot tell."""
        return None if self.mm is None else math.hypot(*self.mm)


class CaseFingerprint(FileModel):
    """One case.

    Args:
        shape: voxels before the crop to non-zero.
        cropped_shape: voxels after it.
        orientation: anatomical letters towards which the stored axes (z, y, x) grow.
        present: for each channel whether the sequence was acquired.
        classes: by class name, foreground only.
        displacements: of every sequence after the first, where each has its own file; none in
            fingerprints measured before they were.
    """

    case: str
    shape: Shape
    cropped_shape: Shape
    spacing: Spacing
    orientation: str
    present: tuple[bool, ...]
    classes: dict[str, ClassFingerprint]
    displacements: tuple[Displacement, ...] = ()


class Fingerprint(FileModel):
    """A whole data set.

    Args:
        modality: of each channel, as the data set declares it: "ct" (Hounsfield units) or "other".
        median_relative_size_after_crop: median over cases of cropped voxels / all voxels.
    """

    schema_version: Literal[1] = 1
    dataset: str
    channels: tuple[str, ...]
    modality: tuple[Literal["ct", "other"], ...]
    labels: Labels
    intensities: tuple[ForegroundIntensity, ...]
    median_relative_size_after_crop: float
    cases: tuple[CaseFingerprint, ...]


def write_fingerprint(path: Path, fingerprint: Fingerprint) -> None:
    """Write a fingerprint as JSON, atomically."""
    write_text(path, fingerprint.model_dump_json(indent=1))


def read_fingerprint(path: Path) -> Fingerprint:
    """Read a fingerprint.

    Raises:
        PlanError: missing or malformed; names file and field.
    """
    try:
        return Fingerprint.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{path}: does not exist; `autoseg plan-and-preprocess` makes it") from None
    except ValidationError as error:
        raise PlanError(f"{path}: {wrong_fields(error)}") from None
