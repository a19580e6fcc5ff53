"""Configurations that a GPU may train within a time budget, the preferred one first.

In: the reference configuration and the fingerprint. Out: `Candidate`s. A GPU keeps nnU-Net's plan as long as the time
affords enough steps of it. Then its patch yields, down to a quarter of a case, with the same batch; what is cheaper
still is planned as for a CPU. What a CPU taught, that batches of two patches and few features find more in a short
time, is not carried over to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.configuration import Configuration
from autoseg.plan.decision import Decision, WithReasons
from planner.budget.network_candidates import LEAST_SHARE_SEEN, Candidate, candidates, smaller_patches


def candidates_on_gpu(reference: Configuration, fingerprint: Fingerprint) -> Iterator[Candidate]:
    """Yield the reference configuration, then ones with smaller patches, then those of a CPU.

    Args:
        reference: the configuration that follows nnU-Net's rules.
        fingerprint: fingerprint with the shapes of the cases and the sizes of the structures.
    """
    yield WithReasons(reference)
    voxels = math.prod(reference.patch_size)
    for smaller in smaller_patches(reference, fingerprint):
        of_patch = math.prod(smaller.patch_size)
        # a 2D network sees single slices
        share = of_patch / math.prod(n for axis, n in enumerate(smaller.median_shape) if axis != reference.slice_axis)
        if of_patch < voxels and share >= LEAST_SHARE_SEEN:
            yield WithReasons(smaller).changed(
                patch_size=Decision(
                    smaller.patch_size, f"sees {min(share, 1):.0%} of the median case: smaller, to save time"
                ),
                batch_size=Decision(reference.batch_size, "that of the reference plan"),
            )
    # the first ones of a CPU may be these
    yield from (candidate for candidate in candidates(reference, fingerprint) if _differs(candidate.value, reference))


def _differs(candidate: Configuration, reference: Configuration) -> bool:
    """Whether a candidate is not the reference configuration again."""
    return (candidate.patch_size, candidate.batch_size, candidate.network, candidate.spacing) != (
        reference.patch_size,
        reference.batch_size,
        reference.network,
        reference.spacing,
    )
