"""Finds the part of a loaded image that is prepared for the network: the plan's region, where it has one."""

from __future__ import annotations

from autoseg.dataset.load import LoadedCase
from autoseg.plan.region import Box, Region, overlap
from autoseg.preprocessing.body import body_box


def frame_of(loaded: LoadedCase, region: Region) -> Box:
    """The frame in voxels (z, y, x) that a region's shares refer to in an image."""
    return body_box(loaded.image, loaded.present) if region.frame == "body" else ((0, 0, 0), loaded.geometry.shape)


def region_box(loaded: LoadedCase, region: Region) -> Box:
    """The region of an image in voxels (z, y, x)."""
    return region.box(frame_of(loaded, region), loaded.geometry.shape, loaded.geometry.spacing)


def why_whole(loaded: LoadedCase, region: Region) -> str | None:
    """Why the region cannot be found in an image, so that the whole image is predicted; None where it can."""
    return region.why_foreign(frame_of(loaded, region), loaded.geometry.spacing)


def cropped(nonzero: Box, loaded: LoadedCase, region: Region | None) -> Box:
    """The part of an image's non-zero box that lies in the region; the whole box where nothing of it does.

    Args:
        nonzero: box around the non-zero voxels (z, y, x).
        loaded: the image.
        region: region of the plan; None = whole images.
    """
    if region is None:
        return nonzero
    return overlap(nonzero, region_box(loaded, region)) or nonzero
