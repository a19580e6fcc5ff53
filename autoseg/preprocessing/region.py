"""Finds the part of a loaded image that is prepared for the network: the plan's region, where it has one."""

from __future__ import annotations

from dataclasses import dataclass

from autoseg.dataset.load import LoadedCase
from autoseg.image.geometry import Corners, overlap
from autoseg.plan.region import Region
from autoseg.preprocessing.body import body_box


@dataclass(frozen=True)
class Part:
    """The part of an image that is prepared.

    Args:
        box: the part in voxels (z, y, x) of the loaded image.
        why_whole: why it is the whole image although the plan has a region, in words; None where that is not so.
    """

    box: Corners
    why_whole: str | None = None


def part_of(loaded: LoadedCase, region: Region | None) -> Part:
    """The part of an image that is prepared, in training and in prediction alike.

    Args:
        loaded: the image, its axes (z, y, x) in the plan's orientation.
        region: region of the plan; None = whole images.
    """
    geometry = loaded.geometry
    whole: Corners = ((0, 0, 0), geometry.shape)
    if region is None:
        return Part(whole)
    frame = body_box(loaded.image, loaded.present) if region.frame == "body" else whole
    if why := region.why_foreign(frame, geometry.spacing):
        return Part(whole, why)
    return Part(region.box(frame, geometry.shape, geometry.spacing))


def cropped(nonzero: Corners, part: Part) -> Corners:
    """What a part has in common with the box around the non-zero voxels; that box where they have nothing in common.

    Args:
        nonzero: box around the non-zero voxels, in voxels (z, y, x).
        part: part of the same image.
    """
    return overlap(nonzero, part.box) or nonzero
