"""The training schedule within a time limit.

In: the reference training settings and the steps that the time affords. Out: training and prediction settings, each
change with its reason. The optimiser is AdamW with one cycle (Smith & Topin, arXiv:1708.07120), annealed to its end
within these steps, with an average of the weights. Augmentations are few and gentle, because a short run sees every
case only a few dozen times. docs/experiments compares these choices with others.
"""

from __future__ import annotations

import math

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.configuration import LengthDependent, Prediction, Training
from autoseg.plan.decision import Decision, WithReasons
from planner.additions.mirroring import allowed_axes

STEPS_FOR_MIRRORING = 20_000
"""Schedules with fewer steps do not mirror: they would spend their steps on images that never occur."""

STEPS_FOR_MIRRORING_ON_GPU = 2_500
"""The same on a CUDA device, whose steps see nnU-Net's whole batches; not measured yet. It is half of what a plan must
afford there, so that a fold that is shortened a little still mirrors, as its prediction does."""

STEPS_FOR_DROPOUT = 1_200
"""Schedules with at least this many steps use the planned sequence dropout; shorter ones use proportionally less.

A network that cannot use all sequences yet does not learn faster from a part of them
(docs/experiments/missing-sequences.md)."""

HIGHEST_RATE, LOWEST_RATE = 8e-3, 2e-3
STEPS_AT_HIGHEST_RATE = 1_000
"""The peak learning rate is the highest one up to this many steps; then it falls with the root of the number of steps,
down to the lowest one. Measured in schedules of 130 to 620 steps (docs/experiments/short-schedules.md)."""

BETA2 = 0.98
"""AdamW's decay of squared gradients. With 0.999 a network of small lesions can be trapped in predicting nothing, and
more of a short schedule is spent on small steps (docs/experiments/lesions.md)."""

FOREGROUND_PRIOR = 0.01
"""Probability that the network gives each foreground class before training. Where lesions are rare, a short schedule
has no steps left to learn that (docs/experiments/short-schedules.md)."""

LARGEST_ROTATION_DEGREES = 30.0
EPOCHS = 20
"""Number of epochs into which the steps of a fold are divided."""


def short_training(
    reference: WithReasons[Training],
    steps: Decision[int],
    seconds: Decision[float],
    fingerprint: Fingerprint,
    *,
    validations: int = 3,
    device: str = "cpu",
) -> WithReasons[Training]:
    """Training settings of a fold that takes `steps` steps in `seconds`.

    Args:
        reference: nnU-Net's training settings; what the time limit does not change is kept.
        steps: number of steps of a fold that the time affords.
        seconds: seconds of training of a fold, without the validation at its end.
        fingerprint: fingerprint that tells whether classes lie on one side of the body.
        validations: number of validations on whole cases during training.
        device: type of the device that trains.
    """
    mirror_from = STEPS_FOR_MIRRORING_ON_GPU if device == "cuda" else STEPS_FOR_MIRRORING
    base, count = reference.value, steps.value
    training = reference.changed(
        iterations=steps,
        iterations_per_epoch=Decision(max(1, -(-count // EPOCHS)), "a twentieth of the steps"),
        optimizer=Decision("adamw", "converges in fewer steps than SGD where time is short"),
        learning_rate=peak_rate(count),
        warmup=Decision(0.1, "a tenth of the steps"),
        weight_decay=Decision(0.01, "decoupled, AdamW's default"),
        beta2=Decision(
            BETA2, "squared gradients of fifty steps: with those of a thousand one large gradient stops small lesions"
        ),
        average_decay=Decision(0.99, "the average of the last hundred steps or so predicts better than the last step"),
        oversample_foreground=Decision(0.5, "half of the patches are centred on foreground"),
        foreground_prior=Decision(
            FOREGROUND_PRIOR, "most of an image is background: known before the first step, not learned in it"
        ),
        rotation=Decision(
            tuple(min(r, LARGEST_ROTATION_DEGREES) for r in base.rotation),
            f"at most {LARGEST_ROTATION_DEGREES:g} degrees: few steps",
        ),
        scaling=Decision((0.75, 1.3), "gentler than nnU-Net's for a short schedule"),
        mirror=mirrored_axes(base, count, fingerprint, mirror_from),
        validate_every=Decision(
            EPOCHS // (validations + 1) if validations else 0,
            f"whole validation cases are looked at {validations} times on the way",
        ),
        by_length=Decision(
            LengthDependent(
                full_dropout_from=STEPS_FOR_DROPOUT,
                mirror_from=mirror_from,
                mirror=allowed_axes(base.mirror, fingerprint).value,
            ),
            "the length follows the machine's pace, and these follow the length",
        ),
        seconds=seconds,
    )
    # no number of steps makes dropout out of none: the reference's reason stays
    if not base.sequence_dropout:
        return training
    return training.changed(sequence_dropout=affordable_dropout(reference, count))


def peak_rate(steps: int) -> Decision[float]:
    """Peak learning rate of AdamW's one cycle; the fewer steps there are, the higher it must be."""
    if steps <= STEPS_AT_HIGHEST_RATE:
        return Decision(HIGHEST_RATE, f"peak of one cycle: a high one, as {steps} steps are few")
    rate = max(LOWEST_RATE, HIGHEST_RATE * math.sqrt(STEPS_AT_HIGHEST_RATE / steps))
    return Decision(float(f"{rate:.2g}"), f"peak of one cycle, for {steps} steps: lower the more there are")


def mirrored_axes(
    reference: Training, steps: int, fingerprint: Fingerprint, mirror_from: int = STEPS_FOR_MIRRORING
) -> Decision[tuple[int, ...]]:
    """Axes mirrored in training: none in a short schedule, and never x where a class belongs to one side.

    Args:
        reference: nnU-Net's training settings.
        steps: number of steps of a fold.
        fingerprint: fingerprint that tells whether classes lie on one side of the body.
        mirror_from: number of steps from which a schedule is long enough.
    """
    if steps < mirror_from:
        return Decision((), f"{steps} steps, under {mirror_from}: too few to learn mirrored images as well")
    return allowed_axes(reference.mirror, fingerprint)


def affordable_dropout(reference: WithReasons[Training], steps: int) -> Decision[float]:
    """Sequence dropout probability of a patch, proportional to the number of steps up to `STEPS_FOR_DROPOUT`.

    The reason begins with the reference's, which tells why there is dropout at all.
    """
    full = reference.value.sequence_dropout
    if steps >= STEPS_FOR_DROPOUT:
        dropout, why = full, f"{steps} steps, at least {STEPS_FOR_DROPOUT}"
    else:
        dropout = round(full * steps / STEPS_FOR_DROPOUT, 3)
        why = f"{steps} of the {STEPS_FOR_DROPOUT} steps from which it would be {full:g}"
    return Decision(dropout, "; ".join(filter(None, (reference.reasons.get("sequence_dropout"), why))))


def short_prediction(reference: Prediction, mirror: tuple[int, ...] = ()) -> WithReasons[Prediction]:
    """Prediction settings: on a CPU without mirroring, as each mirrored image would cost as much again.

    Args:
        reference: nnU-Net's prediction settings.
        mirror: axes that training on a GPU mirrors, and so prediction; empty = none.
    """
    why = "as in training" if mirror else "off: each mirrored image costs as much again"
    return WithReasons(reference).changed(mirror=Decision(mirror, why))
