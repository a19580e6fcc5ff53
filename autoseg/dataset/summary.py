"""Prints a table of how autoseg has read a data set, so that a person sees a mistake at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from autoseg.dataset.case import Dataset
from autoseg.dataset.check import Check
from autoseg.image.annotated_classes import EVERY
from autoseg.image.geometry import to_canonical
from autoseg.image.labels import IGNORE
from autoseg.terminal import styled

_SHOWN_VALUES = 12
_LAYOUTS = {"nnunet": "nnU-Net v2", "decathlon": "Medical Segmentation Decathlon", "table": "cases.csv"}


def print_summary(dataset: Dataset, check: Check, console: Console) -> None:
    """Print cases, channels, labels, spacings, shapes, orientations, sequences present and strata, then warnings."""
    table = Table(title=f"Data set {dataset.name}", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, text in summary_rows(dataset, check):
        table.add_row(name, text)
    console.print(table)
    for warning in check.warnings:
        console.print(styled("yellow", "Warning: ", warning))


def summary_rows(dataset: Dataset, check: Check) -> list[tuple[str, str]]:
    """Rows of the summary, each with the name of a property and its value as text."""
    patients = {case.patient for case in dataset.cases if case.patient is not None}
    # all cases are turned to one axis order, otherwise the ranges would mix axes
    turned = [to_canonical(case.geometry).apply_to_geometry(case.geometry) for case in check.cases]
    rows = [
        ("layout", f"{_LAYOUTS.get(dataset.layout, dataset.layout)}, files {dataset.file_ending}"),
        ("cases", f"{len(dataset.cases)}" + (f" of {len(patients)} patients" if patients else "")),
        ("channels", _channels(dataset)),
        ("labels", _labels(dataset, check)),
        ("spacing", _range([geometry.spacing for geometry in turned], "mm")),
        ("shape", _range([geometry.shape for geometry in turned], "voxels")),
        (
            "orientations",
            _counted(case.geometry.orientation() for case in check.cases) + " (stored z, y, x grow towards)",
        ),
        ("sequences present", _sequences(dataset)),
    ]
    if dataset.left_out:
        rows.append(("left out", "\n".join(dataset.left_out)))
    for column in dict.fromkeys(column for case in dataset.cases for column in case.strata):
        rows.append((column, _counted(case.strata.get(column) or "(empty)" for case in dataset.cases)))
    return rows


def _channels(dataset: Dataset) -> str:
    named = [f"{name} (CT)" if ct else name for name, ct in zip(dataset.channels, dataset.ct, strict=True)]
    return "\n".join(f"{i}: {name}" for i, name in enumerate(named))


def _labels(dataset: Dataset, check: Check) -> str:
    lines = []
    for value, name in zip(dataset.labels.values, dataset.labels.names, strict=True):
        having = sum(case.voxels.get(name, 0) > 0 for case in check.cases)
        unknown = sum(case.annotated != EVERY and name not in case.annotated for case in dataset.cases)
        told = f", in {having} cases" + (f"; not annotated in {unknown}" if unknown else "")
        lines.append(f"{value}: {name}" + ("" if value == dataset.labels.values[0] else told))
    of_region = {region: ", ".join(map(str, region.values)) for region in dataset.labels.regions}
    lines += [f"region {region.name}: {values}; written as {region.value}" for region, values in of_region.items()]
    if dataset.labels.ignore is not None:
        having = sum(case.voxels.get(IGNORE, 0) > 0 for case in check.cases)
        voxels = [sum(case.voxels.values()) for case in check.cases]
        share = sum(case.voxels.get(IGNORE, 0) for case in check.cases) / max(1, sum(voxels))
        lines.append(
            f"{dataset.labels.ignore}: {IGNORE}, in {having} cases; {share:.1%} of all voxels are not annotated"
        )
    return "\n".join(lines)


def _sequences(dataset: Dataset) -> str:
    total = len(dataset.cases)
    present = [sum(case.present[i] for case in dataset.cases) for i in range(len(dataset.channels))]
    if all(count == total for count in present):
        return "all in every case"
    lines = [f"{name}: {count} of {total}" for name, count in zip(dataset.channels, present, strict=True)]
    complete = sum(all(case.present) for case in dataset.cases)
    return "\n".join([*lines, f"all: {complete} of {total}"])


def _range(triples: Sequence[tuple[float, float, float]], unit: str) -> str:
    """Text with the smallest and the largest value along each axis, (z, y, x)."""
    parts = []
    for values in zip(*triples, strict=True):
        low, high = f"{min(values):.4g}", f"{max(values):.4g}"
        parts.append(low if low == high else f"{low} to {high}")
    return f"{' × '.join(parts)} {unit} (z × y × x, turned to LPS)"


def _counted(values: Iterable[str]) -> str:
    counts = Counter(values).most_common()
    shown = ", ".join(f"{value}: {count}" for value, count in counts[:_SHOWN_VALUES])
    return shown + (f" and {len(counts) - _SHOWN_VALUES} more" if len(counts) > _SHOWN_VALUES else "")
