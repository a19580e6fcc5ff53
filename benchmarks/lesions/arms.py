"""The ideas that are compared: each is a plan that differs from what is planned in a few fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from autoseg.image.geometry import Shape


@dataclass(frozen=True)
class Arm:
    """One idea.

    Args:
        what: the idea in words.
        region: whether images are cropped to the region that is learned from the labels.
        patch: patch (z, y, x) in voxels; None = the planner's.
        features: features of the first stage; given together with `patch`.
        coarser: factor by which the finest axes are coarser than the reference plan's.
        batch: number of patches in a step; None = the planner's.
        voxels_across: voxels that a coarser spacing must leave across a small lesion; None = the planner's.
        enough_steps: steps that a fold must afford before the plan is richer; None = the planner's.
        labels: how the labels are changed in training (`labels.CLASSES`); None = as they are.
        training: further fields of the training settings.
        predict_mirrored: axes (0 = z, 1 = y, 2 = x) that prediction mirrors, training apart.
    """

    what: str
    region: bool = True
    patch: Shape | None = None
    features: int = 16
    coarser: float = 1.0
    batch: int | None = None
    voxels_across: float | None = None
    enough_steps: int | None = None
    labels: str | None = None
    training: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    predict_mirrored: tuple[int, ...] = ()

    def plans_like(self, other: Arm) -> bool:
        """Whether two ideas differ at most in how they are trained, and in what prediction mirrors."""
        return self._planned() == other._planned()

    def _planned(self) -> Arm:
        return replace(self, what="", training={}, predict_mirrored=())


LARGE, SMALL, SMALLER = (16, 128, 128), (16, 96, 96), (16, 64, 64)

ARMS = {
    "whole": Arm("whole images, as planned before", region=False),
    "region": Arm("region, as planned"),
    "whole-12": Arm("whole images, 12 voxels across a lesion", region=False, voxels_across=12.0),
    "region-12": Arm("region, 12 voxels across a lesion, as across an organ", voxels_across=12.0),
    "region-small": Arm("region, small patch of 16 features", patch=SMALL),
    "region-96-8": Arm("region, small patch of 8 features", patch=SMALL, features=8),
    "region-64-8-4": Arm("region, smaller patch of 8 features, 4 in a step", patch=SMALLER, features=8, batch=4),
    "region-coarse-8": Arm("region, coarser by 1.37 in the plane, 8 features", patch=SMALL, features=8, coarser=1.37),
    "region-pool": Arm("region, Dice pooled over the batch", patch=LARGE, features=8, training={"batch_dice": True}),
    "region-slow": Arm("region, AdamW remembers 1,000 steps", training={"beta2": None}),
    "region-slow-clip": Arm("region, so too, gradients clipped at 0.5", training={"beta2": None, "gradient_clip": 0.5}),
    "region-clip": Arm("region, gradients clipped at 0.5", training={"gradient_clip": 0.5}),
    "region-600": Arm("region, a plan that affords 600 steps", enough_steps=600),
    "region-1200": Arm("region, a plan that affords 1,200 steps", enough_steps=1200),
    "region-contrast": Arm("region, contrast maps", training={"contrast_maps": 0.3}),
    "region-mirror": Arm("region, mirrored patches", training={"mirror": (0, 1, 2)}),
    "region-mirror-both": Arm(
        "region, mirrored patches, mirrored prediction", training={"mirror": (0, 1, 2)}, predict_mirrored=(0, 1, 2)
    ),
    "region-decay": Arm("region, ten times the weight decay", training={"weight_decay": 0.1}),
    "region-prior": Arm("region, foreground expected in 0.1 %", training={"foreground_prior": 0.001}),
    "region-rim": Arm("region, core and rim as classes", labels="rim"),
    "region-size": Arm("region, small and large lesions as classes", labels="size"),
    "region-anatomy": Arm("region, the organ as a class", labels="anatomy"),
    "whole-slow-contrast": Arm(
        "whole images, so too, contrast maps", region=False, training={"beta2": None, "contrast_maps": 0.3}
    ),
    "whole-contrast": Arm("whole images, contrast maps in 15 %", region=False, training={"contrast_maps": 0.15}),
    "whole-slow": Arm("whole images, AdamW remembers 1,000 steps", region=False, training={"beta2": None}),
    "whole-batchgenerators": Arm(
        "whole images, batchgenerators' transforms", region=False, training={"augmentation": "batchgenerators"}
    ),
    "whole-growth": Arm("whole images, patches grow in 4 stages", region=False, training={"patch_growth": 4}),
    "region-growth": Arm("region, patches grow in 4 stages", training={"patch_growth": 4}),
    "region-loss": Arm("region, lesion-wise loss", patch=LARGE, features=8, training={"lesion_loss": 0.3}),
    "region-voxel": Arm("region, drawn by voxel", patch=LARGE, features=8, training={"sample_by": "voxel"}),
    "region-25": Arm(
        "region, 4 in a step, a quarter on foreground",
        patch=LARGE,
        features=8,
        batch=4,
        training={"oversample_foreground": 0.25},
    ),
}
"""Ideas by name; the first is what the others are compared with."""
