"""Checks the values of a label map: whole numbers that the data set declares, and few of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from autoseg.dataset.dataset_json import FILE_NAME
from autoseg.dataset.findings import Findings
from autoseg.image.flat.kind import is_picture
from autoseg.image.labels import IGNORE, Labels
from autoseg.image.whole_numbers import written

_SHOWN = 8
_WHITE = 255.0
MOST_VALUES = 1000
"""A label map of more different values is an image, or was interpolated."""


def check_values(path: Path, counts: Mapping[float, int], labels: Labels, findings: Findings) -> None:
    """Tell what is wrong or unusual about the values of a label map.

    Args:
        path: file of the label map.
        counts: number of voxels of each value.
        labels: labels whose values may occur.
        findings: list to which problems and warnings are added.
    """
    if image := looks_like_image(counts):
        findings.problem(f"label {path}: {image}")
        return
    fractional = [value for value in counts if not float(value).is_integer()]
    undeclared = [value for value in counts if float(value).is_integer() and value not in labels.file_values]
    if fractional:
        voxels = sum(counts[value] for value in fractional)
        findings.problem(
            f"label {path}: fractional values {_listed(fractional)} in {voxels} voxels; a label map holds whole "
            "numbers (was it resampled with interpolation?)"
        )
    if undeclared:
        named = zip(labels.file_values, (*labels.names, IGNORE), strict=False)
        declared = ", ".join(f"{value} ({name})" for value, name in named)
        found = ", ".join(f"{written(value)} ({counts[value]} voxels)" for value in undeclared[:_SHOWN])
        more = f" and {len(undeclared) - _SHOWN} more" if len(undeclared) > _SHOWN else ""
        cure = _cure(path, undeclared, labels)
        findings.problem(f"label {path}: label value not declared: {found}{more}; declared are {declared}; {cure}")
    if not fractional and not undeclared:
        _tell_emptiness(path, counts, labels, findings)


def looks_like_image(values: Iterable[float]) -> str:
    """What is said of a label map with far more values than there are classes; empty for others."""
    different = set(values)
    if len(different) <= MOST_VALUES:
        return ""
    smooth = "" if all(float(value).is_integer() for value in different) else " Or was the label interpolated?"
    return (
        f"it holds {len(different):,} different values and looks like an image. Are image and label exchanged in this "
        f"case?{smooth}"
    )


def _tell_emptiness(path: Path, counts: Mapping[float, int], labels: Labels, findings: Findings) -> None:
    if set(counts) <= {labels.values[0]}:
        findings.warn(f"label {path} is empty: background only")
    elif set(counts) == {labels.ignore}:
        findings.problem(f"label {path}: every voxel is {labels.ignore} ({IGNORE}), so none is annotated; leave it out")
    elif set(counts) <= {labels.values[0], labels.ignore}:
        annotated = counts[labels.values[0]] / sum(counts.values())
        findings.warn(f"label {path} is empty: of the {annotated:.1%} that are annotated, all is background")


def _cure(path: Path, undeclared: list[float], labels: Labels) -> str:
    """What to do with values that are not declared; most programs save masks with 0 and 255."""
    if _WHITE in undeclared and len(undeclared) > 1 and is_picture(path):
        return "a mask of more values than it has classes was resized, smoothed or saved as JPEG: export it anew"
    if undeclared == [_WHITE] and (is_picture(path) or len(labels.values) == 2):
        name = labels.names[-1]
        return (
            f'if 255 is {name}, declare it so in {FILE_NAME} ("{name}": 255), or save the masks with '
            f"{labels.values[-1]}"
        )
    return f"declare a class of this value in {FILE_NAME}, or correct the label map"


def _listed(values: list[float]) -> str:
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(written(value) for value in values[:_SHOWN]) + more
