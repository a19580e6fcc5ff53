"""Applies the post-processing rule of each class to a predicted case.

Thresholds act on the probabilities, before the label map is made (`class_weights`). Components are removed from
the label map (`remove_components`). The voxels of a removed component get the most frequent class around it, so
that a false lesion leaves no hole in the organ in which it lay. Of regions, each one is thresholded and cleared of
components by itself, before the label map is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects

from autoseg.image.geometry import Spacing
from autoseg.image.labels import Labels
from autoseg.metrics.lesions import equivalent_diameters
from autoseg.run_folder.selection import ClassRule
from autoseg.whole_image.case_probabilities import CaseProbabilities
from autoseg.whole_image.mixture import Mixture, most_probable, region_mask

_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


def post_processed(
    members: Sequence[CaseProbabilities], rules: Sequence[ClassRule], labels: Labels
) -> NDArray[np.uint8]:
    """Class indices (z, y, x) of the whole reoriented image, post-processed.

    Each region is post-processed by itself, before the regions are written one over the other.

    Args:
        members: predictions of one image, one for each configuration, which are averaged.
        rules: one rule for each foreground class or region, in the order of `labels.foreground`.
        labels: classes and regions of the data set.
    """
    spacing = members[0].record.reoriented.spacing
    if not labels.overlapping:
        classes = most_probable(members, class_weights(rules))
        remove_components(classes, rules, spacing)
        return classes
    mixture = Mixture(members)

    def masks() -> Iterator[NDArray[np.bool_]]:
        for index, rule in enumerate(rules, start=1):
            mask = region_mask(mixture, index, rule.threshold).astype(np.uint8)
            remove_components(mask, [rule], spacing)
            yield mask > 0

    return labels.of_regions(masks())


def class_weights(rules: Sequence[ClassRule]) -> tuple[float, ...]:
    """Factor on the probability of each class, background first; the largest product then decides by the thresholds.

    Args:
        rules: one rule for each foreground class, in the order of the class indices.

    Examples:
        A threshold of 0.25 is a factor of 3: a class that has more than a quarter of the probability wins.

        >>> class_weights([ClassRule(name="lesion", threshold=0.25)])
        (1.0, 3.0)
    """
    return (1.0, *(rule.weight for rule in rules))


def remove_components(classes: NDArray[np.uint8], rules: Sequence[ClassRule], spacing: Spacing) -> None:
    """Remove, in place, the components that the rules do not keep.

    Args:
        classes: class indices (z, y, x), which are changed.
        rules: one rule for each foreground class, in the order of the class indices.
        spacing: voxel size in mm (z, y, x).

    Examples:
        A lesion of six voxels, and one of a single voxel inside an organ, whose class it gets.

        >>> import numpy as np
        >>> classes = np.array([[[2, 2, 0, 1, 1, 1], [2, 2, 0, 1, 2, 1], [2, 2, 0, 1, 1, 1]]], dtype=np.uint8)
        >>> rules = [ClassRule(name="organ"), ClassRule(name="lesion", largest_component=True)]
        >>> remove_components(classes, rules, spacing=(3.0, 1.0, 1.0))
        >>> classes
        array([[[2, 2, 0, 1, 1, 1],
                [2, 2, 0, 1, 1, 1],
                [2, 2, 0, 1, 1, 1]]], dtype=uint8)
    """
    if not any(rule.largest_component or rule.minimal_diameter_mm for rule in rules):
        return
    boxes = find_objects(classes, max_label=len(rules))
    for index, (rule, box) in enumerate(zip(rules, boxes, strict=True), start=1):
        if box is not None and (rule.largest_component or rule.minimal_diameter_mm):
            _remove_of_class(classes[_grown(box, classes.shape)], index, rule, spacing)


def kept_components(sizes: NDArray[np.int64], rule: ClassRule, spacing: Spacing) -> NDArray[np.bool_]:
    """Mask (component,) of the components that a rule keeps.

    Args:
        sizes: (component,) number of voxels of each component.
        rule: rule of the components' class.
        spacing: voxel size in mm (z, y, x).
    """
    kept = equivalent_diameters(sizes * float(np.prod(spacing)) / 1000) >= rule.minimal_diameter_mm
    if rule.largest_component and sizes.size:
        # of several largest components the first is kept
        kept &= np.arange(sizes.size) == sizes.argmax()
    return kept


def _remove_of_class(classes: NDArray[np.uint8], index: int, rule: ClassRule, spacing: Spacing) -> None:
    """Remove, in place, components of class `index` from a crop of the label map with a margin of one voxel."""
    parts, count = cc3d.connected_components(np.ascontiguousarray(classes == index), connectivity=26, return_N=True)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    kept = kept_components(sizes, rule, spacing)
    boxes = find_objects(parts)
    for part in np.flatnonzero(~kept):
        box = _grown(boxes[part], classes.shape)
        own = parts[box] == part + 1
        around = classes[box][binary_dilation(own, _NEIGHBOURS) & ~own]
        classes[box][own] = np.bincount(around).argmax() if around.size else 0


def _grown(box: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The box with a margin of one voxel, clipped to an array of the given shape."""
    return tuple(slice(max(part.start - 1, 0), min(part.stop + 1, n)) for part, n in zip(box, shape, strict=True))
