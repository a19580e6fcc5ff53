"""How the reference plan trains and predicts: nnU-Net's defaults (release 2.8.1), each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from autoseg.image.geometry import Shape, Spacing
from autoseg.plan.configuration import Prediction, Training
from autoseg.plan.decision import Decision, WithReasons

ITERATIONS_PER_EPOCH = 250
EPOCHS = 1000
OVERLAP = 0.5
"""Share of the patch's length by which neighbouring windows overlap in prediction."""

DUMMY_2D_RATIO = 3.0
"""A 3D patch is rotated only within slices if its longest side exceeds that along the coarse axis by this factor."""

ELONGATED_2D_RATIO = 1.5
"""A 2D patch is rotated only a little if its longer side exceeds the shorter one by this factor."""


@dataclass(frozen=True)
class Schedule:
    """Training and prediction settings, each with the reasons for their fields."""

    training: WithReasons[Training]
    prediction: WithReasons[Prediction]


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
    mirror = mirrored_axes(patch_size)
    training = WithReasons.of(
        Training,
        iterations=Decision(EPOCHS * ITERATIONS_PER_EPOCH, f"nnU-Net's {EPOCHS} epochs of {ITERATIONS_PER_EPOCH}"),
        iterations_per_epoch=Decision(ITERATIONS_PER_EPOCH, "nnU-Net's length of an epoch"),
        optimizer=Decision("sgd", "nnU-Net's: Nesterov momentum 0.99, polynomial decay to the power 0.9"),
        learning_rate=Decision(0.01, "nnU-Net's, at the start of its polynomial decay"),
        warmup=Decision(0, "nnU-Net has none"),
        weight_decay=Decision(3e-5, "nnU-Net's, for SGD"),
        gradient_clip=Decision(12, "nnU-Net's largest norm"),
        average_decay=Decision(0, "nnU-Net does not average weights"),
        oversample_foreground=Decision(0.33, "nnU-Net's: one patch in three is centred on foreground"),
        sample_by=Decision(
            "lesion",
            "a small lesion is centred on as often as a large one; nnU-Net draws voxels, so mostly large ones",
        ),
        sequence_dropout=Decision(0, "nnU-Net wants every sequence of every case"),
        lesion_loss=Decision(0, "nnU-Net's loss is by voxel alone"),
        batch_dice=batch_dice,
        deep_supervision=Decision(True, "nnU-Net's: every decoder stage learns"),
        rotation=largest_rotation(patch_size, coarse_axis, slice_axis),
        scaling=Decision((0.7, 1.4), "nnU-Net's smallest and largest zoom"),
        elastic=Decision(0, "nnU-Net does not deform elastically"),
        mirror=mirror,
        beta2=Decision(None, "AdamW's own 0.999 where it is used"),
        contrast_maps=Decision(0.0, "off: nnU-Net has none"),
        pasted_lesions=Decision(0.0, "off: whether it helps could not be judged yet"),
        augmentation=Decision("autoseg", "fewer seconds a patch than batchgenerators with the same list of transforms"),
        augment_on=Decision("auto", "the faster one is measured where a GPU trains; processes elsewhere"),
        patch_growth=Decision(None, "off: every step has the full patch, as nnU-Net's"),
        foreground_prior=Decision(None, "nnU-Net begins with every class as likely"),
        validate_every=Decision(0, "nnU-Net predicts whole cases at the end only"),
        by_length=Decision(None, "the length is fixed, so nothing follows it"),
        seconds=Decision(None, "no limit: as long as the iterations take"),
        validation_seconds=Decision(None, "no limit: as long as it takes"),
    )
    prediction = WithReasons.of(
        Prediction,
        overlap=Decision(OVERLAP, "neighbouring windows share half a patch"),
        mirror=Decision(mirror.value, f"as in training: {mirror.reason}"),
    )
    return Schedule(training, prediction)


def largest_rotation(patch_size: Shape, coarse_axis: int, slice_axis: int | None) -> Decision[Spacing]:
    """Largest rotation in degrees about each axis (z, y, x).

    A 2D patch rotates within the slice: by any angle, or a little if the patch is elongated. A 3D patch rotates about
    every axis; if it is thin along the coarse axis, it rotates only within its slices, by any angle.
    """
    if slice_axis is not None:
        sides = [n for axis, n in enumerate(patch_size) if axis != slice_axis]
        ratio = max(sides) / min(sides)
        within = f"the patch's sides differ by a factor of {ratio:.2g}"
        if ratio > ELONGATED_2D_RATIO:
            return Decision(
                _about(slice_axis, 15), f"{within}, over {ELONGATED_2D_RATIO:g}: within the slice, a little"
            )
        return Decision(_about(slice_axis, 180), f"{within}, up to {ELONGATED_2D_RATIO:g}: within the slice, fully")
    ratio = max(patch_size) / patch_size[coarse_axis]
    thin = f"the patch's longest side is {ratio:.2g} times that along the coarse axis"
    if ratio > DUMMY_2D_RATIO:
        return Decision(_about(coarse_axis, 180), f"{thin}, over {DUMMY_2D_RATIO:g}: within its slices only")
    return Decision((30.0, 30.0, 30.0), f"{thin}, up to {DUMMY_2D_RATIO:g}: about every axis")


def mirrored_axes(patch_size: Shape) -> Decision[tuple[int, ...]]:
    """Axes that may be mirrored: every axis along which the patch is longer than one voxel."""
    axes = tuple(axis for axis, n in enumerate(patch_size) if n > 1)
    return Decision(axes, f"every axis along which the patch of {' × '.join(map(str, patch_size))} is longer than 1")


def _about(axis: int, degrees: float) -> Spacing:
    z, y, x = (degrees if a == axis else 0.0 for a in range(3))
    return z, y, x
