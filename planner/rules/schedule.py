"""How the reference plan trains and predicts: nnU-Net's defaults (release 2.8.1)."""

from __future__ import annotations

from dataclasses import dataclass

from autoseg.image.geometry import Shape, Spacing
from autoseg.plan.configuration import Prediction, Training
from autoseg.plan.decision import Decision

ITERATIONS_PER_EPOCH = 250
EPOCHS = 1000
OVERLAP = 0.5
DUMMY_2D = 3.0
"""A 3D patch is rotated only within slices if its longest side exceeds that along the coarse axis by this factor."""

ELONGATED_2D = 1.5
"""A 2D patch is rotated only a little if its longer side exceeds the shorter one by this factor."""


@dataclass(frozen=True)
class Schedule:
    """Training settings, prediction settings, and the reason for each of their fields in one sentence."""

    training: Training
    prediction: Prediction
    reasons: dict[str, str]


def reference_schedule(
    patch_size: Shape, coarse_axis: int, slice_axis: int | None, batch_dice: Decision[bool]
) -> Schedule:
    """nnU-Net's training and prediction settings for a configuration.

    Args:
        patch_size: patch size in voxels (z, y, x).
        coarse_axis: the axis (0 = z, 1 = y, 2 = x) with the coarsest target spacing.
        slice_axis: the axis across which a 2D configuration takes slices; None in 3D.
        batch_dice: whether the Dice loss pools over the batch, with the reason.
    """
    rotation = largest_rotation(patch_size, coarse_axis, slice_axis)
    mirror = mirrored_axes(patch_size)
    training = Training(
        iterations=EPOCHS * ITERATIONS_PER_EPOCH,
        iterations_per_epoch=ITERATIONS_PER_EPOCH,
        optimizer="sgd",
        learning_rate=0.01,
        warmup=0,
        weight_decay=3e-5,
        gradient_clip=12,
        average_decay=0,
        oversample_foreground=0.33,
        batch_dice=batch_dice.value,
        deep_supervision=True,
        rotation=rotation.value,
        scaling=(0.7, 1.4),
        elastic=0,
        mirror=mirror.value,
        validate_every=0,
        seconds=None,
    )
    prediction = Prediction(overlap=OVERLAP, mirror=mirror.value)
    decided = {"batch_dice": batch_dice.reason, "rotation": rotation.reason, "mirror": mirror.reason}
    reasons = {f"training.{field}": reason for field, reason in (_FIXED | decided).items()}
    reasons["prediction.overlap"] = "neighbouring windows share half a patch"
    reasons["prediction.mirror"] = f"as in training: {mirror.reason}"
    return Schedule(training, prediction, reasons)


def largest_rotation(patch_size: Shape, coarse_axis: int, slice_axis: int | None) -> Decision[Spacing]:
    """Largest rotation in degrees about each axis (z, y, x).

    A 2D patch rotates within the slice: by any angle, or a little if the patch is elongated. A 3D patch rotates about
    every axis; if it is thin along the coarse axis, it rotates only within its slices, by any angle.
    """
    if slice_axis is not None:
        sides = [n for axis, n in enumerate(patch_size) if axis != slice_axis]
        ratio = max(sides) / min(sides)
        within = f"the patch's sides differ by a factor of {ratio:.2g}"
        if ratio > ELONGATED_2D:
            return Decision(_about(slice_axis, 15), f"{within}, over {ELONGATED_2D:g}: within the slice, a little")
        return Decision(_about(slice_axis, 180), f"{within}, up to {ELONGATED_2D:g}: within the slice, fully")
    ratio = max(patch_size) / patch_size[coarse_axis]
    thin = f"the patch's longest side is {ratio:.2g} times that along the coarse axis"
    if ratio > DUMMY_2D:
        return Decision(_about(coarse_axis, 180), f"{thin}, over {DUMMY_2D:g}: within its slices only")
    return Decision((30.0, 30.0, 30.0), f"{thin}, up to {DUMMY_2D:g}: about every axis")


def mirrored_axes(patch_size: Shape) -> Decision[tuple[int, ...]]:
    """Axes that may be mirrored: every axis along which the patch is longer than one voxel."""
    axes = tuple(axis for axis, n in enumerate(patch_size) if n > 1)
    return Decision(axes, f"every axis along which the patch of {' × '.join(map(str, patch_size))} is longer than 1")


def _about(axis: int, degrees: float) -> Spacing:
    z, y, x = (degrees if a == axis else 0.0 for a in range(3))
    return z, y, x


_FIXED = {
    "iterations": f"nnU-Net's {EPOCHS} epochs of {ITERATIONS_PER_EPOCH}",
    "iterations_per_epoch": "nnU-Net's length of an epoch",
    "optimizer": "nnU-Net's: Nesterov momentum 0.99, polynomial decay to the power 0.9",
    "learning_rate": "nnU-Net's, at the start of its polynomial decay",
    "warmup": "nnU-Net has none",
    "weight_decay": "nnU-Net's, for SGD",
    "gradient_clip": "nnU-Net's largest norm",
    "average_decay": "nnU-Net does not average weights",
    "oversample_foreground": "nnU-Net's: one patch in three is centred on foreground",
    "sample_by": "a small lesion is centred on as often as a large one; nnU-Net draws voxels, so mostly large ones",
    "lesion_loss": "nnU-Net's loss is by voxel alone",
    "deep_supervision": "nnU-Net's: every decoder stage learns",
    "scaling": "nnU-Net's smallest and largest zoom",
    "elastic": "nnU-Net does not deform elastically",
    "foreground_prior": "nnU-Net begins with every class as likely",
    "validate_every": "nnU-Net predicts whole cases at the end only",
    "by_length": "the length is fixed, so nothing follows it",
    "seconds": "no limit: as long as the iterations take",
    "validation_seconds": "no limit: as long as it takes",
}
