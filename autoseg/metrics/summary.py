"""The `Summary` of an evaluation: the content of `summary.json`.

The mean Dice is the mean over classes of the mean over cases, as nnU-Net reports it. Every mean comes with the
number of cases in it and the number of cases left out because the metric is not defined for them; undefined values
are never averaged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from autoseg.files import FileModel
from autoseg.metrics.agreement import Agreement
from autoseg.metrics.intervals import Interval
from autoseg.notebook import UNDEFINED, ShownAsTable

if TYPE_CHECKING:
    from pandas import DataFrame

METRICS = (
    "dice",
    "sensitivity",
    "specificity",
    "precision",
    "surface_dice",
    "hd95_mm",
    "volume_error_ml",
    "volume_error_relative",
)
"""Names of the per-case metrics, as attributes of `CaseMetrics` and keys of `ClassSummary.metrics`."""


class Spread(FileModel):
    """Statistics of a metric over cases; all but the two counts are None where no case defines the metric.

    Args:
        n: number of cases for which the metric is defined; the statistics are over these.
        undefined: number of cases for which the metric is not defined.
        mean: mean of the metric over the cases that define it.
        sd: sample standard deviation over cases; None for fewer than two cases.
        median: median of the metric over the cases that define it.
        minimum: smallest value of the metric among the cases.
        maximum: largest value of the metric among the cases.
        interval: 95 % interval of the mean; None under ten cases, in groups of cases, and in summaries of earlier
            releases.
    """

    n: int
    undefined: int
    mean: float | None
    sd: float | None
    median: float | None
    minimum: float | None
    maximum: float | None
    interval: Interval | None = None


class Pooled(FileModel):
    """Metrics of the voxels of all cases together: TP, FP, FN and TN are summed before the ratios are taken."""

    tp: int
    fp: int
    fn: int
    tn: int
    dice: float | None
    sensitivity: float | None
    specificity: float | None
    precision: float | None
    reference_ml: float
    prediction_ml: float
    volume_error_ml: float
    volume_error_relative: float | None


class LesionBin(FileModel):
    """Detection of the lesions in one size bin.

    Args:
        lower_mm: smallest equivalent diameter in mm, included.
        upper_mm: largest equivalent diameter in mm, excluded; None = no limit (last bin).
        reference: number of lesions in the references.
        found: number of these that were found.
        sensitivity: found / reference; None where there is no lesion of this size.
    """

    lower_mm: float
    upper_mm: float | None
    reference: int
    found: int
    sensitivity: float | None


class VolumeBin(FileModel):
    """Detection of the lesions in one volume bin.

    Args:
        lower_ml: smallest volume in ml, included.
        upper_ml: largest volume in ml, excluded; None = no limit (last bin).
        reference: number of lesions in the references.
        found: number of these that were found.
        sensitivity: found / reference; None where there is no lesion of this volume.
    """

    lower_ml: float
    upper_ml: float | None
    reference: int
    found: int
    sensitivity: float | None


class LesionSummary(FileModel):
    """Detection of lesions (connected components), pooled over cases.

    Args:
        reference: number of lesions in the references.
        found: number of these that the predictions overlap with.
        missed: number of these that they do not overlap with.
        predicted: number of components in the predictions.
        false: number of predicted components that overlap with no lesion.
        false_per_case: mean number of false components per case.
        sensitivity: fraction of the reference lesions that were found.
        precision: fraction of the predicted components that overlap with a lesion.
        f1: harmonic mean of sensitivity and precision.
        f2: the same with sensitivity counted twice as much as precision; None in summaries of earlier releases.
        by_size: detection by diameter of the lesions.
        by_volume: detection by volume of the lesions.
        panoptic_quality: recognition quality × segmentation quality; None where neither has a lesion.
        recognition_quality: F1 of lesions and components that are the same one: their IoU is above 0.5.
        segmentation_quality: mean IoU of these; 0 where there are none.
        dice_of_found: mean Dice of the lesions that were found, each with the components that touch it.
        dice_of_all: the same with 0 for each lesion that was missed.
        region_dice: mean over the cases with lesions of the mean over a case's lesions of the Dice within the lesion's
            region (CC-Dice).

    What is said of the quality of outlines is None in summaries of earlier releases.
    """

    reference: int
    found: int
    missed: int
    predicted: int
    false: int
    false_per_case: float
    sensitivity: float | None
    precision: float | None
    f1: float | None
    f2: float | None = None
    by_size: tuple[LesionBin, ...]
    by_volume: tuple[VolumeBin, ...] = ()
    panoptic_quality: float | None = None
    recognition_quality: float | None = None
    segmentation_quality: float | None = None
    dice_of_found: float | None = None
    dice_of_all: float | None = None
    region_dice: float | None = None


class ClassSummary(FileModel):
    """Results of one foreground class over all cases.

    Args:
        name: name of the class.
        cases: number of all cases in which the class was looked for.
        both_empty: number of cases in which neither reference nor prediction has the class: Dice not defined.
        only_reference_empty: number of cases in which only the prediction has the class: Dice 0.
        only_prediction_empty: number of cases in which only the reference has the class: Dice 0.
        metrics: statistics over cases of each metric, by the names in `METRICS`.
        pooled: metrics of the voxels of all cases together.
        lesions: how many lesions of the class were found, and how many were predicted falsely.
        volume_agreement: agreement of the volume of the class in ml; None in summaries of earlier releases.
        count_agreement: agreement of the number of connected components.
        not_annotated: number of further cases in which nobody looked for the class; they are in no other number.
    """

    name: str
    cases: int
    both_empty: int
    only_reference_empty: int
    only_prediction_empty: int
    metrics: dict[str, Spread]
    pooled: Pooled
    lesions: LesionSummary
    volume_agreement: Agreement | None = None
    count_agreement: Agreement | None = None
    not_annotated: int = 0

    @property
    def without(self) -> int:
        """Number of cases whose reference does not have the class."""
        return self.both_empty + self.only_reference_empty

    @property
    def stay_empty(self) -> float | None:
        """Share of the cases without the class in which nothing is predicted; None where every case has it."""
        return self.both_empty / self.without if self.without else None


class GroupSummary(FileModel):
    """Results of a group of cases: a fold, or a value of a stratification column.

    Args:
        name: name of the group, such as `fold 0`.
        cases: number of cases in the group.
        mean_dice: mean over classes of the mean over the group's cases.
        dice: statistics of the Dice over the group's cases, by class.
        classes: results of each class over the group's cases; empty in summaries of earlier releases.
    """

    name: str
    cases: int
    mean_dice: float | None
    dice: dict[str, Spread]
    classes: tuple[ClassSummary, ...] = ()


class Summary(FileModel, ShownAsTable):
    """Results of a whole evaluation; the content of `summary.json`.

    Args:
        dataset: name of the data set.
        configuration: name of the trained configuration; None where two folders were compared.
        synthetic: whether the images are synthetic, so that the results say nothing about patients.
        cases: number of cases that were evaluated.
        mean_dice: mean over classes of the mean over cases; None where no class has a defined Dice.
        mean_dice_interval: 95 % interval of this mean; None under ten cases, and in summaries of earlier releases.
        pooled_mean_dice: mean over classes of the Dice of all voxels pooled.
        classes_without_dice: classes that are in neither mean, since no case defines their Dice.
        tolerance_mm: distance in mm up to which surfaces agree, for the surface Dice.
        classes: results of each foreground class.
        folds: results of each fold.
        strata: results of each value of a stratification column, by column.
        problems: cases that could not be evaluated and why, one sentence each.
        warnings: notes for the reader, one sentence each.
        rules: definitions of all numbers, one sentence each.
    """

    schema_version: Literal[1] = 1
    dataset: str
    configuration: str | None
    synthetic: bool
    cases: int
    mean_dice: float | None
    mean_dice_interval: Interval | None = None
    pooled_mean_dice: float | None
    classes_without_dice: tuple[str, ...]
    tolerance_mm: float
    classes: tuple[ClassSummary, ...]
    folds: tuple[GroupSummary, ...]
    strata: dict[str, tuple[GroupSummary, ...]]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    rules: tuple[str, ...]

    @property
    def heading(self) -> str:
        """Data set, number of cases and mean Dice."""
        of = "" if self.configuration is None else f", {self.configuration}, cross-validated"
        dice = UNDEFINED if self.mean_dice is None else f"{self.mean_dice:.3f}"
        told = "; the images are synthetic: these numbers say nothing about patients" if self.synthetic else ""
        return f"{self.dataset}, {self.cases} cases{of}: mean foreground Dice {dice}{told}"

    def to_frame(self) -> DataFrame:
        """Return a row for each class: means over the cases that define a metric, and lesions of all cases together."""
        from pandas import DataFrame

        rows = []
        for row in self.classes:
            means = {name: row.metrics[name].mean for name in METRICS if name in row.metrics}
            found = row.lesions
            lesions = {"lesions": found.reference, "lesions_found": found.found, "false_lesions": found.false}
            rows.append({"class": row.name, "cases": row.cases} | means | lesions | {"lesion_f1": found.f1})
        return DataFrame(rows)
