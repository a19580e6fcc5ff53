"""Draws the first suspects: the slice through each, with the outlines of annotation and prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoseg.image.labels import Labels
from inference.compare import Pair, read_pair
from inference.report.background_image import Background
from inference.report.encode import png
from inference.report.pictures import draw, slice_of
from inference.suspects.table import Line

MOST_PICTURES = 12


@dataclass(frozen=True)
class SuspectPicture:
    """A suspect and its picture.

    Args:
        line: line of `suspects.csv` that the picture shows.
        caption: plane and number of the shown slice.
        source: the picture as a data URI.
    """

    line: Line
    caption: str
    source: str


def suspect_pictures(
    lines: Sequence[Line], pairs: Mapping[str, Pair], labels: Labels, backgrounds: Mapping[str, Background]
) -> list[SuspectPicture]:
    """Draw the first suspects of cases that are still there.

    Args:
        lines: suspects, the most suspicious first.
        pairs: files of reference and prediction, by case name.
        labels: label values of the classes.
        backgrounds: images by case name; a case without an image is drawn as outlines alone.
    """
    first = [line for line in lines if line.case in pairs][:MOST_PICTURES]
    drawn: dict[int, SuspectPicture] = {}
    # case by case, since reading a case takes longest
    for case in dict.fromkeys(line.case for line in first):
        reference, prediction = read_pair(pairs[case], labels)
        for place, line in enumerate(first):
            if line.case == case:
                shown = slice_of(reference, prediction, labels, backgrounds.get(case), through=line.place_mm)
                drawn[place] = SuspectPicture(line, shown.caption, png(draw(shown)))
    return [drawn[place] for place in sorted(drawn)]
