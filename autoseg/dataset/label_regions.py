"""Regions of a `dataset.json`: labels that are sets of values, and the order in which they are written.

nnU-Net writes the regions of a prediction one over the other, in the order in which they are declared; each gets its
value of the field `regions_class_order`. Where a data set lacks this field, which nnU-Net refuses, the order follows
from inclusion: larger regions first, and each region gets the value that none of the regions inside of it has. The
order is taken only if it gives every label back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoseg.image.labels import LabelRegion, Labels

ORDER = "regions_class_order"

Regions = Mapping[str, tuple[int, ...]]
"""Values of each region, by name, in the order of the file."""


def region_problems(regions: Regions, order: Sequence[int] | None) -> list[tuple[tuple[str, ...], str]]:
    """What is wrong with the regions of a data set: each the field and a sentence.

    Args:
        regions: values of each region.
        order: value that each region gets, as the file gives it; None = not given.
    """
    found: list[tuple[tuple[str, ...], str]] = []
    names: dict[tuple[int, ...], str] = {}
    for name, values in regions.items():
        if 0 in values:
            found.append((("labels", name), "0 is the background's value; leave it out of the region"))
        if (same := names.setdefault(values, name)) != name:
            found.append((("labels", name), f"holds the same values as {same}; leave one of them out"))
    every = {value for of_region in regions.values() for value in of_region}
    if found:
        return found
    if order is None:
        return _why_no_order(regions)
    if len(order) != len(regions):
        found.append(
            ((ORDER,), f"{len(order)} values for {len(regions)} regions ({', '.join(regions)}); give each one")
        )
    if unknown := [value for value in order if value not in every]:
        found.append(((ORDER,), f"{', '.join(map(str, unknown))} is the value of no region"))
    return found


def labels_with_regions(regions: Regions, order: Sequence[int] | None, background: str, ignore: int | None) -> Labels:
    """The labels of a data set with regions that has no problem.

    Args:
        regions: values of each region.
        order: value that each region gets, in the order of the regions; None = both follow from inclusion.
        background: name of the background.
        ignore: value of the voxels that are not annotated; None = there are none.
    """
    single = {values[0]: name for name, values in regions.items() if len(values) == 1}
    values = sorted({value for of_region in regions.values() for value in of_region})
    return Labels(
        values=(0, *values),
        names=(background, *(single.get(value, _unused(f"label {value}", regions)) for value in values)),
        regions=_by_inclusion(regions) if order is None else _as_given(regions, order),
        ignore=ignore,
    )


def _unused(name: str, regions: Regions) -> str:
    """A name for a value that no region has."""
    return _unused(f"{name} alone", regions) if name in regions else name


def _as_given(regions: Regions, order: Sequence[int]) -> tuple[LabelRegion, ...]:
    return tuple(
        LabelRegion(name=name, values=values, value=value)
        for (name, values), value in zip(regions.items(), order, strict=True)
    )


def _by_inclusion(regions: Regions) -> tuple[LabelRegion, ...]:
    """Regions with larger ones first, each with its smallest value that no region inside of it has."""
    found = []
    for name, values in sorted(regions.items(), key=lambda region: -len(region[1])):
        inside = {value for other in regions.values() if set(other) < set(values) for value in other}
        own = [value for value in values if value not in inside]
        found.append(LabelRegion(name=name, values=values, value=min(own or values)))
    return tuple(found)


def _why_no_order(regions: Regions) -> list[tuple[tuple[str, ...], str]]:
    """A sentence where the order by inclusion does not give the labels back."""
    derived = _by_inclusion(regions)
    values = sorted({value for region in derived for value in region.values})
    lost = Labels(values=(0, *values), names=("", *map(str, values)), regions=derived).lost()
    if not lost:
        return []
    told = "; ".join(
        f"label {value} would come out as label {other}, because no region is label {value} alone"
        for value, other in lost.items()
    )
    named = ", ".join(f'"{region.name}"' for region in derived)
    return [
        (
            ("labels",),
            f"{told}. If that is meant, list the regions in the order "
            f'{named} and add "{ORDER}": {[region.value for region in derived]}; else declare a region for each of '
            "these labels",
        )
    ]
