"""The `Summary` of an evaluation: what `summary.json` holds.

The mean Dice is the mean over classes of the mean over cases, as nnU-Net reports it. Beside every
mean stands the number of cases behind it, and how many cases were left out because the metric is
not defined for them; nothing undefined is averaged, and nothing is left out unseen.
"""

from __future__ import annotations

from typing import Literal

from autoseg.files import FileModel

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
    """A metric over cases; everything but `n` is None where no case defines it.

    Args:
        n: cases for which the metric is defined, and which the numbers below describe.
        undefined: cases for which it is not.
        sd: sample standard deviation; None below two cases.
    """

    n: int
    undefined: int
    mean: float | None
    sd: float | None
    median: float | None
    minimum: float | None
    maximum: float | None


class Pooled(FileModel):
    """Metrics of the voxels of all cases together: sums of TP, FP, FN and TN, then the ratios."""

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
    """Detection of the lesions of one size.

    Args:
        lower_mm, upper_mm: equivalent diameter, lower edge included; the last bin is open above (None).
    """

    lower_mm: float
    upper_mm: float | None
    reference: int
    found: int
    sensitivity: float | None


class LesionSummary(FileModel):
    """Detection of lesions (connected components), pooled over cases.

    Args:
        reference: lesions in the references.
        predicted: components in the predictions; `false` of them touch no lesion.
        false_per_case: false components a case.
        precision: share of the predicted components that touch a lesion.
        f1: harmonic mean of sensitivity and precision.
        f2: the same, where sensitivity counts twice as much as precision; None in summaries written before it was.
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


class ClassSummary(FileModel):
    """One foreground class over all cases.

    Args:
        cases: all cases.
        both_empty: cases in which neither reference nor prediction has the class: Dice not defined.
        only_reference_empty: cases of false positives alone: Dice 0.
        only_prediction_empty: cases in which the class was missed whole: Dice 0.
        metrics: by the names in `METRICS`.
    """

    name: str
    cases: int
    both_empty: int
    only_reference_empty: int
    only_prediction_empty: int
    metrics: dict[str, Spread]
    pooled: Pooled
    lesions: LesionSummary


class GroupSummary(FileModel):
    """Some of the cases: a fold, or a value of a stratification column.

    Args:
        mean_dice: mean over classes of the mean over the group's cases.
        dice: by class.
        classes: everything that is said of a class over all cases, over these; none in summaries
            written before it was.
    """

    name: str
    cases: int
    mean_dice: float | None
    dice: dict[str, Spread]
    classes: tuple[ClassSummary, ...] = ()


class Summary(FileModel):
    """All that is said of an evaluation as a whole; `summary.json`.

    Args:
        dataset: its name.
        configuration: what was trained; None where folders were compared.
        synthetic: whether the images are made up, so that nothing here speaks of patients.
        mean_dice: mean over classes of the mean over cases; None where no class has a defined Dice.
        pooled_mean_dice: mean over classes of the Dice of all voxels pooled.
        classes_without_dice: classes that count in neither, since no case defines their Dice.
        folds: the results of each fold.
        strata: by stratification column, the results of each of its values.
        problems: what could not be evaluated, by case.
        warnings: what the reader should know.
        rules: how every number was computed.
    """

    schema_version: Literal[1] = 1
    dataset: str
    configuration: str | None
    synthetic: bool
    cases: int
    mean_dice: float | None
    pooled_mean_dice: float | None
    classes_without_dice: tuple[str, ...]
    tolerance_mm: float
    classes: tuple[ClassSummary, ...]
    folds: tuple[GroupSummary, ...]
    strata: dict[str, tuple[GroupSummary, ...]]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    rules: tuple[str, ...]
