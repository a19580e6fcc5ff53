"""The region of an image in which foreground can lie, as a box in coordinates of the body or of the image.

The planner learns it from the labels of the training cases. Images are cropped to it, in training and in prediction
alike; outside of it background is predicted. The ends of a body that reaches beyond the image are those of the image,
so that along such an axis, mostly z, the region is one of the field of view.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from autoseg.files import FileModel
from autoseg.image.geometry import Corners, Shape, Spacing

FOREIGN_FACTOR = 1.25
"""A field of view is unlike those of training where its frame is longer or shorter than all of theirs by this factor
along an axis."""

_Share = Annotated[float, Field(ge=-1, le=2)]
_Length = Annotated[float, Field(gt=0, le=100_000)]
Shares: TypeAlias = tuple[_Share, _Share, _Share]


class Region(FileModel):
    """A box along the axes (z, y, x), as shares of a frame: 0 is the frame's lower end, 1 its upper end.

    Args:
        frame: `body`: the bounding box of the body in the image; `image`: the whole image.
        lower, upper: ends of the region along (z, y, x), as shares of the frame; the region may reach beyond it.
        margin_mm: distance in mm by which the region is wider than these on each side.
        shortest_mm, longest_mm: lengths in mm of the shortest and longest frame of the training cases along (z, y, x).
    """

    frame: Literal["body", "image"]
    lower: Shares
    upper: Shares
    margin_mm: float = Field(ge=0, le=1_000)
    shortest_mm: tuple[_Length, _Length, _Length]
    longest_mm: tuple[_Length, _Length, _Length]

    @model_validator(mode="after")
    def _ends_ascend(self) -> Region:
        if any(a >= b for a, b in zip(self.lower, self.upper, strict=True)):
            raise ValueError("lower must be less than upper along every axis")
        if any(a > b for a, b in zip(self.shortest_mm, self.longest_mm, strict=True)):
            raise ValueError("shortest_mm must not exceed longest_mm")
        return self

    @property
    def text(self) -> str:
        """The region in words, such as `z 33% to 92%, y 1% to 80%, x 0% to 66% of the body, and 10 mm around it`."""
        ends = zip("zyx", self.lower, self.upper, strict=True)
        shares = ", ".join(f"{axis} {lower:.0%} to {upper:.0%}" for axis, lower, upper in ends)
        return f"{shares} of the {self.frame}, and {self.margin_mm:g} mm around it"

    def box(self, frame: Corners, shape: Shape, spacing: Spacing) -> Corners:
        """The region of an image in voxels; at least one voxel along each axis.

        Args:
            frame: the image's frame in voxels.
            shape: shape (z, y, x) of the image.
            spacing: spacing (z, y, x) of the image in mm.
        """
        ends = []
        for axis in range(3):
            start, length = frame[0][axis], frame[1][axis] - frame[0][axis]
            margin = self.margin_mm / spacing[axis]
            lower = math.floor(start + self.lower[axis] * length - margin)
            upper = math.ceil(start + self.upper[axis] * length + margin)
            lower = min(max(lower, 0), shape[axis] - 1)
            ends.append((lower, min(max(upper, lower + 1), shape[axis])))
        (z0, z1), (y0, y1), (x0, x1) = ends
        return (z0, y0, x0), (z1, y1, x1)

    def why_foreign(self, frame: Corners, spacing: Spacing) -> str | None:
        """Why a frame is unlike those of the training cases, in words; None where it is like them.

        Args:
            frame: the image's frame in voxels.
            spacing: spacing (z, y, x) of the image in mm.
        """
        what = "the body" if self.frame == "body" else "the image"
        for axis, name in enumerate("zyx"):
            length = (frame[1][axis] - frame[0][axis]) * spacing[axis]
            shortest, longest = self.shortest_mm[axis], self.longest_mm[axis]
            if not shortest / FOREIGN_FACTOR <= length <= longest * FOREIGN_FACTOR:
                return f"{what} is {length:.0f} mm long along {name}, in training {shortest:.0f} to {longest:.0f} mm"
        return None
