"""The training schedule without a time limit: nnU-Net's schedule, with a length that follows the data set's size.

In: a configuration of the reference plan and the fingerprint. Out: its training and prediction settings. Two things
are added to nnU-Net's schedule: an average of the weights, which costs nothing and ends close to the last weights, and
validations on whole cases during training.
"""

from __future__ import annotations

import math

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.configuration import Configuration
from autoseg.plan.decision import Decision, WithReasons
from planner.additions.mirroring import allowed_axes
from planner.rules.schedule import Schedule

PASSES_OVER_THE_VOXELS = 600
FEWEST_STEPS, MOST_STEPS = 50_000, 250_000
"""Length of a fold: this many passes over the voxels of the data set, within these bounds in steps. nnU-Net takes
250,000 for any data set; that fewer than 50,000 suffice for small ones has not been measured."""

AVERAGE_DECAY = 0.999
"""Decay of the moving average of the weights per step."""

EPOCHS_BETWEEN_VALIDATIONS = 25


def long_schedule(configuration: Configuration, fingerprint: Fingerprint) -> Schedule:
    """Training and prediction settings of a configuration without a time limit.

    Args:
        configuration: the configuration of the reference plan, lowered where it did not fit into memory.
        fingerprint: fingerprint that tells the data set's size, and whether classes lie on one side of the body.
    """
    mirror = allowed_axes(configuration.training.mirror, fingerprint)
    training = WithReasons(configuration.training).changed(
        iterations=default_length(configuration, fingerprint),
        mirror=mirror,
        average_decay=Decision(
            AVERAGE_DECAY, "the average of the last thousand steps or so predicts before the schedule's end too"
        ),
        validate_every=Decision(
            EPOCHS_BETWEEN_VALIDATIONS,
            f"whole validation cases are looked at every {EPOCHS_BETWEEN_VALIDATIONS} epochs",
        ),
    )
    prediction = WithReasons(configuration.prediction).changed(
        mirror=Decision(mirror.value, f"as in training: {mirror.reason}")
    )
    return Schedule(training, prediction)


def default_length(configuration: Configuration, fingerprint: Fingerprint) -> Decision[int]:
    """Number of steps of a fold without a time limit: whole epochs, by the size of the data set."""
    voxels = 0.0
    for case in fingerprint.cases:
        target = configuration.target_spacing(case.spacing)
        voxels += math.prod(n * s / t for n, s, t in zip(case.cropped_shape, case.spacing, target, strict=True))
    batch = configuration.batch_size * math.prod(configuration.patch_size)
    wanted = min(max(PASSES_OVER_THE_VOXELS * voxels / batch, FEWEST_STEPS), MOST_STEPS)
    per_epoch = configuration.training.iterations_per_epoch
    return Decision(
        math.ceil(wanted / per_epoch) * per_epoch,
        f"{PASSES_OVER_THE_VOXELS} passes over the data set's {voxels / 1e6:.0f} million voxels, "
        f"between {FEWEST_STEPS} and {MOST_STEPS} steps",
    )
