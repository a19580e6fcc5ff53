"""`selected.json`: the configurations and post-processing that predict new images, and the evidence for them.

`autoseg select` makes the file by cross-validation, and `autoseg predict` applies it. The user may edit it. It
names no case. Only `configurations` and `post_processing` decide how images are predicted, and `lesion_scores` how
predicted lesions are scored; all other fields are the evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from autoseg.errors import RunFolderError
from autoseg.files import FileModel, read_model, write_text
from autoseg.image.labels import Labels
from autoseg.names import PlainName
from autoseg.notebook import ShownAsTable
from autoseg.plan.plan import Plan
from autoseg.run_folder.lesion_scores import FrocPoint, LesionScores
from autoseg.run_folder.paths import RunFolder

if TYPE_CHECKING:
    from pandas import DataFrame

PLAIN_THRESHOLD = 0.5

WEAK = 0.2
"""Mean Dice below which the model is too weak to choose by: the choice would only follow its errors."""


class ClassRule(FileModel):
    """Post-processing of one foreground class; the default values change nothing.

    Args:
        name: name of the class.
        threshold: a voxel gets the class where the class has more than this share of the probability
            that it and its strongest competing class have together; with a single foreground class this is the
            threshold on its probability. 0.5 selects the most probable class.
        largest_component: keep only the connected component (26 neighbours) with the most voxels.
        minimal_diameter_mm: remove connected components that are smaller than a ball of this diameter in mm.

    Examples:
        >>> rule = ClassRule(name="lesion", threshold=0.25, minimal_diameter_mm=4)
        >>> rule.text()
        'threshold 0.25, nothing under 4 mm'
        >>> rule.weight
        3.0
        >>> ClassRule(name="body").is_plain
        True
    """

    name: str
    threshold: float = Field(default=PLAIN_THRESHOLD, gt=0, lt=1)
    largest_component: bool = False
    minimal_diameter_mm: float = Field(default=0.0, ge=0)

    @property
    def weight(self) -> float:
        """Factor on the class's probability with which choosing the largest one applies the threshold."""
        return (1 - self.threshold) / self.threshold

    @property
    def is_plain(self) -> bool:
        """Whether the rule changes nothing."""
        return self == ClassRule(name=self.name)

    def text(self) -> str:
        """Return the rule in words, for the user."""
        parts = [f"threshold {self.threshold:g}"] if self.threshold != PLAIN_THRESHOLD else []
        parts += ["largest component only"] if self.largest_component else []
        parts += [f"nothing under {self.minimal_diameter_mm:g} mm"] if self.minimal_diameter_mm else []
        return ", ".join(parts) or "none"


class CandidateScore(FileModel):
    """Cross-validation score of one candidate: a configuration, or several whose probabilities are averaged.

    Args:
        configurations: names of the candidate's configurations.
        mean_dice: mean over classes of the mean Dice over the cases that all candidates have.
        dice: mean Dice over these cases, by class name; None where it is defined in no case.
        gain: mean Dice of several configurations minus that of the best single one; None for a single one.
        standard_error: jackknife standard error of the gain, which leaves out one case at a time.
    """

    configurations: tuple[str, ...]
    mean_dice: float | None
    dice: dict[str, float | None]
    gain: float | None = None
    standard_error: float | None = None


class StepScore(FileModel):
    """Effect of one post-processing step, validated on cases of folds that it was not fitted to.

    Args:
        class_name: name of the class that is post-processed.
        step: `largest component`, `minimal size` or `threshold`.
        value: setting of the step when it is fitted to all cases, as text.
        before, after: score without and with the step. The operating point decides the score: mean Dice, in which
            a case without the class in reference and prediction counts as 1; or F2 of lesion detection, pooled
            over cases; or, for a stated sensitivity, the share of lesions found, and once that is reached
            1 + 1 / (1 + false components per case). For stated false ones a case and a stated risk it is made alike.
        gain: score after the step minus score before it.
        standard_error: jackknife standard error of the gain, which leaves out one case at a time.
        applied: whether the step is part of the selected post-processing. Its gain must exceed its standard error
            (not for a stated figure), and no step is applied where all of them together do not help.
    """

    class_name: str
    step: Literal["largest component", "minimal size", "threshold"]
    value: str
    before: float
    after: float
    gain: float
    standard_error: float
    applied: bool


class ClassPerformance(FileModel):
    """Performance of one class in cross-validation.

    Args:
        name: name of the class.
        dice: mean Dice over the cases in which it is defined; None where there are none.
        cases: number of these cases.
        lesions: number of connected components of the class in the references of all cases.
        sensitivity: share of these lesions that is found; None where there are none.
        false_per_case: predicted components per case that touch no lesion of the reference.
        f2: F2 of lesion detection, in which sensitivity counts twice as much as precision; None where undefined.
    """

    name: str
    dice: float | None
    cases: int
    lesions: int
    sensitivity: float | None
    false_per_case: float
    f2: float | None


class Performance(FileModel):
    """Performance of all classes in cross-validation."""

    mean_dice: float | None
    classes: tuple[ClassPerformance, ...]


class HeldOutChoice(FileModel):
    """Test of the choice itself: for each fold it is made on the other folds' cases and validated on the fold's.

    Args:
        folds: number of folds that took part.
        chosen: mean Dice when the best of all candidates is chosen for each fold.
        best_single: mean Dice when the best single configuration is chosen for each fold.
    """

    folds: int
    chosen: float | None
    best_single: float | None


class Selection(FileModel, ShownAsTable):
    """Content of `selected.json`.

    Args:
        configurations: names of the configurations that predict together: their probabilities are averaged, after
            those of each configuration were averaged over its folds.
        post_processing: one rule for each class that is post-processed; other classes stay as predicted.
        operating_point: criterion by which threshold and minimal size were chosen: `dice`, `f2` or such as
            `sensitivity=0.9`, `false=1` or `risk=0.1`.
        why_this_point: sentence that says why this criterion was taken; empty where a person asked for it.
        cases: number of validation cases that the choice rests on: those that every candidate has.
        candidates: candidates that were compared, the best first.
        held_out_choice: result of the same choice on cases that took no part in it; None with a single fold.
        steps: post-processing steps that were tried.
        plain: performance of the chosen configurations without post-processing.
        post_processed: performance with post-processing that was fitted for each fold to the cases of the other
            folds; None where there is no post-processing.
        lesion_scores: how predicted lesions of each class of lesions are scored, if there are enough to tell.
        froc: for each class of lesions, FROC by the threshold of the probability, with the selected smallest size.
        notes: sentences that warn the reader of limits of the choice.
    """

    schema_version: Literal[1] = 1
    configurations: tuple[PlainName, ...] = Field(min_length=1)
    post_processing: tuple[ClassRule, ...] = ()
    operating_point: str = "dice"
    why_this_point: str = ""
    cases: int = 0
    candidates: tuple[CandidateScore, ...] = ()
    held_out_choice: HeldOutChoice | None = None
    steps: tuple[StepScore, ...] = ()
    plain: Performance | None = None
    post_processed: Performance | None = None
    lesion_scores: tuple[LesionScores, ...] = ()
    froc: dict[str, tuple[FrocPoint, ...]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _named_once(self) -> Selection:
        for field, names in (
            ("configurations", list(self.configurations)),
            ("post_processing", [rule.name for rule in self.post_processing]),
            ("lesion_scores", [one.name for one in self.lesion_scores]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{field}: {', '.join(twice)} stands there twice")
        return self

    @property
    def rules(self) -> dict[str, str]:
        """Post-processing of each class that has some, in words."""
        return {rule.name: rule.text() for rule in self.post_processing}

    def mean_dice_of(self, configurations: Sequence[str]) -> float | None:
        """Mean Dice in cross-validation of configurations together, before post-processing; None where not known."""
        if tuple(configurations) == self.configurations and self.plain is not None:
            return self.plain.mean_dice
        compared = {score.configurations: score.mean_dice for score in self.candidates}
        return compared.get(tuple(configurations))

    def text(self) -> str:
        """Return the selected configurations and post-processing in words."""
        rules = "; ".join(f"{rule.name}: {rule.text()}" for rule in self.post_processing if not rule.is_plain)
        return f"{' + '.join(self.configurations)}, post-processing {rules or 'none'}"

    @property
    def heading(self) -> str:
        """What was selected."""
        return f"Selected by cross-validation of {self.cases} cases: {self.text()}"

    def to_frame(self) -> DataFrame:
        """Return a row for each candidate, the best first: `dice CLASS`, the gain of a pair, whether it is taken."""
        from pandas import DataFrame

        rows = [
            {
                "candidate": " + ".join(score.configurations),
                "mean_dice": score.mean_dice,
                "gain": score.gain,
                "standard_error": score.standard_error,
            }
            | {f"dice {name}": dice for name, dice in score.dice.items()}
            | {"selected": score.configurations == self.configurations}
            for score in self.candidates
        ]
        return DataFrame(rows)


def weakness(mean_dice: float | None) -> str | None:
    """Return a sentence where a mean Dice in cross-validation is too low to choose by; None where it is not.

    Args:
        mean_dice: mean over classes of the mean over cases; None = not known.

    Examples:
        >>> weakness(0.05)
        'mean Dice 0.050: too weak a model to choose by or to rely on; train for longer and select again'
        >>> weakness(0.8) is None
        True
    """
    if mean_dice is None or mean_dice >= WEAK:
        return None
    return f"mean Dice {mean_dice:.3f}: too weak a model to choose by or to rely on; train for longer and select again"


def rules_by_class(rules: Sequence[ClassRule], labels: Labels) -> tuple[ClassRule, ...]:
    """Return one rule per foreground class, in the order of `labels`.

    Args:
        rules: rules that were selected; a class without one gets a rule that changes nothing.
        labels: classes of the data set.
    """
    given = {rule.name: rule for rule in rules}
    return tuple(given.get(name, ClassRule(name=name)) for name in labels.foreground)


def write_selection(run: RunFolder, selection: Selection) -> None:
    """Write `selected.json`, atomically."""
    write_text(run.selected, selection.model_dump_json(indent=1) + "\n")


def set_selection_aside(run: RunFolder, configuration: str | None = None) -> bool:
    """Rename `selected.json` to `selected.former.json` where it rests on models that are trained anew.

    Args:
        run: RUN folder that holds the selection.
        configuration: configuration of which a fold begins; the selection is set aside only if it names this
            configuration. None = every model is gone, and any selection is set aside.

    Returns:
        Whether a selection was set aside. With `configuration` given, a malformed file stays where it is, for the
        user to mend.
    """
    if configuration is not None:
        try:
            selection = _read(run)
        except RunFolderError:
            return False
        if selection is None or configuration not in selection.configurations:
            return False
    elif not run.selected.exists():
        return False
    # they rest on the same models
    run.suspects.unlink(missing_ok=True)
    try:
        run.selected.replace(run.former_selection)
    except FileNotFoundError:
        # a fold that begins at the same moment has done it
        return False
    return True


def read_selection(run: RunFolder, plan: Plan) -> Selection | None:
    """Read `selected.json`; None where there is no such file.

    Args:
        run: RUN folder that holds the selection.
        plan: plan of the run, which names the configurations and classes.

    Raises:
        RunFolderError: the file is malformed, or names a configuration or class that the plan does not have.
    """
    selection = _read(run)
    if selection is None:
        return None
    unknown = [name for name in selection.configurations if name not in plan.configurations]
    named = [*(rule.name for rule in selection.post_processing), *selection.froc]
    named += [one.name for one in selection.lesion_scores]
    unknown += [name for name in dict.fromkeys(named) if name not in plan.labels.foreground]
    if unknown:
        raise RunFolderError(
            f"{run.selected}: names {', '.join(unknown)}, which {run.plan.name} does not have; {_advice(run)}"
        )
    return selection


def _read(run: RunFolder) -> Selection | None:
    return read_model(run.selected, Selection, _advice(run))


def _advice(run: RunFolder) -> str:
    return f"mend it, or `autoseg select {run.path}` makes it anew"
