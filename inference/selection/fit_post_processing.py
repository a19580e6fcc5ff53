"""Fits post-processing to an aim, and validates it on folds that took no part in the fit.

In: the outcomes of every setting in every case (`post_processing_outcomes`). Out: a rule for each class, and the
score of each step. Steps are tried one after the other. Each is fitted, together with the steps applied before it,
to the cases of all folds but one, and is validated on that fold. It is applied only where its gain over all folds
exceeds the standard error of the gain, so that no single case decides. Where the aim is a stated figure (sensitivity,
false ones, risk), the steps need not improve anything: the user asked for them, and they are always applied.
"""

from __future__ import annotations

import math
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
"""Minimum share of the best Dice that an operating point for detection must keep.

A lesion counts as found where one voxel of it is predicted. Without this limit a very low threshold would merge
everything into one component, which touches every lesion and is not false.
"""
_BY_DICE = 1e-6
_BY_SIMPLICITY = 1e-9


@dataclass(frozen=True)
class Aim:
    """The aim that post-processing is fitted to.

    Args:
        name: `dice` = mean Dice over cases; `size` = the same without a threshold, for classes beside lesions, whose
            threshold would move theirs; `f2` = detection of lesions, pooled over cases, where sensitivity
            counts twice as much as precision; `sensitivity` = the fewest false components at a given minimum
            share of found lesions; `false` = the most lesions at a given maximum of false components a case; `risk` =
            the threshold that bounds the expected share of missed lesions.
        least: the minimum share of found lesions, from 0 to 1; used by `sensitivity` only.
        most: the maximum of false components a case, or of the expected share of missed lesions.
    """

    name: Literal["dice", "size", "f2", "sensitivity", "false", "risk"]
    least: float = 0.0
    most: float = math.inf

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in the order in which they are tried.

        For detection the step `largest component` is left out, since removing components finds no lesion. A bound of
        the risk needs a score that falls with one number: the threshold alone.
        """
        if self.name == "dice":
            return ("largest component", "minimal size", "threshold")
        if self.name == "size":
            return ("largest component", "minimal size")
        return ("threshold",) if self.name == "risk" else ("threshold", "minimal size")

    @property
    def is_asked_for(self) -> bool:
        """Whether a person asked for a figure to be reached, so that steps are applied whether they help or not."""
        return self.name in ("sensitivity", "false", "risk")


AIMS = "dice, f2, sensitivity=0.9 (a share from 0 to 1), false=1 (a number a case) or risk=0.1 (a share from 0 to 1)"


def parse_aim(text: str) -> Aim:
    """Parse an aim as the user types it: `dice`, `f2`, `sensitivity=0.9`, `false=1` or `risk=0.1`.

    Raises:
        InputError: the text is none of these, or the number is out of its range.
    """
    name, _, number = text.partition("=")
    if name == "dice" and text == name:
        return Aim("dice")
    if name == "f2" and text == name:
        return Aim("f2")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if name == "sensitivity" and 0 < value <= 1:
        return Aim("sensitivity", least=value)
    if name == "false" and 0 <= value < math.inf:
        return Aim("false", most=value)
    if name == "risk" and 0 < value < 1:
        return Aim("risk", most=value)
    raise InputError(f"--operating-point {text}: give {AIMS}")


@dataclass(frozen=True)
class OutcomeTable:
    """Outcomes of one class in several cases, as arrays (case, *GRID), or (case,) with one setting for each case.

    Args:
        dice: Dice; 1 where neither reference nor prediction has the class, so that removing a false component
            from such a case counts as a gain.
        found: number of reference components that the prediction touches.
        predicted: number of predicted components that are left.
        false: number of those predicted components that touch no reference component.
        lesions: (case,) number of components of the reference, whatever the setting.
    """

    dice: NDArray[np.float64]
    found: NDArray[np.int64]
    predicted: NDArray[np.int64]
    false: NDArray[np.int64]
    lesions: NDArray[np.int64]

    @classmethod
    def of(cls, outcomes: Sequence[Outcomes]) -> OutcomeTable:
        """Stack the outcomes of one class, one entry for each case, into a table."""
        if not outcomes:
            none = np.zeros((0, *GRID), np.int64)
            return cls(none.astype(np.float64), none, none, none, np.zeros(0, np.int64))
        return cls(
            dice=np.nan_to_num(np.stack([one.dice for one in outcomes]), nan=1.0),
            found=np.stack([one.found for one in outcomes]),
            predicted=np.stack([one.predicted for one in outcomes]),
            false=np.stack([one.false for one in outcomes]),
            lesions=np.array([one.lesions for one in outcomes]),
        )

    def cases(self, chosen: NDArray) -> OutcomeTable:
        """The table of some cases only, given by a mask (case,) or by indices."""
        parts = (self.dice, self.found, self.predicted, self.false, self.lesions)
        return OutcomeTable(*(part[chosen] for part in parts))

    def at(self, settings: Sequence[Setting]) -> OutcomeTable:
        """The table with one setting for each case; its arrays are (case,)."""
        index = (np.arange(len(settings)), *np.asarray(settings).T)
        return OutcomeTable(self.dice[index], self.found[index], self.predicted[index], self.false[index], self.lesions)

    def score(self, aim: Aim) -> NDArray[np.float64]:
        """Score of all cases together by the aim, for each setting; more is better.

        The score is the mean Dice, or the pooled F2. For the aim `sensitivity` it is the sensitivity while that is
        below the minimum, and otherwise 1 + 1 / (1 + false components per case). For `false` it is minus the false
        components per case while they exceed the maximum, and otherwise 1 + the sensitivity. For `risk` it is minus the
        bound while that exceeds the maximum, and otherwise 1 + 1 / (1 + false components per case).
        """
        dice = self.dice.mean(axis=0)
        if aim.name in ("dice", "size"):
            return dice
        lesions = max(int(self.lesions.sum()), 1)
        sensitivity = self.found.sum(axis=0) / lesions
        false = self.false.sum(axis=0)
        a_case = false / len(self.lesions)
        few_false = 1 + 1 / (1 + a_case)
        if aim.name == "sensitivity":
            # below the minimum more found lesions score higher, above it fewer false components
            return np.where(sensitivity >= aim.least - 1e-12, few_false, sensitivity)
        if aim.name == "false":
            return np.where(a_case <= aim.most + 1e-12, 1 + sensitivity, -a_case)
        if aim.name == "risk":
            bound = self.risk_bound()
            return np.where(bound <= aim.most + 1e-12, few_false, -bound)
        predicted = self.predicted.sum(axis=0)
        precision = (predicted - false) / np.maximum(predicted, 1)
        return f_betas(sensitivity, precision, 2.0)

    def missed_shares(self) -> NDArray[np.float64]:
        """Share of missed lesions of each case that has lesions, for each setting."""
        some = self.lesions > 0
        lesions = self.lesions[some].reshape(-1, *(1 for _ in self.found.shape[1:]))
        return 1 - self.found[some] / lesions

    def risk_bound(self) -> NDArray[np.float64]:
        """Bound of the expected share of missed lesions in one more case, for each setting.

        (n × mean share of missed lesions + 1) / (n + 1) over the n cases with lesions: conformal risk control
        (Angelopoulos et al., arXiv:2208.02814, section 2; for lesions arXiv:2510.17897).
        """
        shares = self.missed_shares()
        return (shares.sum(axis=0) + 1) / (len(shares) + 1)


@dataclass(frozen=True)
class Fitted:
    """Fitted post-processing of one class.

    Args:
        rule: rule fitted to all cases.
        by_fold: for each fold the rule fitted to the cases of the other folds.
        steps: score of every step that was tried, applied or not.
    """

    rule: ClassRule
    by_fold: dict[int, ClassRule]
    steps: tuple[StepScore, ...]


def fit_class(name: str, table: OutcomeTable, folds: NDArray[np.int64], aim: Aim) -> Fitted:
    """Fit and validate the post-processing steps of one class.

    Args:
        name: name of the class.
        table: outcomes of the class in every case, under every setting.
        folds: (case,) fold of each case; at least two different folds.
        aim: what the steps are fitted to.
    """
    taken: list[Step] = []
    scores = []
    for step in aim.steps:
        score = evaluate_step(name, table, folds, aim, taken, step)
        scores.append(score)
        if score.applied:
            taken.append(step)
    by_fold = {int(f): rule_of(name, fit(table.cases(folds != f), aim, taken)) for f in np.unique(folds)}
    return Fitted(rule_of(name, fit(table, aim, taken)), by_fold, tuple(scores))


def evaluate_step(
    name: str, table: OutcomeTable, folds: NDArray[np.int64], aim: Aim, taken: Sequence[Step], step: Step
) -> StepScore:
    """Score of a step on cases whose fold took no part in the fit.

    Args:
        name: name of the class.
        table: outcomes of the class in every case, under every setting.
        folds: (case,) fold of each case.
        aim: what the step is fitted to.
        taken: steps that are already applied; the gain of `step` is measured over them.
        step: step of post-processing that is tried.
    """
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
        applied=aim.is_asked_for or gain > error + 1e-12,
    )


def held_out(table: OutcomeTable, folds: NDArray[np.int64], aim: Aim, steps: Sequence[Step]) -> list[Setting]:
    """For each case the setting fitted to the cases of the other folds, with only `steps` applied."""
    of_fold = {fold: fit(table.cases(folds != fold), aim, steps) for fold in np.unique(folds)}
    return [of_fold[fold] for fold in folds]


def fit(table: OutcomeTable, aim: Aim, steps: Sequence[Step]) -> Setting:
    """The setting with the best score among those that differ from no post-processing in `steps` only.

    An aim of detection must also keep the share `KEEPS_OF_DICE` of the best Dice, but for `risk`, of which the bound
    holds for the highest threshold alone that meets it. Of settings with equal scores the one with the best Dice is
    taken, then the one nearest to no post-processing.

    Args:
        table: outcomes under every setting, of the cases to fit to.
        aim: operating point, which gives the score that is made largest.
        steps: steps that the setting may use.
    """
    if aim.name == "risk":
        return _highest_threshold(table, aim.most) if "threshold" in steps else PLAIN
    worth = table.score(aim) + _BY_DICE * table.dice.mean(axis=0)
    threshold, largest, diameter = np.indices(GRID)
    distance = np.abs(np.asarray(THRESHOLDS)[threshold] - THRESHOLDS[PLAIN[0]]) + largest + diameter
    worth = worth - _BY_SIMPLICITY * distance
    for step, axis in _AXIS.items():
        if step not in steps:
            worth = np.where((threshold, largest, diameter)[axis] == PLAIN[axis], worth, -np.inf)
    if aim.name not in ("dice", "size"):
        dice = np.where(np.isfinite(worth), table.dice.mean(axis=0), -np.inf)
        worth = np.where(dice >= KEEPS_OF_DICE * dice.max(), worth, -np.inf)
    t, only, d = np.unravel_index(int(worth.argmax()), GRID)
    return int(t), int(only), int(d)


def _highest_threshold(table: OutcomeTable, risk: float) -> Setting:
    """The highest threshold of which the bound meets the risk; no post-processing where none does.

    Where none does, a low threshold would flood images and still promise nothing.
    """
    _, largest, diameter = PLAIN
    meets = np.flatnonzero(table.risk_bound()[:, largest, diameter] <= risk + 1e-12)
    return (int(meets.max()), largest, diameter) if meets.size else PLAIN


def _value(rule: ClassRule, step: Step) -> str:
    if step == "threshold":
        return f"{rule.threshold:g}"
    if step == "minimal size":
        return f"{rule.minimal_diameter_mm:g} mm"
    return "yes" if rule.largest_component else "no"
