"""Draws one plane of an image as radiologists read it: in grey, with outlines, directions and a scale.

Axial and coronal planes have the patient's right on the left, sagittal ones have anterior on the left; anterior is up
in axial planes, superior is up in the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

REFERENCE_COLOUR = "#35c8ff"
PREDICTION_COLOUR = "#ff9a1f"
PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True)
class Slice:
    """One slice to draw; arrays are (row, column), from the upper left corner.

    Args:
        image: (channel, row, column), NaN where the image is unknown; None where there is no image.
        channels: names of the image's channels.
        reference: class indices (row, column) of the reference.
        prediction: class indices (row, column) of the prediction.
        spacing: distance between rows and between columns, in mm.
        axis: canonical axis across the slice (0 = z, 1 = y, 2 = x).
        number: number of the slice as the file counts along its own axis, from 1, and the number of slices.
        focus: row and column that is looked at; None = all outlines are.
        has_place: whether left and right, front and back, head and feet are known; they are not in pictures.
    """

    image: NDArray[np.float32] | None
    channels: tuple[str, ...]
    reference: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    spacing: tuple[float, float]
    axis: int
    number: tuple[int, int]
    focus: tuple[int, int] | None = None
    has_place: bool = True

    @property
    def caption(self) -> str:
        """Plane and number of the slice."""
        if not self.has_place:
            return "the whole picture"
        return f"{PLANES[self.axis]}, slice {self.number[0]} of {self.number[1]}"


def upright(plane: NDArray, axis: int) -> NDArray:
    """Flip coronal and sagittal planes so that superior is up; axial planes have anterior up already."""
    return plane if axis == 0 else plane[..., ::-1, :]


def extent_of(shown: Slice, box: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    """Left, right, bottom and top, in mm, of a box that `zoom_box` returns."""
    rows, columns = shown.spacing
    return box[2] * columns, box[3] * columns, box[1] * rows, box[0] * rows


def show_plane(
    panel: Axes,
    shown: Slice,
    channel: int,
    whole: tuple[float, float, float, float],
    view: tuple[float, float, float, float],
) -> None:
    """Draw one channel in grey.

    Args:
        panel: axes to draw into.
        shown: image slice with its reference and predicted outlines.
        channel: index of the channel.
        whole: extent of the whole slice: left, right, bottom, top in mm.
        view: extent of the part that the panel shows, in the same order.
    """
    panel.set_facecolor("black")
    if shown.image is not None:
        plane = shown.image[channel]
        known = plane[np.isfinite(plane)]
        low, high = np.percentile(known, (1, 99.5)) if known.size else (0, 1)
        panel.imshow(plane, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), extent=whole, interpolation="bilinear")
    panel.set(xlim=view[:2], ylim=view[2:], xticks=[], yticks=[], aspect="equal")
    for spine in panel.spines.values():
        spine.set_visible(False)


def outline(panel: Axes, shown: Slice) -> None:
    """Draw the outlines of reference and prediction."""
    # the line of the reference is wider, so that it stays visible where both outlines agree
    contours(panel, shown.reference, shown.spacing, lambda _: REFERENCE_COLOUR, 2.0)
    contours(panel, shown.prediction, shown.spacing, lambda _: PREDICTION_COLOUR, 0.9)


def contours(
    panel: Axes,
    labels: NDArray[np.uint8],
    spacing: tuple[float, float],
    colour_of: Callable[[int], str | tuple[float, ...]],
    width: float,
) -> None:
    """Draw the outline of each class.

    Args:
        panel: axes to draw into.
        labels: class indices (row, column).
        spacing: distance between rows and between columns, in mm.
        colour_of: gives the colour of a class index.
        width: width of the lines in points.
    """
    # a margin closes the outlines of objects that touch the edge of the slice
    y, x = ((np.arange(n + 2) - 0.5) * mm for n, mm in zip(labels.shape, spacing, strict=True))
    for index in np.unique(labels[labels > 0]).tolist():
        mask = np.pad(labels == index, 1).astype(float)
        panel.contour(x, y, mask, levels=[0.5], colors=[colour_of(index)], linewidths=width)


def mark_directions(panel: Axes, axis: int) -> None:
    """Write the directions (R, A or S) at the left and upper edge of a panel, as on a film."""
    left, top = (("R", "A"), ("R", "S"), ("A", "S"))[axis]
    where = panel.transAxes
    panel.text(0.015, 0.5, left, va="center", ha="left", color="white", fontsize=7, transform=where)
    panel.text(0.5, 0.985, top, va="top", ha="center", color="white", fontsize=7, transform=where)


def scale_bar(panel: Axes, view: tuple[float, float, float, float]) -> None:
    """Draw a scale bar of a round length in mm, at most a third of the panel's width."""
    width = view[1] - view[0]
    length = max((mm for mm in (1, 2, 5, 10, 20, 50, 100) if mm <= width / 3), default=1)
    right, bottom = view[1] - 0.04 * width, view[2] - 0.04 * (view[2] - view[3])
    panel.plot([right - length, right], [bottom, bottom], color="white", lw=1.6, solid_capstyle="butt")
    panel.text(
        right - length / 2, bottom - 0.015 * (view[2] - view[3]), f"{length} mm", color="white", fontsize=7, ha="center"
    )
