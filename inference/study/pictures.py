"""Draws the predictions of all cells for the same case side by side.

The panels have a row for each set of sequences and a column for each input dimension. Every panel shows the same
slice, on the first sequence that the cell sees, with the outlines of the reference and of the cell's prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from matplotlib.figure import Figure

from autoseg.chart_style import own_style
from autoseg.image.labels import Labels
from autoseg.metrics import CaseMetrics
from autoseg.plan.study_cells import Cell
from inference.compare import read_pair
from inference.report.background_image import Background
from inference.report.encode import drawn, png
from inference.report.pictures import chosen_cases, slice_of, zoom_box
from inference.report.plane import PLANES, Slice, extent_of, outline, scale_bar, show_plane
from inference.study.collect import CellRows

PANEL_HEIGHT = 2.1


@dataclass(frozen=True)
class CasePicture:
    """The picture of a case as all cells predicted it.

    Args:
        case: name of the case.
        place: "best", "median" or "worst" by mean Dice over all cells, or "only" where there is a single case.
        dice: mean Dice of the case over all cells and classes.
        caption: plane and number of the shown slice.
        source: the picture as a data URI.
    """

    case: str
    place: str
    dice: float
    caption: str
    source: str


@dataclass(frozen=True)
class Panel:
    """One cell's slice of a case, and the mean Dice of the whole case over its classes (None = undefined)."""

    shown: Slice
    dice: float | None


def side_by_side(
    collected: Sequence[CellRows], labels: Labels, backgrounds: Mapping[str, Background]
) -> list[CasePicture]:
    """Draw the best, the median and the worst case, as every cell predicted it.

    They are chosen among the cases with foreground that all cells with results have predicted. If there is no such
    case, they are chosen among all predicted cases with foreground.

    Args:
        collected: metrics of each cell.
        labels: label values of the classes.
        backgrounds: images by case name; a case without an image is drawn as outlines alone.
    """
    pictures = []
    for place, case, dice in chosen_cases(_eligible(collected)):
        panels = {}
        for of_cell in collected:
            if case in of_cell.pairs:
                pair, background = of_cell.pairs[case], backgrounds.get(case)
                images = read_pair(pair, labels)
                shown = slice_of(*images, labels, background, annotated_classes=pair.annotated)
                panels[of_cell.cell] = Panel(shown, _dice([row for row in of_cell.rows if row.case == case]))
        first = next(iter(panels.values())).shown
        caption = f"{PLANES[first.axis]}, slice {first.number[0]} of {first.number[1]}"
        pictures.append(CasePicture(case, place, dice, caption, png(draw_grid(panels))))
    return pictures


@own_style()
def draw_grid(panels: Mapping[Cell, Panel]) -> Figure:
    """Draw the panels of a case in a grid; the place of a cell that has not predicted the case stays empty."""
    labels = list(dict.fromkeys(cell.label for cell in panels))
    dimensions = list(dict.fromkeys(cell.dimension for cell in panels))
    slices = [panel.shown for panel in panels.values()]
    boxes = [zoom_box(shown) for shown in slices]
    # one box for all, so that the panels can be compared
    box = tuple(choose(of_cell[i] for of_cell in boxes) for i, choose in enumerate((min, max, min, max)))
    view = extent_of(slices[0], (box[0], box[1], box[2], box[3]))
    whole = extent_of(slices[0], (0, slices[0].reference.shape[0], 0, slices[0].reference.shape[1]))
    width = PANEL_HEIGHT * max(0.55, min(2.0, (view[1] - view[0]) / (view[2] - view[3])))
    size = (width * len(dimensions), (PANEL_HEIGHT + 0.2) * len(labels))
    figure = Figure(figsize=size, dpi=110, facecolor="black")
    grid = figure.subplots(len(labels), len(dimensions), squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for cell, panel in panels.items():
        axes = grid[labels.index(cell.label), dimensions.index(cell.dimension)]
        axes.set_axis_on()
        show_plane(axes, panel.shown, _channel(cell, panel.shown), whole, view)
        outline(axes, panel.shown)
        dice = "" if panel.dice is None else f"  {panel.dice:.3f}"
        axes.set_title(drawn(f"{cell.name}{dice}"), color="white", fontsize=7, pad=3)
    scale_bar(axes, view)
    figure.subplots_adjust(0.005, 0.005, 0.995, 1 - 0.2 / size[1], wspace=0.02, hspace=0.2 / PANEL_HEIGHT)
    return figure


def _channel(cell: Cell, shown: Slice) -> int:
    """Index of the first shown channel that the cell sees; 0 where it sees none of them."""
    return next((i for i, name in enumerate(shown.channels) if name in cell.sequences), 0)


def _eligible(collected: Sequence[CellRows]) -> list[CaseMetrics]:
    rows = [row for of_cell in collected for row in of_cell.rows]
    filled = {row.case for row in rows if not row.reference_empty}
    predicted = [of_cell.pairs for of_cell in collected if of_cell.rows]
    common = {case for case in filled if predicted and all(case in pairs for pairs in predicted)}
    return [row for row in rows if row.case in (common or filled)]


def _dice(rows: Sequence[CaseMetrics]) -> float | None:
    defined = [row.dice for row in rows if row.dice is not None]
    return mean(defined) if defined else None
