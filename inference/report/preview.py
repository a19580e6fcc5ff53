"""Draws a preview of a prediction: three planes through its largest finding, with the outlines of the classes.

The planes are shown as in the report (`plane`): axial and coronal ones with the patient's right on the left,
sagittal ones with anterior on the left; voxels are as wide and high as they are in mm. Where nothing is found, the
planes go through the middle of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autoseg.chart_style import own_style
from autoseg.files import replaced_when_done
from autoseg.image.flat.kind import has_no_place
from autoseg.image.geometry import Geometry, Reorientation, flat_axis, to_canonical
from autoseg.image.image import Image
from autoseg.image.labels import Labels
from autoseg.image.segment_colours import Colour, colour_of, written_colour
from inference.report.encode import drawn, png_bytes
from inference.report.plane import (
    Slice,
    contours,
    extent_of,
    mark_directions,
    scale_bar,
    show_plane,
    upright,
)

MOST_NAMED = 8
"""So many classes are named below the picture, those with most voxels in the image first."""


@dataclass(frozen=True)
class _Colours:
    """Colours of class indices from 1, which may be fewer than the classes."""

    given: Sequence[Colour]

    def of(self, index: int) -> str:
        """Colour of a class index as text, such as `#E69F00`."""
        return written_colour(self.given[index - 1] if index <= len(self.given) else colour_of(index))


def write_preview(
    path: Path,
    case: str,
    image: Image | None,
    classes: NDArray[np.uint8],
    grid: Geometry,
    labels: Labels,
    place: tuple[int, int, int] | None,
    *,
    stored: Geometry | None = None,
    colours: Sequence[Colour] = (),
) -> None:
    """Draw a case and write it as PNG, atomically.

    Args:
        path: PNG file to write; an existing one is replaced.
        case: name of the case.
        image: image (channel, z, y, x) on the stored grid, of which the first channel is shown; None = outlines alone.
        classes: predicted class indices (z, y, x) on `grid`.
        grid: geometry of the reoriented image.
        labels: classes and regions of the data set.
        place: voxel (z, y, x) of `grid` through which the planes go; None = the middle.
        stored: geometry of the image as its file stores it, by which slices are counted; None = `grid`.
        colours: colour of each class index from 1; those that are left out have the colours of the palette.
    """
    turn = to_canonical(grid)
    shown = turn.apply(classes)
    middle = grid.shape[0] // 2, grid.shape[1] // 2, grid.shape[2] // 2
    along = turn.permutation
    at = [(place or middle)[axis] for axis in along]
    at = [n - 1 - i if flip else i for i, n, flip in zip(at, shown.shape, turn.flips, strict=True)]
    voxels = None if image is None else to_canonical(image.geometry).apply(image.array[0])
    # an image of one slice is shown whole
    flat = flat_axis(shown.shape)
    axes = range(3) if flat is None else (flat,)
    as_stored = to_canonical(stored or grid)
    slices = [_slice(shown, voxels, turn.apply_to_geometry(grid), axis, at[axis], as_stored) for axis in axes]
    with replaced_when_done(path) as temporary:
        temporary.write_bytes(png_bytes(_draw(case, slices, shown, labels, _Colours(colours))))


def _slice(
    classes: NDArray[np.uint8], voxels: NDArray | None, geometry: Geometry, axis: int, index: int, turn: Reorientation
) -> Slice:
    """The slice of canonical arrays (z, y, x) across an axis; `turn` made them of the stored ones."""
    rows, columns = (geometry.spacing[a] for a in range(3) if a != axis)
    plane = upright(np.take(classes, index, axis), axis)
    image = None if voxels is None else upright(np.take(voxels, index, axis), axis)[None].astype(np.float32)
    return Slice(
        image=image,
        channels=() if voxels is None else ("image",),
        reference=np.zeros_like(plane),
        prediction=plane,
        spacing=(rows, columns),
        axis=axis,
        number=(turn.slice_before(axis, index, geometry.shape[axis]) + 1, geometry.shape[axis]),
        has_place=not has_no_place(geometry),
    )


@own_style()
def _draw(case: str, slices: Sequence[Slice], classes: NDArray[np.uint8], labels: Labels, colours: _Colours) -> Figure:
    views = [extent_of(one, (0, one.prediction.shape[0], 0, one.prediction.shape[1])) for one in slices]
    height = 4.0
    widths = [max(0.3, min(3.0, (view[1] - view[0]) / (view[2] - view[3]))) for view in views]
    figure = Figure(figsize=(height * sum(widths), height + 0.7), dpi=110, facecolor="black")
    panels = figure.subplots(1, len(slices), width_ratios=widths, squeeze=False)[0]
    figure.subplots_adjust(0.005, 0.09, 0.995, 0.86, wspace=0.02)
    for panel, one, view in zip(panels, slices, views, strict=True):
        show_plane(panel, one, 0, view, view)
        contours(panel, one.prediction, one.spacing, colours.of, 1.1)
        panel.set_title(one.caption, color="white", fontsize=8, pad=3)
        if one.has_place:
            mark_directions(panel, one.axis)
        scale_bar(panel, view)
    figure.suptitle(drawn(case), color="white", fontsize=10, y=0.98)
    _name_classes(figure, classes, labels, colours)
    return figure


def _name_classes(figure: Figure, classes: NDArray[np.uint8], labels: Labels, colours: _Colours) -> None:
    """Write the names of the classes below the planes, each in its colour."""
    counts = np.bincount(classes.ravel(), minlength=labels.classes)[: labels.classes]
    there = [int(i) for i in np.argsort(-counts, kind="stable") if i > 0 and counts[i]]
    if not there:
        figure.text(0.5, 0.03, "nothing found", color="white", fontsize=8, ha="center")
        return
    named = sorted(there[:MOST_NAMED])
    for place, index in enumerate(named):
        name = drawn(_names_of(labels, index))
        figure.text((place + 0.5) / len(named), 0.03, name, color=colours.of(index), fontsize=8, ha="center")


def _names_of(labels: Labels, index: int) -> str:
    """Name of a class; of a value of regions the names of the regions that hold it."""
    if not labels.regions:
        return labels.names[index]
    return " + ".join(
        region.name for region, members in zip(labels.regions, labels.members, strict=True) if index in members
    )
