"""The ideas that are compared: each is a plan that differs from what is planned in a few fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
        training: further fields of the training settings.
    """

    what: str
    region: bool = True
    patch: Shape | None = None
    features: int = 16
    coarser: float = 1.0
    batch: int | None = None
    voxels_across: float | None = None
    training: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


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
