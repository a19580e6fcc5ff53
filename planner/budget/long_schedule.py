"""The training schedule without a time limit: nnU-Net's schedule, with a length that follows the data set's size.

In: a configuration of the reference plan and the fingerprint. Out: its training and prediction settings. Two things
are added to nnU-Net's schedule: an average of the weights, which costs nothing and ends close to the last weights, and
validations on whole cases during training.
"""

from __future__ import annotations

import math

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.configuration import Configuration
from autoseg.plan.decision import Decision
from planner.additions.mirroring import allowed_axes
from planner.rules.schedule import Schedule

PASSES = 600
FEWEST_STEPS, MOST_STEPS = 12_500, 250_000
"""Length of a fold: this many passes over the voxels of the data set, within these bounds in steps."""

AVERAGE_DECAY = 0.999
EPOCHS_BETWEEN_LOOKS = 25


def long_schedule(configuration: Configuration, fingerprint: Fingerprint) -> Schedule:
    """Training and prediction settings of a configuration without a time limit.

    Args:
        configuration: the configuration of the reference plan, lowered where it did not fit into memory.
        fingerprint: fingerprint that tells the data set's size, and whether classes lie on one side of the body.
    """
    length = default_length(configuration, fingerprint)
    mirror = allowed_axes(configuration.training.mirror, fingerprint)
    training = configuration.training.changed(
        iterations=length.value, mirror=mirror.value, average_decay=AVERAGE_DECAY, validate_every=EPOCHS_BETWEEN_LOOKS
    )
    reasons = {
        "training.iterations": length.reason,
        "training.mirror": mirror.reason,
        "training.average_decay": "the average of the last thousand steps or so predicts before the schedule's end too",
        "training.validate_every": f"whole validation cases are looked at every {EPOCHS_BETWEEN_LOOKS} epochs",
        "prediction.mirror": f"as in training: {mirror.reason}",
    }
    return Schedule(training, configuration.prediction.changed(mirror=mirror.value), reasons)


def default_length(configuration: Configuration, fingerprint: Fingerprint) -> Decision[int]:
    """Number of steps of a fold without a time limit: whole epochs, by the size of the data set."""
    voxels = 0.0
    for case in fingerprint.cases:
        target = configuration.target_spacing(case.spacing)
        voxels += math.prod(n * s / t for n, s, t in zip(case.cropped_shape, case.spacing, target, strict=True))
    batch = configuration.batch_size * math.prod(configuration.patch_size)
    wanted = min(max(PASSES * voxels / batch, FEWEST_STEPS), MOST_STEPS)
    per_epoch = configuration.training.iterations_per_epoch
    return Decision(
        math.ceil(wanted / per_epoch) * per_epoch,
        f"{PASSES} passes over the data set's {voxels / 1e6:.0f} million voxels, "
        f"between {FEWEST_STEPS} and {MOST_STEPS} steps",
    )
