"""Patches that grow during training: small at first, then larger in stages, up to the patch of the plan.

In: a configuration. Out: the patch at each moment of its schedule, and the work of a step compared with one of the full
patch. The method is Fischer et al., Progressive Growing of Patch Size, arXiv:2510.23241, in its efficient mode (and the
authors' code for it): the batch stays as it is, so that early steps are cheap; every stage has an equal share of the
schedule; and from one size to the next the shortest axis becomes longer by as little as the network's strides allow.
Two things differ. The paper takes every size on the way; here the plan says how many, evenly spaced, since a change of
size starts the loading of batches anew. And the paper begins with a single voxel at the coarsest stage, which an
instance norm makes zero; here no feature map is shorter than the half of a kernel with its middle: two voxels for a
kernel of three.

The size at a step depends on the share of the schedule that is done (`schedule.progress`) and so on the events of the
fold alone. A training that is resumed or repeated has the same patches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Configuration, Network, Training
from autoseg.run_folder.finished_fold import Event
from trainer.schedule import progress

SHARE_OF_FIXED_WORK = 0.03
"""Share of the time of a step that does not depend on its voxels, such as the optimiser's. Measured on one core: with
5 % of the voxels a step takes 7 % of the time."""

ROUNDING = 1e-9


@dataclass(frozen=True)
class PatchGrowth:
    """The sizes of the patches of a fold, one for each stage; the last one is the full patch.

    Args:
        sizes: shape (z, y, x) of the patch in voxels in each stage, growing; a single one = patches do not grow.
    """

    sizes: tuple[Shape, ...]

    def size(self, done: float) -> Shape:
        """Shape (z, y, x) of the patch after a share `done` of the schedule, from 0 to 1."""
        return self.sizes[min(int(done * len(self.sizes) + ROUNDING), len(self.sizes) - 1)]

    def mean_work(self, start: float, end: float = 1.0) -> float:
        """Mean work of the steps between two shares of the schedule, where a step of the full patch has work 1."""
        if end - start < ROUNDING:
            return self._work(self.size(start))
        stages = len(self.sizes)
        within = [max(0.0, min(end, (s + 1) / stages) - max(start, s / stages)) for s in range(stages)]
        return sum(share * self._work(size) for share, size in zip(within, self.sizes, strict=True)) / (end - start)

    def work(self, start: int, end: int, training: Training, events: tuple[Event, ...]) -> float:
        """Work of the steps from `start` to `end` (excluded), in steps of the full patch.

        Between the two no event may change the length of the schedule.

        Args:
            start: number of the first step, from 0.
            end: step after the last one.
            training: training settings that the fold was begun with.
            events: events of the fold so far.
        """
        return (end - start) * self.mean_work(progress(start, training, events), progress(end, training, events))

    def _work(self, size: Shape) -> float:
        share = math.prod(size) / math.prod(self.sizes[-1])
        return SHARE_OF_FIXED_WORK * (1 - share) + share


NO_GROWTH = PatchGrowth(((1, 1, 1),))
"""Patches of one size, whatever it is: every step has work 1."""


def patch_growth(configuration: Configuration) -> PatchGrowth:
    """The growth that a configuration plans: as many sizes as it has stages, or all where there are fewer."""
    full, stages = configuration.patch_size, configuration.training.patch_growth
    if stages is None:
        return PatchGrowth((full,))
    path = growing_sizes(full, configuration.network)
    places = dict.fromkeys(round(stage * (len(path) - 1) / (stages - 1)) for stage in range(stages))
    return PatchGrowth(tuple(path[place] for place in places))


def growing_sizes(full: Shape, network: Network) -> tuple[Shape, ...]:
    """Every size on the way to the full patch; from one to the next the shortest axis that is not full becomes longer.

    Args:
        full: patch size (z, y, x) of the plan in voxels, divisible by the strides.
        network: network whose strides divide every size.
    """
    step = [math.prod(strides[axis] for strides in network.strides) for axis in range(3)]
    size = [_smallest(full[axis], axis, network) for axis in range(3)]
    path = [(size[0], size[1], size[2])]
    while growing := [axis for axis in range(3) if size[axis] < full[axis]]:
        shortest = min(growing, key=lambda axis: size[axis] + step[axis])
        size[shortest] += step[shortest]
        path.append((size[0], size[1], size[2]))
    return tuple(path)


def _smallest(full: int, axis: int, network: Network) -> int:
    """Shortest patch along an axis: no feature map is shorter than the half of a kernel with its middle."""
    factor, needed = 1, 1
    for strides, kernel in zip(network.strides, network.kernel_sizes, strict=True):
        factor *= strides[axis]
        needed = max(needed, factor * (kernel[axis] + 1) // 2)
    return min(full, -(-needed // factor) * factor)
