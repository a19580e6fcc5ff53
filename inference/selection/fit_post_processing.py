"""Post-processing fitted to an aim, and judged on folds that took no part in the fit.

Steps are tried one after the other. Each is fitted, together with those taken before it, to the cases
of all folds but one and judged on that one; it is taken only where this helps over all folds by more
than the standard error of the gain, so that one case alone decides nothing. Threshold and size for a
stated sensitivity are no improvement to be shown but what was asked for, and are always taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import InputError
from autoseg.metrics.lesions import f_betas
from autoseg.run_folder.selection import ClassRule, StepScore
from inference.selection.jackknife import jackknife_error
from inference.selection.post_processing_outcomes import GRID, PLAIN, THRESHOLDS, Outcomes, Setting, rule_of

Step = Literal["largest component", "minimal size", "threshold"]
_AXIS: dict[Step, int] = {"threshold": 0, "largest component": 1, "minimal size": 2}
KEEPS_OF_DICE = 0.8
"""Share of the best Dice that an operating point for detection must keep.

A lesion counts as found where one voxel of it is predicted: without this a threshold so low that all
is one component would find every lesion and have no false one.
"""
_BY_DICE = 1e-6
_BY_SIMPLICITY = 1e-9


@dataclass(frozen=True)
class Aim:
    """What threshold and minimal size are chosen for.

    Args:
        name: `dice`: mean Dice over cases; `f2`: detection of lesions, pooled over cases, sensitivity
            counting twice as much as precision; `sensitivity`: the fewest false components at
            this share of lesions found at least.
        least: that share.
    """

    name: Literal["dice", "f2", "sensitivity"]
    least: float = 0.0

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is tried, in this order; removing all but one component is no way to find more lesions."""
        if self.name == "dice":
            return ("largest component", "minimal size", "threshold")
        return ("threshold", "minimal size")


def parse_aim(text: str) -> Aim:
    """An aim as it is typed: `dice`, `f2` or `sensitivity=0.9`.

    Raises:
        InputError: it is something else.
    """
    name, _, least = text.partition("=")
    if name == "dice" and text == name:
        return Aim("dice")
    if name == "f2" and text == name:
        return Aim("f2")
    try:
        share = float(least)
    except ValueError:
        share = 0.0
    if name != "sensitivity" or not 0 < share <= 1:
        raise InputError(f"--operating-point {text}: give dice, f2, or sensitivity=0.9 (a share from 0 to 1)")
    return Aim("sensitivity", share)


@dataclass(frozen=True)
class Table:
    """Outcomes of one class in several cases; the first axis is the case, further ones are settings.

    Args:
        dice: 1 where neither reference nor prediction has the class, so that a false alarm that is
            removed is a gain and not a case left out.
        found, predicted, false: components.
        lesions: (case,) components of the reference.
    """

    dice: NDArray[np.float64]
    found: NDArray[np.int64]
    predicted: NDArray[np.int64]
    false: NDArray[np.int64]
    lesions: NDArray[np.int64]

    @classmethod
    def of(cls, outcomes: Sequence[Outcomes]) -> Table:
        """The table of one class from its outcomes in each case."""
        return cls(
            dice=np.nan_to_num(np.stack([one.dice for one in outcomes]), nan=1.0),
            found=np.stack([one.found for one in outcomes]),
            predicted=np.stack([one.predicted for one in outcomes]),
            false=np.stack([one.false for one in outcomes]),
            lesions=np.array([one.lesions for one in outcomes]),
        )

    def cases(self, chosen: NDArray) -> Table:
        """Only these cases, by a mask or by indices."""
        parts = (self.dice, self.found, self.predicted, self.false, self.lesions)
        return Table(*(part[chosen] for part in parts))

    def at(self, settings: Sequence[Setting]) -> Table:
        """Each case under a setting of its own; the axes of settings are gone."""
        index = (np.arange(len(settings)), *np.asarray(settings).T)
        return Table(self.dice[index], self.found[index], self.predicted[index], self.false[index], self.lesions)

    def score(self, aim: Aim) -> NDArray[np.float64]:
        """What the aim makes of all cases together, under each setting; more is better."""
        dice = self.dice.mean(axis=0)
        if aim.name == "dice":
            return dice
        lesions = max(int(self.lesions.sum()), 1)
        sensitivity = self.found.sum(axis=0) / lesions
        false = self.false.sum(axis=0)
        if aim.name == "sensitivity":
            # below the aim more lesions count, from it on fewer false components
            reached = 1 + 1 / (1 + false / len(self.lesions))
            return np.where(sensitivity >= aim.least - 1e-12, reached, sensitivity)
        predicted = self.predicted.sum(axis=0)
        precision = (predicted - false) / np.maximum(predicted, 1)
        return f_betas(sensitivity, precision, 2.0)


@dataclass(frozen=True)
class Fitted:
    """Post-processing of one class.

    Args:
        rule: fitted to all cases.
        by_fold: for each fold the rule fitted to the cases of the others.
        steps: what was tried.
    """

    rule: ClassRule
    by_fold: dict[int, ClassRule]
    steps: tuple[StepScore, ...]


def fit_class(name: str, table: Table, folds: NDArray[np.int64], aim: Aim) -> Fitted:
    """Fit and judge the steps of one class.

    Args:
        name: of the class.
        table: its outcomes, by case.
        folds: fold of each case; two different ones at least.
        aim: what is wanted.
    """
    taken: list[Step] = []
    scores = []
    for step in aim.steps:
        score = judge(name, table, folds, aim, taken, step)
        scores.append(score)
        if score.applied:
            taken.append(step)
    by_fold = {int(f): rule_of(name, fit(table.cases(folds != f), aim, taken)) for f in np.unique(folds)}
    return Fitted(rule_of(name, fit(table, aim, taken)), by_fold, tuple(scores))


def judge(name: str, table: Table, folds: NDArray[np.int64], aim: Aim, taken: Sequence[Step], step: Step) -> StepScore:
    """What a step adds to those taken already, on cases that neither was fitted to."""
    before, after = (table.at(held_out(table, folds, aim, steps)) for steps in (taken, [*taken, step]))
    gain = float(after.score(aim) - before.score(aim))
    cases = np.arange(len(folds))
    left_out = [float(after.cases(cases != i).score(aim) - before.cases(cases != i).score(aim)) for i in cases]
    error = jackknife_error(left_out)
    fitted = rule_of(name, fit(table, aim, [*taken, step]))
    return StepScore(
        class_name=name,
        step=step,
        value=_value(fitted, step),
        before=float(before.score(aim)),
        after=float(after.score(aim)),
        gain=gain,
        standard_error=error,
        applied=aim.name == "sensitivity" or gain > error + 1e-12,
    )


def held_out(table: Table, folds: NDArray[np.int64], aim: Aim, steps: Sequence[Step]) -> list[Setting]:
    """For each case the setting that is fitted to the cases of the other folds."""
    of_fold = {fold: fit(table.cases(folds != fold), aim, steps) for fold in np.unique(folds)}
    return [of_fold[fold] for fold in folds]


def fit(table: Table, aim: Aim, steps: Sequence[Step]) -> Setting:
    """The setting of the best score, of those that change nothing but `steps`.

    Operating points for detection keep `KEEPS_OF_DICE`. Of equal ones that of the best Dice, then the
    one nearest to no post-processing.
    """
    worth = table.score(aim) + _BY_DICE * table.dice.mean(axis=0)
    threshold, largest, diameter = np.indices(GRID)
    distance = np.abs(np.asarray(THRESHOLDS)[threshold] - THRESHOLDS[PLAIN[0]]) + largest + diameter
    worth = worth - _BY_SIMPLICITY * distance
    for step, axis in _AXIS.items():
        if step not in steps:
            worth = np.where((threshold, largest, diameter)[axis] == PLAIN[axis], worth, -np.inf)
    if aim.name != "dice":
        dice = np.where(np.isfinite(worth), table.dice.mean(axis=0), -np.inf)
        worth = np.where(dice >= KEEPS_OF_DICE * dice.max(), worth, -np.inf)
    t, only, d = np.unravel_index(int(worth.argmax()), GRID)
    return int(t), int(only), int(d)


def _value(rule: ClassRule, step: Step) -> str:
    if step == "threshold":
        return f"{rule.threshold:g}"
    if step == "minimal size":
        return f"{rule.minimal_diameter_mm:g} mm"
    return "yes" if rule.largest_component else "no"
