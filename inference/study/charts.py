"""Draws the charts of a study: box plots and heat maps of the cells, and curves of how well lesions are found."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autoseg.chart_style import own_style
from autoseg.metrics import BIN_EDGES_MM, Lesion
from inference.report.charts import INK, MOST_COLOURS, horizontal_boxes, plain_axes
from inference.report.encode import drawn
from inference.study.collect import CellRows
from inference.study.results import StudyResults
from inference.study.tables import with_mean_of_classes

MOST_CLASSES = 6
"""Maximum number of classes that get box plots; the mean of the classes counts as one."""

HEAT_METRICS = ("dice", "sensitivity", "precision")
_STYLES = {"2d": ":", "2.5d": "--", "3d": "-", "3d_lowres": "-."}


@own_style()
def box_plots(results: StudyResults, metric: str = "dice") -> Figure:
    """Box plots of a metric over the cases, one box for each set of sequences.

    The panels have a row for each class and a column for each input dimension.
    """
    frame = with_mean_of_classes(results.frame, [metric])
    classes, labels, dimensions = results.classes[:MOST_CLASSES], results.labels, results.dimensions
    height = 0.75 + 0.36 * len(labels)
    figure = Figure(figsize=(9.6, 0.2 + height * len(classes)))
    panels = figure.subplots(len(classes), len(dimensions), sharex=True, sharey=True, squeeze=False)
    for row, class_name in zip(panels, classes, strict=True):
        for panel, dimension in zip(row, dimensions, strict=True):
            part = frame[(frame["class"] == class_name) & (frame["dimension"] == dimension)]
            values = [part.loc[part["sequences"] == label, metric].dropna().tolist() for label in labels]
            horizontal_boxes(panel, values)
            panel.set_title(drawn(f"{dimension}, {class_name}"), fontsize=10, color=INK, loc="left", fontweight="bold")
            panel.set_yticks(range(len(labels)), [drawn(label) for label in labels])
            panel.set_ylim(len(labels) - 0.4, -0.6)
            panel.set_xlim(-0.02, 1.02)
    for panel in panels[-1]:
        panel.set_xlabel(metric.capitalize(), fontsize=9, color=INK)
    figure.tight_layout()
    return figure


@own_style()
def heat_map(results: StudyResults, metrics: Sequence[str] = HEAT_METRICS) -> Figure:
    """Heat maps of the main class, one panel for each metric; rows are sets of sequences, columns input dimensions."""
    labels, dimensions = results.labels, results.dimensions
    figure = Figure(figsize=(9.6, 0.9 + 0.62 * len(labels)))
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        grid = [[results.figure(label, dimension, metric) for dimension in dimensions] for label in labels]
        means = np.array([[np.nan if f.mean is None else f.mean for f in row] for row in grid])
        known = means[np.isfinite(means)]
        # each panel has its own colour range, so that differences are visible
        low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
        panel.imshow(means, cmap="YlGnBu", vmin=low - 1e-6, vmax=high + 1e-6, aspect="auto")
        for y, row in enumerate(grid):
            for x, figure_of in enumerate(row):
                if figure_of.mean is None:
                    continue
                dark = high > low and (figure_of.mean - low) / (high - low) > 0.6
                text = f"{figure_of.mean:.3f}" + ("" if figure_of.sd is None else f"\n± {figure_of.sd:.3f}")
                panel.text(x, y, text, ha="center", va="center", fontsize=8, color="white" if dark else INK)
        panel.set_xticks(range(len(dimensions)), list(dimensions))
        panel.set_yticks(range(len(labels)), [drawn(label) for label in labels])
        panel.set_title(metric, fontsize=10, color=INK, loc="left", fontweight="bold")
        panel.tick_params(labelsize=8.5, colors=INK, length=0)
        for spine in panel.spines.values():
            spine.set_visible(False)
    figure.tight_layout()
    return figure


@own_style()
def lesion_curves(collected: Sequence[CellRows]) -> Figure | None:
    """Charts of the share of lesions found by size, and of the share of lesions with at least a given Dice.

    Each cell has one line: its colour stands for the set of sequences, its line style for the input dimension. All
    classes are taken together. None where there are no lesions.
    """
    lesions = {c.cell: [x for row in c.rows for x in row.lesions.lesions] for c in collected if c.rows}
    lesions = {cell: found for cell, found in lesions.items() if found}
    if not lesions:
        return None
    labels = list(dict.fromkeys(cell.label for cell in lesions))
    figure = Figure(figsize=(9.6, 4.2))
    by_size, by_dice = figure.subplots(1, 2)
    for cell, of_cell in lesions.items():
        colour = colormaps["tab10"](labels.index(cell.label) % MOST_COLOURS)
        style = _STYLES[cell.dimension]
        shares = [_share_found(in_bin) for in_bin in _by_size(of_cell)]
        places = [i for i, share in enumerate(shares) if share is not None]
        found = [share for share in shares if share is not None]
        by_size.plot(places, found, style, marker="o", ms=3.5, color=colour, lw=1.4, label=drawn(cell.name))
        dice = np.sort([lesion.dice for lesion in of_cell])
        at_least = np.linspace(0.01, 1, 100)
        by_dice.plot(at_least, 1 - np.searchsorted(dice, at_least) / len(dice), style, color=colour, lw=1.4)
    most = [max(len(bins) for bins in of_bin) for of_bin in zip(*map(_by_size, lesions.values()), strict=True)]
    _label(by_size, "Lesions found, by size", "equivalent diameter", "share found")
    by_size.set_xticks(range(len(most)), [f"{t}\nn = {n}" for t, n in zip(_bin_names(), most, strict=True)])
    _label(by_dice, "Lesions outlined at least so well", "Dice of the lesion, at least", "share of lesions")
    by_size.legend(fontsize=7.5, frameon=False, ncols=2 if len(lesions) > 8 else 1)
    figure.tight_layout()
    return figure


def _label(panel: Axes, title: str, x: str, y: str) -> None:
    plain_axes(panel)
    panel.set_title(title, fontsize=10, color=INK, loc="left", fontweight="bold")
    panel.set_xlabel(x, fontsize=9, color=INK)
    panel.set_ylabel(y, fontsize=9, color=INK)
    panel.set_ylim(-0.03, 1.03)


def _by_size(lesions: Sequence[Lesion]) -> list[list[Lesion]]:
    return [[x for x in lesions if low <= x.diameter_mm < high] for low, high in pairwise(BIN_EDGES_MM)]


def _share_found(lesions: Sequence[Lesion]) -> float | None:
    return sum(lesion.found for lesion in lesions) / len(lesions) if lesions else None


def _bin_names() -> list[str]:
    return [
        f"< {high:g} mm" if low == 0 else f"≥ {low:g} mm" if high == float("inf") else f"{low:g}–{high:g} mm"
        for low, high in pairwise(BIN_EDGES_MM)
    ]
