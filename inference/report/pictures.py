"""Draws the best, median and worst case: outlines of reference and prediction on one slice.

The slice is the one that holds most of the reference. It lies across the coarsest axis, so in the plane in which the
images were acquired. It is shown as radiologists read it: axial and coronal slices have the patient's right on the
left, sagittal ones have anterior on the left; anterior is up in axial slices, superior is up in the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from autoseg.chart_style import own_style
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses, not_annotated
from autoseg.image.flat.kind import has_no_place
from autoseg.image.geometry import Geometry, Shape, flat_axis, to_canonical
from autoseg.image.image import Image
from autoseg.image.labels import Labels
from autoseg.metrics import CaseMetrics, by_case
from inference.compare import Pair, read_pair
from inference.report.background_image import Background
from inference.report.encode import drawn, png
from inference.report.plane import (
    Slice,
    extent_of,
    mark_directions,
    outline,
    scale_bar,
    show_plane,
    upright,
)

MOST_CHANNELS = 3
_ISOTROPIC = 1.5
_MARGIN_MM = 12.0
_FOCUS_MM = 35.0
_WORTH_A_ZOOM = 0.6


@dataclass(frozen=True)
class Picture:
    """The picture of a case.

    Args:
        case: name of the case.
        place: "best", "median" or "worst", or "only" where there is a single case.
        dice: mean Dice of the case over its classes.
        caption: plane and number of the shown slice.
        rows: metrics of the case, one row for each class.
        source: the picture as a data URI.
    """

    case: str
    place: str
    dice: float
    caption: str
    rows: tuple[CaseMetrics, ...]
    source: str


def chosen_pictures(
    rows: Sequence[CaseMetrics], pairs: Mapping[str, Pair], labels: Labels, backgrounds: Mapping[str, Background]
) -> list[Picture]:
    """Draw the best, the median and the worst case by mean Dice over their classes.

    Args:
        rows: metrics of all cases.
        pairs: files of reference and prediction, by case name.
        labels: label values of the classes.
        backgrounds: images by case name; a case without an image is drawn as outlines alone.
    """
    pictures = []
    for place, case, dice in chosen_cases(rows):
        pair = pairs[case]
        shown = slice_of(*read_pair(pair, labels), labels, backgrounds.get(case), annotated_classes=pair.annotated)
        of_case = tuple(row for row in rows if row.case == case)
        pictures.append(Picture(case, place, dice, shown.caption, of_case, png(draw(shown))))
    return pictures


def chosen_cases(rows: Sequence[CaseMetrics]) -> list[tuple[str, str, float]]:
    """Place, name and mean Dice of the best, median and worst case; fewer entries for fewer than three cases."""
    defined = {case: [r.dice for r in of_case if r.dice is not None] for case, of_case in by_case(rows).items()}
    ranked = sorted(((mean(d), case) for case, d in defined.items() if d), key=lambda pair: (-pair[0], pair[1]))
    if not ranked:
        return []
    places = {0: "best", (len(ranked) - 1) // 2: "median", len(ranked) - 1: "worst"}
    if len(ranked) == 2:
        places = {0: "best", 1: "worst"}
    if len(ranked) == 1:
        places = {0: "only"}
    return [(place, ranked[i][1], ranked[i][0]) for i, place in places.items()]


def slice_of(
    reference: Image,
    prediction: Image,
    labels: Labels,
    background: Background | None,
    through: tuple[float, float, float] | None = None,
    annotated_classes: AnnotatedClasses = EVERY,
) -> Slice:
    """The slice through a place, or else the fullest one: of the reference or, where that is empty, of the prediction.

    Args:
        reference: reference label map (1, z, y, x).
        prediction: predicted label map on the same grid.
        labels: label values of the classes.
        background: image of the case; None = no image.
        through: place (x, y, z) in mm in the patient's coordinates (LPS); None = the fullest slice.
        annotated_classes: classes that were looked for in the reference; of others the prediction is not shown.
    """
    turn = to_canonical(reference.geometry)
    geometry = turn.apply_to_geometry(reference.geometry)
    truth, guess = (turn.apply(labels.to_classes(image.array[0])) for image in (reference, prediction))
    if (annotated := labels.annotated(truth)) is not None:
        # where nothing is annotated, nothing is wrong
        truth, guess = truth * annotated, guess * annotated
    if unknown := not_annotated(labels, annotated_classes):
        guess = np.where(np.isin(guess, unknown), 0, guess)
    axis = slice_axis(geometry)
    others = tuple(a for a in range(3) if a != axis)
    place = None if through is None else _voxel_at(geometry, through)
    index = fullest_slice(truth if truth.any() else guess, axis) if place is None else int(place[axis])
    image, channels = background.read(reference.geometry, axis, index) if background else (None, ())
    spacing = geometry.spacing[others[0]], geometry.spacing[others[1]]
    return Slice(
        image=None if image is None else upright(image[:MOST_CHANNELS], axis),
        channels=channels[:MOST_CHANNELS],
        reference=upright(np.take(truth, index, axis), axis),
        prediction=upright(np.take(guess, index, axis), axis),
        spacing=spacing,
        axis=axis,
        number=(turn.slice_before(axis, index, geometry.shape[axis]) + 1, geometry.shape[axis]),
        focus=None if place is None else _focus(place, axis, geometry.shape),
        has_place=not has_no_place(reference.geometry),
    )


def _voxel_at(geometry: Geometry, place_mm: tuple[float, float, float]) -> NDArray[np.int64]:
    """The voxel (z, y, x) nearest to a place (x, y, z) in mm; of a place outside the image one at its border."""
    return np.clip(np.rint(geometry.to_index(np.array(place_mm))), 0, np.array(geometry.shape) - 1).astype(np.int64)


def _focus(place: NDArray[np.int64], axis: int, shape: Shape) -> tuple[int, int]:
    """Row and column, in a slice as it is shown, of a voxel (z, y, x)."""
    row, column = (int(place[a]) for a in range(3) if a != axis)
    rows = next(shape[a] for a in range(3) if a != axis)
    return (row if axis == 0 else rows - 1 - row), column


def fullest_slice(classes: NDArray[np.uint8], axis: int) -> int:
    """Index of the slice across `axis` that holds most of the foreground of `classes` (z, y, x).

    Each class counts with the share of its voxels that lies in the slice, so that a large organ does not outweigh
    small lesions. With one class it is the slice with most foreground voxels.
    """
    others = tuple(a for a in range(3) if a != axis)
    shares = np.zeros(classes.shape[axis])
    for index in np.unique(classes[classes > 0]):
        voxels = np.count_nonzero(classes == index, axis=others)
        shares += voxels / voxels.sum()
    return int(shares.argmax())


def slice_axis(geometry: Geometry) -> int:
    """The axis of a single voxel, else the one whose spacing is clearly coarsest; 0 (z) if no axis is."""
    if (flat := flat_axis(geometry.shape)) is not None:
        return flat
    coarsest = int(np.argmax(geometry.spacing))
    return coarsest if geometry.spacing[coarsest] > _ISOTROPIC * sorted(geometry.spacing)[1] else 0


@own_style()
def draw(shown: Slice) -> Figure:
    """Draw panels side by side: the position in the whole image, the image alone, every channel with outlines."""
    box = zoom_box(shown)
    whole = extent_of(shown, (0, shown.reference.shape[0], 0, shown.reference.shape[1]))
    close = extent_of(shown, box)
    located = _area(close) < _WORTH_A_ZOOM * _area(whole) and shown.image is not None
    channels: tuple[str | None, ...] = shown.channels or (None,)
    titles = [*(["Where"] if located else []), *([shown.channels[0]] if shown.image is not None else [])]
    views = [whole] * located + [close] * (len(titles) - located + len(channels))
    height = 3.3
    widths = [max(0.55, min(2.0, (v[1] - v[0]) / (v[2] - v[3]))) for v in views]
    figure = Figure(figsize=(height * sum(widths), height), dpi=140, facecolor="black")
    panels = figure.subplots(1, len(views), width_ratios=widths, squeeze=False)[0]
    figure.subplots_adjust(0.005, 0.01, 0.995, 0.93, wspace=0.02)
    for i, (panel, view) in enumerate(zip(panels, views, strict=True)):
        outlined = i - len(titles)
        channel = max(outlined, 0)
        show_plane(panel, shown, channel, whole, view)
        if outlined >= 0:
            outline(panel, shown)
            title = f"{channels[channel]}, outlined" if channels[channel] else "outlines"
        else:
            title = titles[i]
        if located and i == 0:
            left, right, bottom, top = close
            panel.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color="white", lw=0.9))
        panel.set_title(drawn(title), color="white", fontsize=8, pad=3)
    if shown.has_place:
        mark_directions(panels[0], shown.axis)
    scale_bar(panels[-1], views[-1])
    return figure


def zoom_box(shown: Slice) -> tuple[int, int, int, int]:
    """Box around the focus or all foreground with a margin: first row, end row, first column, end column."""
    if shown.focus is not None:
        lengths = zip(shown.focus, shown.reference.shape, shown.spacing, strict=True)
        around = [(max(0, int(at - _FOCUS_MM / mm)), min(n, int(at + _FOCUS_MM / mm) + 1)) for at, n, mm in lengths]
        return around[0][0], around[0][1], around[1][0], around[1][1]
    foreground = (shown.reference > 0) | (shown.prediction > 0)
    box: list[int] = []
    for axis, (length, mm) in enumerate(zip(foreground.shape, shown.spacing, strict=True)):
        hit = np.flatnonzero(foreground.any(axis=1 - axis))
        first, end = (int(hit[0]), int(hit[-1]) + 1) if hit.size else (0, length)
        margin = max(_MARGIN_MM / mm, 0.2 * (end - first))
        box += [max(0, int(first - margin)), min(length, int(np.ceil(end + margin)))]
    return box[0], box[1], box[2], box[3]


def _area(extent: tuple[float, float, float, float]) -> float:
    return (extent[1] - extent[0]) * (extent[2] - extent[3])
