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
        training: further fields of the training settings.
    """

    what: str
    region: bool = True
    patch: Shape | None = None
    features: int = 16
    coarser: float = 1.0
    batch: int | None = None
    training: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


SMALL, SMALLER = (16, 96, 96), (16, 64, 64)
LOSS = {"lesion_loss": 0.3}

ARMS = {
    "whole": Arm("whole images, as planned before", region=False),
    "whole-small": Arm("whole images, small patch of 16 features", region=False, patch=SMALL),
    "region": Arm("region, patch as planned"),
    "region-small": Arm("region, small patch of 16 features", patch=SMALL),
    "region-small-24": Arm("region, small patch of 24 features", patch=SMALL, features=24),
    "region-smaller": Arm("region, smaller patch of 16 features", patch=SMALLER),
    "region-smaller-4": Arm("region, smaller patch of 16 features, 4 in a step", patch=SMALLER, batch=4),
    "region-smaller-32": Arm("region, smaller patch of 32 features", patch=SMALLER, features=32),
    "region-coarse": Arm("region, coarser by 1.37 in the plane", patch=(16, 80, 80), coarser=1.37),
    "region-small-loss": Arm("region, small patch, lesion-wise loss", patch=SMALL, training=LOSS),
    "region-small-voxel": Arm("region, small patch, drawn by voxel", patch=SMALL, training={"sample_by": "voxel"}),
    "region-small-25": Arm(
        "region, small patch, a quarter on foreground", patch=SMALL, training={"oversample_foreground": 0.25}
    ),
    "region-small-75": Arm(
        "region, small patch, three quarters on foreground",
        patch=SMALL,
        batch=4,
        training={"oversample_foreground": 0.75},
    ),
}
"""Ideas by name; the first is what the others are compared with."""
