"""The fingerprint of a data set (`fingerprint.json`): the properties from which the planner makes a plan.

It is measured once. Axes are (z, y, x) after canonical orientation (or as stored, if the plan says so); spacing is in
mm.
"""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median
from typing import Literal

from pydantic import ValidationError, model_validator

from autoseg.disk.checksums import SealedModel
from autoseg.errors import PlanError, wrong_fields
from autoseg.files import FileModel, read_utf8, write_text
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses
from autoseg.image.geometry import Corners, Shape, Spacing
from autoseg.image.labels import Labels
from autoseg.names import PlainName
from autoseg.plan.plan import ForegroundIntensity


class ClassFingerprint(FileModel):
    """One foreground class in one case.

    Args:
        volume_mm3: volume of the class in mm³.
        components_mm3: volume of each connected component (26-neighbourhood) in mm³, largest first.
        centroid_x: mean position along x as a fraction of the image's width, from 0 (right) to 1 (left) in
            canonical orientation; None where the class is absent.
    """

    volume_mm3: float
    components_mm3: tuple[float, ...]
    centroid_x: float | None


class Displacement(FileModel):
    """Movement of a sequence of a case against the case's first sequence, measured on edges.

    Args:
        channel: name of the sequence.
        reference: name of the case's first sequence, whose grid the other is resampled onto.
        own_grid: whether the sequence is stored on another grid, and therefore resampled.
        mm: displacement along the axes (z, y, x) in mm; None where it cannot be measured on the edges.
        degrees: rotation vector (z, y, x) in degrees; None where it cannot be measured, and in earlier releases.
    """

    channel: str
    reference: str
    own_grid: bool
    mm: Spacing | None
    degrees: Spacing | None = None

    @property
    def distance_mm(self) -> float | None:
        """Length of the displacement in mm; None where it cannot be measured."""
        return None if self.mm is None else math.hypot(*self.mm)

    @property
    def angle_degrees(self) -> float | None:
        """Angle of the rotation in degrees; None where it cannot be measured."""
        return None if self.degrees is None else math.hypot(*self.degrees)


class CaseFingerprint(FileModel):
    """Properties of one case.

    Args:
        case: name of the case.
        shape: shape (z, y, x) in voxels before the crop to non-zero.
        cropped_shape: shape (z, y, x) in voxels after the crop.
        spacing: spacing (z, y, x) in mm.
        orientation: anatomical letters towards which the stored axes (z, y, x) grow, such as `SPL`.
        present: for each channel whether the sequence was acquired.
        classes: properties of each foreground class or region that is known in the case, by name.
        body: box around the body in voxels before the crop, as (lower, upper), each (z, y, x), upper end excluded; None
            in fingerprints of earlier releases.
        foreground: box around all foreground in the same voxels; None without foreground, and in earlier releases.
        displacements: displacement of every sequence after the first, if each sequence has its own file; empty in
            fingerprints of earlier releases.
        annotated: classes that were looked for in the label map; all of them in fingerprints of earlier releases.
    """

    case: PlainName
    shape: Shape
    cropped_shape: Shape
    spacing: Spacing
    orientation: str
    present: tuple[bool, ...]
    classes: dict[str, ClassFingerprint]
    body: Corners | None = None
    foreground: Corners | None = None
    displacements: tuple[Displacement, ...] = ()
    annotated: AnnotatedClasses = EVERY

    def is_known(self, name: str) -> bool:
        """Whether a foreground class or region was looked for, so that it is absent where it has no voxel."""
        return self.annotated == EVERY or name in self.classes

    @model_validator(mode="after")
    def _boxes_lie_in_the_image(self) -> CaseFingerprint:
        for box in filter(None, (self.body, self.foreground)):
            if not all(0 <= a < b <= n for a, b, n in zip(*box, self.shape, strict=True)):
                raise ValueError(f"the box {box} does not lie in an image of {self.shape}")
        return self


class Fingerprint(SealedModel, FileModel):
    """Properties of a whole data set.

    Args:
        dataset: name of the data set.
        channels: names of the channels, in order.
        modality: modality of each channel as the data set declares it: "ct" (Hounsfield units), "rgb"
            (8-bit colours of pictures) or "other".
        labels: values and names of the classes.
        intensities: intensity statistics of each channel over the foreground voxels.
        median_relative_size_after_crop: median over cases of the number of voxels after the crop / before it.
        cases: properties of each case.
        pixel_spacing: spacing (y, x) in mm with which pictures are read, training cases and new ones; None = as their
            files state.
    """

    schema_version: Literal[1] = 1
    dataset: str
    channels: tuple[str, ...]
    modality: tuple[Literal["ct", "rgb", "other"], ...]
    labels: Labels
    intensities: tuple[ForegroundIntensity, ...]
    median_relative_size_after_crop: float
    cases: tuple[CaseFingerprint, ...]
    pixel_spacing: tuple[float, float] | None = None

    @property
    def partly_annotated(self) -> bool:
        """Whether nobody looked for some class in some case."""
        return any(case.annotated != EVERY for case in self.cases)


def write_fingerprint(path: Path, fingerprint: Fingerprint) -> None:
    """Write a fingerprint as JSON, atomically."""
    write_text(path, fingerprint.sealed_json())


def read_fingerprint(path: Path) -> Fingerprint:
    """Read a fingerprint.

    Raises:
        PlanError: the file is missing or malformed; the message names file and field.
    """
    try:
        return Fingerprint.model_validate_json(read_utf8(path))
    except FileNotFoundError:
        raise PlanError(f"{path}: does not exist; `autoseg plan-and-preprocess` makes it") from None
    except ValidationError as error:
        raise PlanError(
            f"{path}: {wrong_fields(error)}; delete it, and `autoseg plan-and-preprocess` measures it again"
        ) from None


def has_boxes(fingerprint: Fingerprint) -> bool:
    """Whether the boxes of the body were measured, which earlier releases did not."""
    return any(case.body for case in fingerprint.cases)


def is_of_slices(fingerprint: Fingerprint) -> bool:
    """Whether most images have a single slice, along the same axis, so that only 2D configurations can be planned."""
    lengths = zip(*(case.cropped_shape for case in fingerprint.cases), strict=True)
    return any(median(of_axis) == 1 for of_axis in lengths)


def same_properties(before: Fingerprint, now: Fingerprint) -> bool:
    """Whether two fingerprints agree in all that both of them measured and a plan may follow from.

    Earlier releases measured no boxes. Displacements are told and change no plan; how they are measured may change.
    """
    unset: dict[str, object] = {} if has_boxes(before) else {"body": None, "foreground": None}
    then, there = (
        one.changed(cases=tuple(case.changed(displacements=(), **unset) for case in one.cases)) for one in (before, now)
    )
    return then == there
