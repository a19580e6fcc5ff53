"""Computes all metrics of one case, class by class.

Surfaces and components of a class are computed inside the bounding box of its reference and prediction only, so that
a case of hundreds of slices and dozens of classes takes no more than tens of seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import InputError
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses, known_outputs
from autoseg.image.class_boxes import class_boxes, hull
from autoseg.image.geometry import Spacing, flat_axis
from autoseg.image.labels import Labels
from autoseg.metrics.lesions import LesionMatch, match_lesions
from autoseg.metrics.surface import TOLERANCE_MM, SurfaceMetrics, surface_metrics
from autoseg.metrics.voxel import Counts, count_voxels, ratio


@dataclass(frozen=True)
class CaseMetrics:
    """Metrics of one foreground class, or of one region, in one case; None = not defined, see each property.

    Args:
        case: name of the case.
        class_name: name of the class.
        voxel_ml: volume of one voxel in ml.
        counts: numbers of true and false, positive and negative voxels over all annotated voxels of the image.
        surface: HD95 and surface Dice; None where they were not computed.
        lesions: detection of lesions (connected components).
    """

    case: str
    class_name: str
    voxel_ml: float
    counts: Counts
    surface: SurfaceMetrics | None
    lesions: LesionMatch

    @property
    def dice(self) -> float | None:
        """Dice, see `Counts.dice`: None where reference and prediction are empty, 0 where only one is."""
        return self.counts.dice

    @property
    def sensitivity(self) -> float | None:
        """Sensitivity, see `Counts.sensitivity`: None where the reference is empty."""
        return self.counts.sensitivity

    @property
    def specificity(self) -> float | None:
        """Specificity, see `Counts.specificity`."""
        return self.counts.specificity

    @property
    def precision(self) -> float | None:
        """Precision, see `Counts.precision`: None where the prediction is empty."""
        return self.counts.precision

    @property
    def reference_ml(self) -> float:
        """Volume of the class in the reference in ml."""
        return self.counts.reference * self.voxel_ml

    @property
    def prediction_ml(self) -> float:
        """Volume of the class in the prediction in ml."""
        return self.counts.prediction * self.voxel_ml

    @property
    def volume_error_ml(self) -> float:
        """Predicted minus reference volume in ml: positive where too much was predicted."""
        return (self.counts.prediction - self.counts.reference) * self.voxel_ml

    @property
    def volume_error_relative(self) -> float | None:
        """Volume error / reference volume; None where the reference is empty."""
        return ratio(self.counts.prediction - self.counts.reference, self.counts.reference)

    @property
    def hd95_mm(self) -> float | None:
        """HD95 in mm; None where reference or prediction is empty (no distance exists) or it was not computed."""
        return self.surface.hd95_mm if self.surface else None

    @property
    def surface_dice(self) -> float | None:
        """Surface Dice; None where reference and prediction are empty or it was not computed, 0 where one is empty."""
        return self.surface.surface_dice if self.surface else None

    @property
    def reference_empty(self) -> bool:
        """Whether the class does not occur in the reference."""
        return self.counts.reference == 0

    @property
    def prediction_empty(self) -> bool:
        """Whether the class does not occur in the prediction."""
        return self.counts.prediction == 0


def case_metrics(
    case: str,
    reference: NDArray,
    prediction: NDArray,
    spacing: Spacing,
    labels: Labels,
    *,
    tolerance_mm: float = TOLERANCE_MM,
    surfaces: bool = True,
    annotated_classes: AnnotatedClasses = EVERY,
) -> list[CaseMetrics]:
    """Compare two label maps on one grid; returns one row for each foreground class or region, in their order.

    A class that nobody looked for in the case, and a region that holds one, has no row: it is neither there nor absent.

    Voxels that the reference marks as ignored are removed from both label maps, as in nnU-Net's evaluation: they count
    in no number, and a surface ends at them. Lesions alone are those of the whole prediction, see `judged_components`.

    Args:
        case: name of the case.
        reference: reference label map (z, y, x) with the values of the file.
        prediction: predicted label map (z, y, x) with the values of the file.
        spacing: spacing (z, y, x) in mm.
        labels: values and names of the classes.
        tolerance_mm: distance in mm up to which surfaces agree, for the surface Dice.
        surfaces: whether to compute HD95 and surface Dice, the slow part (it imports MONAI).
        annotated_classes: classes that were looked for in the reference.

    Raises:
        InputError: the shapes of the two label maps differ.
        DatasetError: a label map has a value that `labels` does not declare.
    """
    if reference.shape != prediction.shape:
        raise InputError(f"case {case}: reference has shape {reference.shape}, prediction {prediction.shape} (z, y, x)")
    truth, guess = labels.to_classes(reference), labels.to_classes(prediction)
    total = truth.size
    if (annotated := labels.annotated(truth)) is not None:
        total = int(np.count_nonzero(annotated))
        if unknown := int(np.count_nonzero((guess == labels.ignored) & annotated)):
            raise InputError(
                f"case {case}: the prediction holds the value {labels.ignore} (ignore) in {unknown} annotated voxels; "
                "a prediction says of every voxel what it is. Are reference and prediction exchanged?"
            )
        truth = truth * annotated
    flat = flat_axis(truth.shape)
    known_classes = known_outputs(labels, annotated_classes)
    boxes = zip(class_boxes(truth, labels), class_boxes(guess, labels), known_classes, strict=True)
    rows = []
    for index, (of_truth, of_guess, is_known) in enumerate(boxes, start=1):
        if not is_known:
            continue
        # an empty box where neither has the class
        box = hull(of_truth, of_guess) or (slice(0, 0),) * 3
        whole = labels.mask(guess[box], index)
        known = None if annotated is None else annotated[box]
        masks = labels.mask(truth[box], index), whole if known is None else whole & known
        rows.append(
            CaseMetrics(
                case=case,
                class_name=labels.foreground[index - 1],
                voxel_ml=float(np.prod(spacing)) / 1000,
                counts=count_voxels(*masks, total=total),
                surface=surface_metrics(*masks, spacing, tolerance_mm, flat) if surfaces else None,
                lesions=match_lesions(masks[0], whole, spacing, known),
            )
        )
    return rows
