"""The training schedule within a time limit.

In: the reference training settings and the steps that the time affords. Out: training and prediction settings. The
optimiser is AdamW with one cycle (Smith & Topin, arXiv:1708.07120), annealed to its end within these steps, with an
average of the weights. Augmentations are few and gentle, because a short run sees every case only a few dozen times.
docs/experiments compares these choices with others.
"""

from __future__ import annotations

import math

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.configuration import ByLength, Prediction, Training
from autoseg.plan.decision import Decision
from planner.additions.mirroring import allowed_axes

STEPS_FOR_MIRRORING = 20_000
"""Schedules with fewer steps do not mirror: they would spend their steps on images that never occur."""

STEPS_FOR_DROPOUT = 1_200
"""Schedules with at least this many steps use the planned sequence dropout; shorter ones use proportionally less.

A network that cannot use all sequences yet does not learn faster from a part of them
(docs/experiments/missing-sequences.md)."""

HIGHEST_RATE, LOWEST_RATE = 8e-3, 2e-3
STEPS_AT_HIGHEST = 1_000
"""The peak learning rate is the highest one up to this many steps; then it falls with the root of the number of steps,
down to the lowest one. Measured in schedules of 130 to 620 steps (docs/experiments/short-schedules.md)."""

FOREGROUND_PRIOR = 0.01
"""Probability that the network gives each foreground class before training. Where lesions are rare, a short schedule
has no steps left to learn that (docs/experiments/short-schedules.md)."""

EPOCHS = 20


def short_training(
    reference: Training, steps: int, seconds: float, fingerprint: Fingerprint, *, looks: int = 3
) -> Training:
    """Training settings of a fold that takes `steps` steps in `seconds`.

    Args:
        reference: nnU-Net's training settings; what the time limit does not change is kept.
        steps: number of steps of a fold that the time affords.
        seconds: seconds of training of a fold, without the validation at its end.
        fingerprint: fingerprint that tells whether classes lie on one side of the body.
        looks: number of validations on whole cases during training.
    """
    per_epoch = max(1, -(-steps // EPOCHS))
    return reference.changed(
        iterations=steps,
        iterations_per_epoch=per_epoch,
        optimizer="adamw",
        learning_rate=peak_rate(steps).value,
        warmup=0.1,
        weight_decay=0.01,
        average_decay=0.99,
        oversample_foreground=0.5,
        foreground_prior=FOREGROUND_PRIOR,
        rotation=tuple(min(r, 30.0) for r in reference.rotation),
        scaling=(0.75, 1.3),
        mirror=mirrored_axes(reference, steps, fingerprint).value,
        sequence_dropout=affordable_dropout(reference, steps).value,
        validate_every=EPOCHS // (looks + 1) if looks else 0,
        by_length=ByLength(
            full_dropout_from=STEPS_FOR_DROPOUT,
            mirror_from=STEPS_FOR_MIRRORING,
            mirror=allowed_axes(reference.mirror, fingerprint).value,
        ),
        seconds=seconds,
    )


def peak_rate(steps: int) -> Decision[float]:
    """Peak learning rate of AdamW's one cycle; the fewer steps there are, the higher it must be."""
    if steps <= STEPS_AT_HIGHEST:
        return Decision(HIGHEST_RATE, f"peak of one cycle: a high one, as {steps} steps are few")
    rate = max(LOWEST_RATE, HIGHEST_RATE * math.sqrt(STEPS_AT_HIGHEST / steps))
    return Decision(float(f"{rate:.2g}"), f"peak of one cycle, for {steps} steps: lower the more there are")


def mirrored_axes(reference: Training, steps: int, fingerprint: Fingerprint) -> Decision[tuple[int, ...]]:
    """Axes mirrored in training: none in a short schedule, and never x where a class belongs to one side."""
    if steps < STEPS_FOR_MIRRORING:
        return Decision((), f"{steps} steps, under {STEPS_FOR_MIRRORING}: too few to learn mirrored images as well")
    return allowed_axes(reference.mirror, fingerprint)


def affordable_dropout(reference: Training, steps: int) -> Decision[float]:
    """Sequence dropout probability of a patch, proportional to the number of steps up to `STEPS_FOR_DROPOUT`."""
    full = reference.sequence_dropout
    if steps >= STEPS_FOR_DROPOUT:
        return Decision(full, f"{steps} steps, at least {STEPS_FOR_DROPOUT}")
    less = round(full * steps / STEPS_FOR_DROPOUT, 3)
    return Decision(less, f"{steps} of the {STEPS_FOR_DROPOUT} steps from which it would be {full:g}")


def short_prediction(reference: Prediction) -> Prediction:
    """Prediction settings without mirroring: each mirrored image would cost as much again."""
    return reference.changed(mirror=())


REASONS = {
    "optimizer": "converges in fewer steps than SGD where time is short",
    "warmup": "a tenth of the steps",
    "weight_decay": "decoupled, AdamW's default",
    "average_decay": "the average of the last hundred steps or so predicts better than the last step",
    "oversample_foreground": "half of the patches are centred on foreground",
    "foreground_prior": "most of an image is background: known before the first step, not learned in it",
    "scaling": "gentler than nnU-Net's for a short schedule",
    "rotation": "at most 30 degrees: few steps",
    "by_length": "the length follows the machine's pace, and these follow the length",
}
