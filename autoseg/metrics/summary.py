"""From the metrics of many cases to one `Summary`: what `summary.json` holds.

The mean Dice is the mean over classes of the mean over cases, as nnU-Net reports it. Beside every
mean stands the number of cases behind it, and how many cases were left out because the metric is
not defined for them; nothing undefined is averaged, and nothing is left out unseen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import mean, median, stdev
from typing import Literal

from pydantic import BaseModel, ConfigDict

from autoseg.metrics.case import CaseMetrics
from autoseg.metrics.lesions import BIN_EDGES_MM, Lesion
from autoseg.metrics.rules import rules
from autoseg.metrics.surface import TOLERANCE_MM
from autoseg.metrics.voxel import Counts, ratio

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


class SummaryModel(BaseModel):
    """Common settings: immutable, unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(SummaryModel):
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


class Pooled(SummaryModel):
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


class LesionBin(SummaryModel):
    """Detection of the lesions of one size.

    Args:
        lower_mm, upper_mm: equivalent diameter, lower edge included; the last bin is open above (None).
    """

    lower_mm: float
    upper_mm: float | None
    reference: int
    found: int
    sensitivity: float | None


class LesionSummary(SummaryModel):
    """Detection of lesions (connected components), pooled over cases.

    Args:
        reference: lesions in the references.
        predicted: components in the predictions; `false` of them touch no lesion.
        false_per_case: false components a case.
        precision: share of the predicted components that touch a lesion.
        f1: harmonic mean of sensitivity and precision.
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
    by_size: tuple[LesionBin, ...]


class ClassSummary(SummaryModel):
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


class GroupSummary(SummaryModel):
    """Dice of some of the cases: a fold, or a value of a stratification column.

    Args:
        mean_dice: mean over classes of the mean over the group's cases.
        dice: by class.
    """

    name: str
    cases: int
    mean_dice: float | None
    dice: dict[str, Spread]


class Summary(SummaryModel):
    """All that is said of an evaluation as a whole; `summary.json`.

    Args:
        dataset: its name.
        configuration: what was trained; None where folders were compared.
        synthetic: whether the images are made up, so that nothing here speaks of patients.
        mean_dice: mean over classes of the mean over cases; None where no class has a defined Dice.
        pooled_mean_dice: mean over classes of the Dice of all voxels pooled.
        classes_without_dice: classes that count in neither, since no case defines their Dice.
        folds: Dice of each fold.
        strata: by stratification column, Dice of each of its values.
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


def mean_dice(rows: Sequence[CaseMetrics]) -> float | None:
    """Mean over classes of the mean over cases, undefined values left out; None where none is defined."""
    means = (_spread([row.dice for row in of_class]).mean for of_class in by_class(rows).values())
    return _mean(means)


def by_class(rows: Iterable[CaseMetrics]) -> dict[str, list[CaseMetrics]]:
    """Rows by class name, in the order in which classes first appear."""
    groups: dict[str, list[CaseMetrics]] = {}
    for row in rows:
        groups.setdefault(row.class_name, []).append(row)
    return groups


def by_case(rows: Iterable[CaseMetrics]) -> dict[str, list[CaseMetrics]]:
    """Rows by case name, in the order in which cases first appear."""
    groups: dict[str, list[CaseMetrics]] = {}
    for row in rows:
        groups.setdefault(row.case, []).append(row)
    return groups


def summarize(
    rows: Sequence[CaseMetrics],
    *,
    dataset: str,
    configuration: str | None = None,
    synthetic: bool = False,
    tolerance_mm: float = TOLERANCE_MM,
    folds: Mapping[str, int] | None = None,
    strata: Mapping[str, Mapping[str, str]] | None = None,
    problems: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> Summary:
    """Summarise the metrics of all cases.

    Args:
        rows: of all cases and classes.
        dataset: its name.
        configuration: what was trained; None where folders are compared.
        synthetic: whether the images are made up.
        tolerance_mm: with which the surface Dice in `rows` was computed.
        folds: fold that each case was validated in.
        strata: for each case its stratification values by column.
        problems: what could not be evaluated, by case.
        warnings: what the reader should know.
    """
    classes = tuple(_class_summary(name, of_class) for name, of_class in by_class(rows).items())
    return Summary(
        dataset=dataset,
        configuration=configuration,
        synthetic=synthetic,
        cases=len({row.case for row in rows}),
        mean_dice=mean_dice(rows),
        pooled_mean_dice=_mean(c.pooled.dice for c in classes),
        classes_without_dice=tuple(c.name for c in classes if c.metrics["dice"].n == 0),
        tolerance_mm=tolerance_mm,
        classes=classes,
        folds=_groups(rows, {case: f"fold {fold}" for case, fold in (folds or {}).items()}),
        strata={
            column: _groups(rows, {case: values[column] for case, values in (strata or {}).items() if column in values})
            for column in dict.fromkeys(column for values in (strata or {}).values() for column in values)
        },
        problems=tuple(problems),
        warnings=tuple(warnings),
        rules=rules(tolerance_mm),
    )


def lesion_summary(rows: Sequence[CaseMetrics]) -> LesionSummary:
    """Detection pooled over rows; the cases are counted once."""
    lesions = [lesion for row in rows for lesion in row.lesions.lesions]
    found = sum(lesion.found for lesion in lesions)
    predicted = sum(row.lesions.predicted for row in rows)
    false = sum(row.lesions.false for row in rows)
    sensitivity, precision = ratio(found, len(lesions)), ratio(predicted - false, predicted)
    return LesionSummary(
        reference=len(lesions),
        found=found,
        missed=len(lesions) - found,
        predicted=predicted,
        false=false,
        false_per_case=false / max(len({row.case for row in rows}), 1),
        sensitivity=sensitivity,
        precision=precision,
        f1=_harmonic(sensitivity, precision),
        by_size=tuple(_bin(lesions, lower, upper) for lower, upper in pairwise(BIN_EDGES_MM)),
    )


def _class_summary(name: str, rows: Sequence[CaseMetrics]) -> ClassSummary:
    return ClassSummary(
        name=name,
        cases=len(rows),
        both_empty=sum(r.reference_empty and r.prediction_empty for r in rows),
        only_reference_empty=sum(r.reference_empty and not r.prediction_empty for r in rows),
        only_prediction_empty=sum(r.prediction_empty and not r.reference_empty for r in rows),
        metrics={metric: _spread([getattr(row, metric) for row in rows]) for metric in METRICS},
        pooled=_pooled(rows),
        lesions=lesion_summary(rows),
    )


def _pooled(rows: Sequence[CaseMetrics]) -> Pooled:
    counts = sum((row.counts for row in rows), Counts(0, 0, 0, 0))
    reference, prediction = sum(r.reference_ml for r in rows), sum(r.prediction_ml for r in rows)
    return Pooled(
        tp=counts.tp,
        fp=counts.fp,
        fn=counts.fn,
        tn=counts.tn,
        dice=counts.dice,
        sensitivity=counts.sensitivity,
        specificity=counts.specificity,
        precision=counts.precision,
        reference_ml=reference,
        prediction_ml=prediction,
        volume_error_ml=prediction - reference,
        volume_error_relative=ratio(prediction - reference, reference),
    )


def _groups(rows: Sequence[CaseMetrics], group_of: Mapping[str, str]) -> tuple[GroupSummary, ...]:
    groups = []
    for name in sorted(set(group_of.values())):
        members = [row for row in rows if group_of.get(row.case) == name]
        if members:
            groups.append(
                GroupSummary(
                    name=name,
                    cases=len({row.case for row in members}),
                    mean_dice=mean_dice(members),
                    dice={c: _spread([r.dice for r in of_class]) for c, of_class in by_class(members).items()},
                )
            )
    return tuple(groups)


def _spread(values: Sequence[float | None]) -> Spread:
    defined = [value for value in values if value is not None]
    return Spread(
        n=len(defined),
        undefined=len(values) - len(defined),
        mean=mean(defined) if defined else None,
        sd=stdev(defined) if len(defined) > 1 else None,
        median=median(defined) if defined else None,
        minimum=min(defined, default=None),
        maximum=max(defined, default=None),
    )


def _bin(lesions: Sequence[Lesion], lower: float, upper: float) -> LesionBin:
    inside = [lesion for lesion in lesions if lower <= lesion.diameter_mm < upper]
    found = sum(lesion.found for lesion in inside)
    return LesionBin(
        lower_mm=lower,
        upper_mm=None if upper == float("inf") else upper,
        reference=len(inside),
        found=found,
        sensitivity=ratio(found, len(inside)),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return mean(defined) if defined else None


def _harmonic(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return None
    return 2 * a * b / (a + b) if a + b else 0.0
