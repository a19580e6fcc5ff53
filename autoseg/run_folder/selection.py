"""`selected.json`: what predicts a new image, chosen by cross-validation, and what the choice rests on.

Made by `autoseg select`, applied by `autoseg predict`, readable and editable; it names no case. What
predicts is said by `configurations` and `post_processing` alone, the rest is the evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from autoseg.errors import RunFolderError
from autoseg.files import FileModel, read_model, write_text
from autoseg.image.labels import Labels
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder

PLAIN_THRESHOLD = 0.5


class ClassRule(FileModel):
    """Post-processing of one foreground class; as it is by default, it changes nothing.

    Args:
        name: of the class.
        threshold: a voxel is of the class where the class has more than this share of the probability
            that it and its strongest rival have together; in a task of one class that is the
            threshold of the foreground's probability. 0.5 is "the most probable class".
        largest_component: keep only the connected component (26 neighbours) of most voxels.
        minimal_diameter_mm: remove components smaller than the ball of this diameter.
    """

    name: str
    threshold: float = Field(default=PLAIN_THRESHOLD, gt=0, lt=1)
    largest_component: bool = False
    minimal_diameter_mm: float = Field(default=0.0, ge=0)

    @property
    def weight(self) -> float:
        """Factor on the class's probability that makes the largest one decide by the threshold."""
        return (1 - self.threshold) / self.threshold

    @property
    def is_plain(self) -> bool:
        """Whether it changes nothing."""
        return self == ClassRule(name=self.name)

    def text(self) -> str:
        """In words."""
        parts = [f"threshold {self.threshold:g}"] if self.threshold != PLAIN_THRESHOLD else []
        parts += ["largest component only"] if self.largest_component else []
        parts += [f"nothing under {self.minimal_diameter_mm:g} mm"] if self.minimal_diameter_mm else []
        return ", ".join(parts) or "none"


class CandidateScore(FileModel):
    """How one configuration, or the mean of several, does in cross-validation.

    Args:
        mean_dice: mean over classes of the mean over the cases that all candidates have.
        dice: mean over cases, by class; None where no case defines it.
        gain: of several on the best single configuration; None of a single one.
        standard_error: of the gain, by leaving out case after case.
    """

    configurations: tuple[str, ...]
    mean_dice: float | None
    dice: dict[str, float | None]
    gain: float | None = None
    standard_error: float | None = None


class StepScore(FileModel):
    """What a step of post-processing does to cases whose fold took no part in fitting it.

    Args:
        class_name: the class that it is for.
        step: `largest component`, `minimal size` or `threshold`.
        value: fitted to all cases.
        before, after: the aim's score without and with it: mean Dice, where 1 stands for a case that has
            the class in neither; pooled F2; for a stated sensitivity the share of lesions found, or, where
            it is reached, 1 + 1 / (1 + false components a case).
        gain: their difference.
        standard_error: of the gain, by leaving out case after case.
        applied: whether it helps: the gain exceeds its standard error.
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
    """One class in cross-validation.

    Args:
        dice: mean over the cases that define it.
        cases: how many do.
        lesions: connected components in the references, of all cases.
        sensitivity: share of them that is found.
        false_per_case: predicted components that touch none, a case.
        f2: of the detection: sensitivity counts twice as much as precision.
    """

    name: str
    dice: float | None
    cases: int
    lesions: int
    sensitivity: float | None
    false_per_case: float
    f2: float | None


class Performance(FileModel):
    """All classes in cross-validation."""

    mean_dice: float | None
    classes: tuple[ClassPerformance, ...]


class HeldOutChoice(FileModel):
    """The choice made anew for each fold, from the cases of the other folds, and judged on the fold's.

    Args:
        folds: how many took part.
        chosen: mean Dice of what was chosen without the cases it is judged on.
        best_single: the same of the best single configuration.
    """

    folds: int
    chosen: float | None
    best_single: float | None


class Selection(FileModel):
    """`selected.json`.

    Args:
        configurations: that predict together: the mean of their probabilities, each its folds' mean.
        post_processing: by class; a class that is not named is left as predicted.
        operating_point: aim that threshold and minimal size were chosen for.
        cases: validation cases that the choice rests on, those that every candidate has.
        candidates: what was compared, the best first.
        held_out_choice: whether choosing pays on cases that take no part in it.
        steps: what was tried as post-processing.
        plain: the chosen configurations without post-processing.
        post_processed: the same with it, fitted for each fold to the cases of the others; None where
            there is none.
        notes: what the reader should know.
    """

    schema_version: Literal[1] = 1
    configurations: tuple[str, ...] = Field(min_length=1)
    post_processing: tuple[ClassRule, ...] = ()
    operating_point: str = "dice"
    cases: int = 0
    candidates: tuple[CandidateScore, ...] = ()
    held_out_choice: HeldOutChoice | None = None
    steps: tuple[StepScore, ...] = ()
    plain: Performance | None = None
    post_processed: Performance | None = None
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """What predicts, in words."""
        rules = "; ".join(f"{rule.name}: {rule.text()}" for rule in self.post_processing if not rule.is_plain)
        return f"{' + '.join(self.configurations)}, post-processing {rules or 'none'}"


def rules_by_class(rules: Sequence[ClassRule], labels: Labels) -> tuple[ClassRule, ...]:
    """One rule a foreground class, in the order of `labels`; of a class that none names it changes nothing."""
    given = {rule.name: rule for rule in rules}
    return tuple(given.get(name, ClassRule(name=name)) for name in labels.foreground)


def write_selection(run: RunFolder, selection: Selection) -> None:
    """Write `selected.json`, atomically."""
    write_text(run.selected, selection.model_dump_json(indent=1) + "\n")


def set_selection_aside(run: RunFolder, configuration: str | None = None) -> bool:
    """Move `selected.json` out of the way where it rests on models that are trained anew.

    Args:
        run: the RUN folder.
        configuration: of which a fold begins; None = every model is gone, whatever was selected.

    Returns:
        Whether there was such a choice. One that is malformed is left to be mended while there are models.
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
    run.selected.replace(run.former_selection)
    return True


def read_selection(run: RunFolder, plan: Plan) -> Selection | None:
    """What was selected; None where nothing was.

    Raises:
        RunFolderError: the file is malformed, or names a configuration or class that the plan lacks.
    """
    selection = _read(run)
    if selection is None:
        return None
    unknown = [name for name in selection.configurations if name not in plan.configurations]
    unknown += [rule.name for rule in selection.post_processing if rule.name not in plan.labels.foreground]
    if unknown:
        raise RunFolderError(
            f"{run.selected}: names {', '.join(unknown)}, which {run.plan.name} does not have; {_advice(run)}"
        )
    return selection


def _read(run: RunFolder) -> Selection | None:
    return read_model(run.selected, Selection, _advice(run))


def _advice(run: RunFolder) -> str:
    return f"mend it, or `autoseg select {run.path}` makes it anew"
