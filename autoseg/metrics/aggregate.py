"""Makes one `Summary` from the metrics of many cases: means over cases, pooled counts, groups of cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import mean, median, stdev
from typing import Any

import numpy as np

from autoseg.metrics.agreement import agreement
from autoseg.metrics.case import CaseMetrics
from autoseg.metrics.intervals import Interval, mean_interval, mean_over_classes_interval
from autoseg.metrics.lesions import BIN_EDGES_MM, VOLUME_EDGES_ML, Lesion, f_beta
from autoseg.metrics.rules import rules
from autoseg.metrics.summary import (
    METRICS,
    ClassSummary,
    GroupSummary,
    LesionBin,
    LesionSummary,
    Pooled,
    Spread,
    Summary,
    VolumeBin,
)
from autoseg.metrics.surface import TOLERANCE_MM
from autoseg.metrics.voxel import Counts, ratio

NOT_STATED = "not stated"
"""Name of the stratum for cases with an empty cell in a stratification column."""


def mean_dice(rows: Sequence[CaseMetrics]) -> float | None:
    """Mean Dice over classes of the mean over cases, without undefined values; None where no value is defined."""
    means = (_spread([row.dice for row in of_class]).mean for of_class in by_class(rows).values())
    return _mean(means)


def by_class(rows: Iterable[CaseMetrics]) -> dict[str, list[CaseMetrics]]:
    """Group rows by class name, in the order in which classes first appear."""
    groups: dict[str, list[CaseMetrics]] = {}
    for row in rows:
        groups.setdefault(row.class_name, []).append(row)
    return groups


def _by_class_of(rows: Sequence[CaseMetrics], every: Sequence[str]) -> dict[str, list[CaseMetrics]]:
    """Rows by class name: of these classes, also of those without a row, or else of those that appear."""
    groups = by_class(rows)
    return {name: groups.get(name, []) for name in every} if every else groups


def by_case(rows: Iterable[CaseMetrics]) -> dict[str, list[CaseMetrics]]:
    """Group rows by case name, in the order in which cases first appear."""
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
    more_rules: Sequence[str] = (),
    names: Sequence[str] = (),
    not_annotated: Mapping[str, Sequence[str]] | None = None,
) -> Summary:
    """Summarise the metrics of all cases.

    Args:
        rows: metrics of every class in every case in which it was looked for.
        dataset: name of the data set.
        configuration: name of the trained configuration; None where two folders are compared.
        synthetic: whether the images are synthetic.
        tolerance_mm: tolerance in mm with which the surface Dice in `rows` was computed.
        folds: for each case the fold in which it was validated; None = no groups by fold.
        strata: for each case its stratification values by column; None = no groups by stratum.
        problems: cases that could not be evaluated and why, one sentence each.
        warnings: notes for the reader, one sentence each.
        more_rules: definitions beside those of the metrics, one sentence each.
        names: names of the classes in their order; empty = the order in which they first appear.
        not_annotated: names of the classes that nobody looked for, by case; None = all were looked for everywhere.
    """
    unknown = not_annotated or {}
    # a class that nobody looked for in the first case would appear late, and one that nobody ever looked for not at all
    every = tuple(names) if unknown else ()
    classes = tuple(
        _class_summary(
            name, of_class, intervals=True, not_annotated=sum(name in of_case for of_case in unknown.values())
        )
        for name, of_class in _by_class_of(rows, every).items()
    )
    return Summary(
        dataset=dataset,
        configuration=configuration,
        synthetic=synthetic,
        cases=len({row.case for row in rows}),
        mean_dice=mean_dice(rows),
        mean_dice_interval=_mean_dice_interval(rows),
        pooled_mean_dice=_mean(c.pooled.dice for c in classes),
        classes_without_dice=tuple(c.name for c in classes if c.metrics["dice"].n == 0),
        tolerance_mm=tolerance_mm,
        classes=classes,
        folds=_groups(rows, {case: f"fold {fold}" for case, fold in (folds or {}).items()}, unknown, every),
        strata={
            column: _groups(
                rows,
                {case: values[column] or NOT_STATED for case, values in (strata or {}).items() if column in values},
                unknown,
                every,
            )
            for column in dict.fromkeys(column for values in (strata or {}).values() for column in values)
        },
        problems=tuple(problems),
        warnings=tuple(warnings),
        rules=(*rules(tolerance_mm), *more_rules),
    )


def lesion_summary(rows: Sequence[CaseMetrics]) -> LesionSummary:
    """Lesion detection pooled over rows; rates per case count each case once, even if it has several rows."""
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
        f1=f_beta(sensitivity, precision, 1),
        f2=f_beta(sensitivity, precision, 2),
        by_size=tuple(_bin(lesions, lower, upper) for lower, upper in pairwise(BIN_EDGES_MM)),
        by_volume=tuple(_volume_bin(lesions, lower, upper) for lower, upper in pairwise(VOLUME_EDGES_ML)),
        **_outlines(rows, lesions, predicted),
    )


def _outlines(rows: Sequence[CaseMetrics], lesions: Sequence[Lesion], predicted: int) -> dict[str, float | None]:
    """How well lesions are outlined, as fields of `LesionSummary`."""
    matched = [lesion.iou for lesion in lesions if lesion.matched]
    either = len(lesions) + predicted
    recognition = 2 * len(matched) / either if either else None
    segmentation = None if recognition is None else mean(matched) if matched else 0.0
    return {
        "panoptic_quality": None if recognition is None or segmentation is None else recognition * segmentation,
        "recognition_quality": recognition,
        "segmentation_quality": segmentation,
        "dice_of_found": _mean(lesion.dice for lesion in lesions if lesion.found),
        "dice_of_all": _mean(lesion.dice for lesion in lesions),
        "region_dice": _mean(row.lesions.region_dice for row in rows),
    }


def _class_summary(
    name: str, rows: Sequence[CaseMetrics], *, intervals: bool = False, not_annotated: int = 0
) -> ClassSummary:
    counts = [len(row.lesions.lesions) for row in rows], [row.lesions.predicted for row in rows]
    return ClassSummary(
        name=name,
        cases=len(rows),
        both_empty=sum(r.reference_empty and r.prediction_empty for r in rows),
        only_reference_empty=sum(r.reference_empty and not r.prediction_empty for r in rows),
        only_prediction_empty=sum(r.prediction_empty and not r.reference_empty for r in rows),
        metrics={metric: _spread([getattr(row, metric) for row in rows], interval=intervals) for metric in METRICS},
        pooled=_pooled(rows),
        lesions=lesion_summary(rows),
        volume_agreement=agreement([row.reference_ml for row in rows], [row.prediction_ml for row in rows]),
        count_agreement=agreement(*counts),
        not_annotated=not_annotated,
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


def _groups(
    rows: Sequence[CaseMetrics],
    group_of: Mapping[str, str],
    unknown: Mapping[str, Sequence[str]],
    every: Sequence[str],
) -> tuple[GroupSummary, ...]:
    members: dict[str, list[CaseMetrics]] = {}
    for row in rows:
        if (name := group_of.get(row.case)) is not None:
            members.setdefault(name, []).append(row)
    return tuple(
        _group(name, members[name], [of_case for case, of_case in unknown.items() if group_of.get(case) == name], every)
        for name in sorted(members)
    )


def _group(
    name: str, rows: Sequence[CaseMetrics], unknown: Sequence[Sequence[str]], every: Sequence[str]
) -> GroupSummary:
    """Results of a group; `unknown` has the names of the classes that nobody looked for, for each case that has any."""
    classes = _by_class_of(rows, every)
    return GroupSummary(
        name=name,
        cases=len({row.case for row in rows}),
        mean_dice=mean_dice(rows),
        dice={c: _spread([r.dice for r in of_class]) for c, of_class in classes.items()},
        classes=tuple(
            _class_summary(c, of_class, not_annotated=sum(c in of_case for of_case in unknown))
            for c, of_class in classes.items()
        ),
    )


def _mean_dice_interval(rows: Sequence[CaseMetrics]) -> Interval | None:
    """Interval of the mean over classes of the mean Dice over cases."""
    names = list(by_class(rows))
    of_case = [{row.class_name: row.dice for row in of_one} for of_one in by_case(rows).values()]
    dice = [[value if (value := one.get(name)) is not None else np.nan for name in names] for one in of_case]
    return mean_over_classes_interval(np.array(dice, np.float64).reshape(len(of_case), len(names)))


def _spread(values: Sequence[float | None], *, interval: bool = False) -> Spread:
    defined = [value for value in values if value is not None]
    return Spread(
        n=len(defined),
        undefined=len(values) - len(defined),
        mean=mean(defined) if defined else None,
        sd=stdev(defined) if len(defined) > 1 else None,
        median=median(defined) if defined else None,
        minimum=min(defined, default=None),
        maximum=max(defined, default=None),
        interval=mean_interval(defined) if interval else None,
    )


def _bin(lesions: Sequence[Lesion], lower: float, upper: float) -> LesionBin:
    inside = [lesion for lesion in lesions if lower <= lesion.diameter_mm < upper]
    return LesionBin(lower_mm=lower, upper_mm=None if upper == float("inf") else upper, **_detected(inside))


def _volume_bin(lesions: Sequence[Lesion], lower: float, upper: float) -> VolumeBin:
    inside = [lesion for lesion in lesions if lower <= lesion.volume_ml < upper]
    return VolumeBin(lower_ml=lower, upper_ml=None if upper == float("inf") else upper, **_detected(inside))


def _detected(lesions: Sequence[Lesion]) -> dict[str, Any]:
    """Numbers of lesions and of found ones, and the sensitivity, as fields of a bin."""
    found = sum(lesion.found for lesion in lesions)
    return {"reference": len(lesions), "found": found, "sensitivity": ratio(found, len(lesions))}


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return mean(defined) if defined else None
