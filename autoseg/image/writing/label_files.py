"""Writes names and colours of a folder of label maps: `labels.json`, and a label file of ITK-SNAP.

Both hold for all label maps of the folder. A file that is there and is not autoseg's, or is of other classes, is never
replaced.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from autoseg.disk.text_files import MIB, TextRefused, read_bounded
from autoseg.errors import InputError
from autoseg.files import FileModel, write_text
from autoseg.image.labels import Labels
from autoseg.image.segment_colours import written_colour
from autoseg.image.writing.seg_nrrd import segment_name
from autoseg.image.writing.segments import NamedSegment, value_colours

LABELS_FILE = "labels.json"
ITK_SNAP_FILE = "labels_itksnap.txt"

_MADE_BY = "# Written by autoseg for the label maps of this folder"
_MOST_BYTES = MIB
# ITK-SNAP holds labels in two bytes
_LARGEST_IN_ITK_SNAP = 65_535
_RULE = "#" * 48


class NamedValue(FileModel):
    """A value of a label map.

    Args:
        value: value of the voxels.
        name: name of the class.
        colour: its colour, such as `#E69F00`.
    """

    value: int
    name: str
    colour: str


class NamedRegion(FileModel):
    """A region of a data set with regions.

    Args:
        name: name of the region.
        values: values of the voxels that belong to it.
        value: value of voxels where it is the last region that holds them.
        colour: its colour, such as `#E69F00`.
    """

    name: str
    values: tuple[int, ...]
    value: int
    colour: str


class LabelNames(FileModel):
    """`labels.json`.

    Args:
        written_by: the program that wrote it.
        background: value of the voxels of no class.
        labels: values of the label maps.
        regions: regions, which consist of values and may overlap; empty where the data set has none.
    """

    written_by: Literal["autoseg"] = "autoseg"
    schema_version: Literal[1] = 1
    background: int
    labels: tuple[NamedValue, ...]
    regions: tuple[NamedRegion, ...] = ()

    def names_the_same(self, other: LabelNames) -> bool:
        """Whether both name the same values alike; colours do not count."""
        return self._uncoloured() == other._uncoloured()

    def _uncoloured(self) -> object:
        values = [(one.value, one.name) for one in self.labels]
        return self.background, values, [(one.name, one.values, one.value) for one in self.regions]


def label_names(labels: Labels, segments: Sequence[NamedSegment]) -> LabelNames:
    """The names and colours of the values of a data set's label maps.

    Args:
        labels: classes and regions of the data set.
        segments: what is written of each of them, from `segments_of`.
    """
    named = zip(labels.values[1:], labels.names[1:], value_colours(labels, segments), strict=True)
    return LabelNames(
        background=labels.values[0],
        labels=tuple(
            NamedValue(value=value, name=name, colour=written_colour(colour)) for value, name, colour in named
        ),
        regions=tuple(
            NamedRegion(
                name=region.name, values=region.values, value=region.value, colour=written_colour(segment.colour)
            )
            for region, segment in zip(labels.regions, segments if labels.regions else (), strict=True)
        ),
    )


@dataclass(frozen=True)
class LabelFiles:
    """Both files of a folder.

    Args:
        folder: folder of label maps.
        names: names and colours of their values.
    """

    folder: Path
    names: LabelNames

    def require_own(self) -> None:
        """Refuse to replace a file that is not of these classes.

        Raises:
            InputError: `labels.json` or the label file of ITK-SNAP is there, and is not autoseg's or of other classes.
        """
        path = self.folder / LABELS_FILE
        if (content := _content(path)) is not None:
            try:
                found = LabelNames.model_validate_json(content)
            except ValidationError:
                raise InputError(f"{path}: is not written by autoseg; move it away, it is not replaced") from None
            if not found.names_the_same(self.names):
                raise InputError(f"{path}: names other classes than these models predict; predict into another folder")
        path = self.folder / ITK_SNAP_FILE
        if (content := _content(path)) is not None and _MADE_BY.encode() not in content.splitlines():
            raise InputError(f"{path}: is not written by autoseg; move it away, it is not replaced")

    def write(self) -> tuple[Path, Path]:
        """Write both files, atomically, and return their paths.

        Raises:
            InputError: in the cases of `require_own`.
        """
        self.require_own()
        fields = self.names.model_dump(mode="json")
        if not self.names.regions:
            del fields["regions"]
        names, itk_snap = self.folder / LABELS_FILE, self.folder / ITK_SNAP_FILE
        write_text(names, json.dumps(fields, indent=1, ensure_ascii=False) + "\n")
        write_text(itk_snap, _itk_snap(self.names))
        return names, itk_snap


def _content(path: Path) -> bytes | None:
    """What a file holds; None where there is none."""
    try:
        return read_bounded(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    except (TextRefused, OSError) as error:
        why = str(error) if isinstance(error, TextRefused) else f"cannot be read ({error.strerror})"
        raise InputError(f"{path}: {why}; move it away, it is not replaced") from None


def _itk_snap(names: LabelNames) -> str:
    """The label file: index, red, green, blue, opacity, whether it is seen in slices and in 3D, and the name."""
    lines = [
        *(_RULE, "# ITK-SnAP Label Description File", _MADE_BY),
        *("# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL", _RULE),
        '    0     0    0    0        0  0  0    "Clear Label"',
    ]
    for one in names.labels:
        if not 1 <= one.value <= _LARGEST_IN_ITK_SNAP:
            bound = "below 1" if one.value < 1 else f"over {_LARGEST_IN_ITK_SNAP}"
            lines.append(f"# left out: ITK-SNAP has no class of a value {bound}, such as {one.value}")
            continue
        red, green, blue = (int(one.colour[i : i + 2], 16) for i in (1, 3, 5))
        # the format has no sign that escapes a quotation mark
        name = segment_name(one.name).replace('"', "'")
        lines.append(f'{one.value:5d} {red:5d} {green:4d} {blue:4d}        1  1  1    "{name}"')
    return "\n".join(lines) + "\n"
