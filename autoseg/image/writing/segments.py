"""What is written of each class beside its voxels: name, number, value, colour and coded concept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from autoseg.image.labels import Labels
from autoseg.image.segment_colours import Colour, colour_of
from autoseg.image.writing.codes import ClassCode, CodeTable


@dataclass(frozen=True)
class NamedSegment:
    """A foreground class, or a region where the data set has regions.

    Args:
        name: its name in the data set.
        number: its position in `Labels.foreground`, from 1.
        value: its value in label maps; of a region, that of voxels where it is the last one that holds them.
        colour: its colour in viewers: red, green and blue, each from 0 to 255.
        code: coded concepts by which DICOM names it: category and type.
        lesion: whether the plan says that it is of lesions.
    """

    name: str
    number: int
    value: int
    colour: Colour
    code: ClassCode
    lesion: bool = False


def segments_of(labels: Labels, codes: CodeTable, lesions: Collection[str] = ()) -> tuple[NamedSegment, ...]:
    """The segments of a data set, in the order of `labels.foreground`.

    Args:
        labels: classes and regions of the data set.
        codes: tables of codes, which may give colours too.
        lesions: names of the classes that are of lesions.
    """
    values = tuple(region.value for region in labels.regions) or labels.values[1:]
    found = []
    for number, (name, value) in enumerate(zip(labels.foreground, values, strict=True), start=1):
        lesion = name in lesions
        code = codes.of(name, lesion=lesion)
        found.append(NamedSegment(name, number, value, code.colour or colour_of(number), code, lesion))
    return tuple(found)


def value_colours(labels: Labels, segments: Sequence[NamedSegment]) -> tuple[Colour, ...]:
    """Colour of each value of label maps but the background, in the order of `labels.values[1:]`.

    Args:
        labels: classes and regions of the data set.
        segments: what is written of each of them, from `segments_of`.
    """
    # with regions, a value has the colour of the region that writes it
    colours = {segment.value: segment.colour for segment in segments}
    return tuple(colours.get(value, colour_of(number)) for number, value in enumerate(labels.values[1:], start=1))
