"""Draws the voxels around which training patches are placed; small and large lesions are equally likely.

Where voxels are not annotated, annotated ones are drawn too, by which patches without foreground are placed, as in
nnU-Net.
"""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray

from autoseg.image.class_boxes import class_boxes
from autoseg.image.labels import Labels
from autoseg.run_folder.preprocessed_case import Foreground

VOXELS_PER_CLASS = 5000


def sample_foreground(
    label: NDArray[np.uint8], rng: np.random.Generator, labels: Labels, *, per_class: int = VOXELS_PER_CLASS
) -> Foreground:
    """Draw voxels of every foreground class or region, evenly over its connected components (26-neighbourhood).

    If a component has fewer voxels than its share, all of them are drawn, and the rest is shared among the other
    components. At least one voxel of every component is drawn, even if there are more components than `per_class`.
    The weight of a drawn voxel is the number of voxels of its component that it stands for. Where the label has ignored
    voxels, annotated ones are drawn too, with class 0.

    Args:
        label: class indices (z, y, x), 0 = background.
        rng: random generator for all draws.
        labels: classes and regions of the data set.
        per_class: maximum number of voxels of each class.
    """
    voxels, classes, lesions = [np.zeros((0, 3), np.int32)], [np.zeros(0, np.uint8)], [np.zeros(0, np.int32)]
    weights = [np.zeros(0, np.float32)]
    for index, box in enumerate(class_boxes(label, labels), start=1):
        if box is None:
            continue
        found, component, weight = _sample_class(labels.mask(label[box], index), rng, per_class)
        voxels.append((found + [part.start for part in box]).astype(np.int32))
        classes.append(np.full(len(found), index, np.uint8))
        lesions.append(component)
        weights.append(weight)
    if (annotated := labels.annotated(label)) is not None and not annotated.all():
        places = np.flatnonzero(annotated)
        drawn = places[rng.integers(len(places), size=min(per_class, len(places)))]
        voxels.append(np.stack(np.unravel_index(drawn, label.shape), axis=1).astype(np.int32))
        classes.append(np.zeros(len(drawn), np.uint8))
        lesions.append(np.zeros(len(drawn), np.int32))
        weights.append(np.full(len(drawn), len(places) / max(1, len(drawn)), np.float32))
    return Foreground(np.concatenate(voxels), np.concatenate(classes), np.concatenate(lesions), np.concatenate(weights))


def shares(sizes: NDArray[np.integer], total: int) -> NDArray[np.int64]:
    """Number of voxels to draw from each component, `total` altogether: equally many, as far as sizes allow."""
    given = np.zeros(len(sizes), dtype=np.int64)
    left = total
    # smallest first, so that the part that a small component cannot fill goes to all larger ones
    for rank, component in enumerate(np.argsort(sizes, kind="stable")):
        given[component] = min(int(sizes[component]), max(1, left // (len(sizes) - rank)))
        left -= int(given[component])
    return given


def _sample_class(
    mask: NDArray[np.bool_], rng: np.random.Generator, total: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Draw voxels (n, 3) from a mask (z, y, x); also returns the component (n,), from 0, and weight (n,) of each."""
    components, count = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26, return_N=True)
    positions = np.flatnonzero(components)
    member = components.ravel()[positions].astype(np.int64) - 1
    sizes = np.bincount(member, minlength=count)
    share = shares(sizes, total)
    # thin out large components before sorting, to save time; many more voxels than the share remain
    chance = (2 * share + 50) / sizes
    kept = rng.random(len(member), dtype=np.float32) < chance[member]
    positions, member = positions[kept], member[kept]
    order = rng.permutation(len(member))
    order = order[np.argsort(member[order], kind="stable")]
    positions, member = positions[order], member[order]
    rank = np.arange(len(member)) - np.searchsorted(member, member)
    chosen = rank < share[member]
    positions, member = positions[chosen], member[chosen]
    voxels = np.stack(np.unravel_index(positions, mask.shape), axis=1)
    weights = sizes / np.maximum(np.bincount(member, minlength=count), 1)
    return voxels, member.astype(np.int32), weights[member].astype(np.float32)
