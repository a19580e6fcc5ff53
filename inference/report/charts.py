"""Draws the charts of the report: box plots of metrics, Dice against size, training curves, detection of lesions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from autoseg.chart_style import own_style
from autoseg.metrics import BIN_EDGES_MM, CaseMetrics, by_class
from autoseg.run_folder.lesion_scores import FrocPoint
from autoseg.run_folder.selection import Selection
from inference.lesion_scores.froc import sensitivity_at
from inference.report.encode import drawn
from inference.report.run_facts import FoldLog

INK, GRID, POINTS = "#1d2a33", "#e3e8eb", "#0f766e"
_BOXES = (
    ("dice", "Dice", 1.0),
    ("surface_dice", "surface Dice", 1.0),
    ("hd95_mm", "HD95, mm", 1.0),
    ("volume_error_relative", "volume error, % of the reference", 100.0),
)
FROC_FROM, FROC_TO = 0.125, 8.0
"""False ones a case between which FROC is drawn, as in LUNA16."""

MOST_COLOURS = 10
MOST_DOTS = 2_500
"""More dots of one chart are drawn as an image: as shapes they would make a page that no browser likes."""


@own_style()
def box_plots(rows: Sequence[CaseMetrics]) -> Figure:
    """Box plots of four metrics over the cases, one box for each class; whiskers reach 1.5 interquartile ranges."""
    classes = by_class(rows)
    figure = Figure(figsize=(9.6, 2 * (1.0 + 0.34 * len(classes))))
    panels = figure.subplots(2, 2, sharey=True).ravel()
    for panel, (metric, title, factor) in zip(panels, _BOXES, strict=True):
        values = [[factor * v for r in c if (v := getattr(r, metric)) is not None] for c in classes.values()]
        horizontal_boxes(panel, values)
        panel.set_title(title, fontsize=10, color=INK, loc="left", fontweight="bold")
        panel.set_yticks(range(len(classes)), list(classes))
        panel.set_ylim(len(classes) - 0.4, -0.6)
        if metric.endswith("dice"):
            panel.set_xlim(-0.02, 1.02)
        elif metric == "hd95_mm":
            panel.set_xlim(left=-0.03 * max((max(v) for v in values if v), default=1.0))
        else:
            panel.axvline(0, color=INK, lw=0.8)
    figure.tight_layout()
    return figure


@own_style()
def dice_by_size(rows: Sequence[CaseMetrics]) -> Figure:
    """Chart of the Dice of every case and class against its reference volume.

    Where some case has several components of a class, a second chart shows the Dice of every lesion against its
    diameter.
    """
    several = any(len(row.lesions.lesions) > 1 for row in rows)
    figure = Figure(figsize=(9.6, 3.9))
    panels = figure.subplots(1, 2 if several else 1, squeeze=False)[0]
    colours = class_colours(rows)
    many = sum(max(1, len(row.lesions.lesions)) for row in rows) > MOST_DOTS
    for name, of_class in by_class(rows).items():
        seen = [row for row in of_class if row.reference_ml > 0]
        _points(panels[0], [r.reference_ml for r in seen], [r.dice or 0.0 for r in seen], colours[name], name, many)
        if several:
            lesions = [lesion for row in of_class for lesion in row.lesions.lesions]
            _points(panels[1], [x.diameter_mm for x in lesions], [x.dice for x in lesions], colours[name], name, many)
    _size_axis(panels[0], "volume in the reference, ml", "Each case and class")
    if several:
        _size_axis(panels[1], "equivalent diameter of the lesion, mm", "Each lesion (0 = missed)")
        for edge in BIN_EDGES_MM[1:-1]:
            panels[1].axvline(edge, color=GRID, lw=1.2, zorder=0)
    if len(colours) <= MOST_COLOURS:
        panels[-1].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), handletextpad=0.2)
    figure.tight_layout()
    return figure


@own_style()
def training_curves(logs: Mapping[int, FoldLog]) -> Figure:
    """Chart of loss, training Dice (thin line) and validation Dice (dots) of each fold against the training step."""
    figure = Figure(figsize=(9.6, 3.2))
    many = sum(len(log.step) for log in logs.values()) > MOST_DOTS
    loss, dice = figure.subplots(1, 2)
    for fold, log in logs.items():
        colour = colormaps["tab10"](fold % 10)
        loss.plot(log.step, log.loss, color=colour, lw=1.3, label=f"fold {fold}")
        dice.plot(log.step, log.train_dice, color=colour, lw=0.9, alpha=0.55)
        measured = [(step, value) for step, value in zip(log.step, log.val_dice, strict=True) if value is not None]
        dice.plot([s for s, _ in measured], [v for _, v in measured], "o-", ms=3, lw=1.3, color=colour, rasterized=many)
    for panel, title in ((loss, "loss"), (dice, "Dice")):
        plain_axes(panel)
        panel.set_title(title, fontsize=10, color=INK, loc="left", fontweight="bold")
        panel.set_xlabel("training step", fontsize=9, color=INK)
    dice.set_ylim(0, 1)
    loss.legend(fontsize=8, frameon=False)
    figure.tight_layout()
    return figure


@own_style()
def lesion_curves(selection: Selection) -> Figure:
    """Chart of FROC by threshold and by score, and the reliability diagram of the scores, for each class of lesions."""
    figure = Figure(figsize=(9.6, 3.9))
    found, trusted = figure.subplots(1, 2)
    names = list(dict.fromkeys((*selection.froc, *(one.name for one in selection.lesion_scores))))
    colours = {name: colormaps["tab10"](i % 10) for i, name in enumerate(names)}
    for name, points in selection.froc.items():
        _froc_line(found, points, f"{name}: threshold", color=colours[name], marker="o", ms=3, lw=1.3)
    for scores in selection.lesion_scores:
        colour = colours[scores.name]
        _froc_line(found, scores.froc, f"{scores.name}: score", color=colour, lw=1.8)
        mean = scores.froc_of_mean_probability
        _froc_line(found, mean, f"{scores.name}: mean probability", color=colour, lw=1.1, ls=":")
        bins = [one for one in scores.reliability if one.score is not None]
        trusted.plot([b.score for b in bins], [b.real for b in bins], "o-", color=colour, ms=4, lw=1.3)
        for one in bins:
            trusted.annotate(
                f"{one.n}", (one.score, one.real), fontsize=7.5, xytext=(5, -9), textcoords="offset points"
            )
    plain_axes(found)
    found.set_xscale("log")
    found.set_xlim(FROC_FROM, FROC_TO)
    found.set_ylim(0, 1.03)
    found.xaxis.set_major_locator(LogLocator(base=2, subs=(1.0,)))
    found.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    found.xaxis.set_minor_formatter(NullFormatter())
    found.set_xlabel("false ones a case", fontsize=9, color=INK)
    found.set_ylabel("share of lesions found", fontsize=9, color=INK)
    found.set_title("FROC", fontsize=10, color=INK, loc="left", fontweight="bold")
    found.legend(fontsize=7.5, frameon=False, loc="lower right")
    plain_axes(trusted)
    trusted.plot([0, 1], [0, 1], color="#9aa7ae", lw=0.9, zorder=0)
    trusted.set(xlim=(0, 1.03), ylim=(0, 1.03))
    trusted.set_xlabel("mean score", fontsize=9, color=INK)
    trusted.set_ylabel("share that is real", fontsize=9, color=INK)
    trusted.set_title("Scores: with how many beside", fontsize=10, color=INK, loc="left", fontweight="bold")
    figure.tight_layout()
    return figure


def _froc_line(panel: Axes, points: Sequence[FrocPoint], label: str, **style: Any) -> None:
    """Draw the most lesions that are found with at most so many false ones, as steps."""
    inside = sorted({FROC_FROM, *(p.false_per_case for p in points if FROC_FROM < p.false_per_case <= FROC_TO)})
    reached = [(x, sensitivity_at(points, x)) for x in inside]
    # a curve begins where its first point has few enough false ones
    shown = [(x, sensitivity) for x, sensitivity in reached if sensitivity is not None]
    panel.plot([x for x, _ in shown], [y for _, y in shown], drawstyle="steps-post", label=drawn(label), **style)


def class_colours(rows: Sequence[CaseMetrics]) -> dict[str, tuple[float, ...] | str]:
    """Colour of each class; all classes share one colour where there are more than `MOST_COLOURS`."""
    names = list(by_class(rows))
    if len(names) > MOST_COLOURS:
        return dict.fromkeys(names, POINTS)
    return {name: colormaps["tab10"](i) for i, name in enumerate(names)}


def horizontal_boxes(panel: Axes, values: Sequence[Sequence[float]]) -> None:
    """Draw a horizontal box and the single values as dots for each group; group i is at height i."""
    plain_axes(panel, grid="x")
    random = np.random.default_rng(0)
    many = sum(map(len, values)) > MOST_DOTS
    for place, of_class in enumerate(values):
        if not of_class:
            continue
        heights = place + random.uniform(-0.17, 0.17, len(of_class))
        panel.plot(of_class, heights, "o", color=POINTS, ms=2.8, alpha=0.45, mew=0, zorder=3, rasterized=many)
        panel.boxplot(
            [of_class],
            positions=[place],
            orientation="horizontal",
            widths=0.55,
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": "#d7ece9", "edgecolor": INK, "lw": 0.9},
            medianprops={"color": INK, "lw": 1.8},
            whiskerprops={"color": INK, "lw": 0.9},
            capprops={"color": INK, "lw": 0.9},
        )


def _points(panel: Axes, x: Sequence[float], y: Sequence[float], colour: object, name: str, many: bool) -> None:
    panel.plot(x, y, "o", color=colour, ms=4, alpha=0.65, mew=0, label=drawn(name), clip_on=False, rasterized=many)


def _size_axis(panel: Axes, label: str, title: str) -> None:
    plain_axes(panel)
    panel.set_xscale("log")
    panel.set_ylim(-0.03, 1.03)
    panel.set_xlabel(label, fontsize=9, color=INK)
    panel.set_ylabel("Dice", fontsize=9, color=INK)
    panel.set_title(title, fontsize=10, color=INK, loc="left", fontweight="bold")
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def plain_axes(panel: Axes, grid: Literal["both", "x", "y"] = "both") -> None:
    """Style axes without frame and ticks, on a pale grid."""
    panel.grid(True, axis=grid, color=GRID, lw=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(which="both", labelsize=8.5, colors=INK, length=0)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color("#9aa7ae")
