"""Writes predictions in the format that was asked for: label maps as their images, `.seg.nrrd`, or DICOM SEG.

A writer knows how its files are called, what it needs of an image, and how to write one. It is made before anything is
loaded, so that what cannot be written is refused first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.case import Case
from autoseg.errors import AutosegError, InputError
from autoseg.image.image import is_dicom, write_image
from autoseg.image.labels import Labels
from autoseg.image.segment_colours import Colour
from autoseg.image.writing.codes import code_table, told_defaults, told_unused
from autoseg.image.writing.dicom_seg import SegType, require_highdicom, told_labels
from autoseg.image.writing.label_files import LabelFiles, label_names
from autoseg.image.writing.seg_nrrd import write_seg_nrrd
from autoseg.image.writing.segments import NamedSegment, segments_of, value_colours
from autoseg.names import listed
from autoseg.plan.plan import Plan
from autoseg.results import LABEL_MAP, WrittenFile
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.whole_image.case_probabilities import CaseProbabilities
from autoseg.whole_image.export import label_image

SEG_NRRD = ".seg.nrrd"


@dataclass(frozen=True)
class OutputFormat:
    """The format that was asked for.

    Args:
        name: `seg.nrrd`, `dicom-seg`, or None for that of each image.
        seg_type: kind of a DICOM SEG.
        codes: table of coded concepts and colours, which comes before the default one.
    """

    name: Literal["seg.nrrd", "dicom-seg"] | None = None
    seg_type: SegType = "binary"
    codes: Path | None = None


class Writer(Protocol):
    """Writes predictions in one format."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person is told once, a sentence each."""

    @property
    def wants_probabilities(self) -> bool:
        """Whether `write` needs the probabilities."""

    @property
    def beside_ending(self) -> str:
        """Ending of probabilities and of label maps of single models; empty = that of the prediction."""

    def endings(self, case: Case) -> tuple[str, ...]:
        """What follows the case's name in the files of its prediction; the first is the prediction itself."""

    def begin(self) -> tuple[WrittenFile, ...]:
        """Write what is one for all predictions of the folder."""

    def require(self, case: Case) -> None:
        """Refuse an image whose prediction could not be written."""

    def write(
        self, case: str, target: Path, classes: NDArray[np.uint8], record: CaseRecord, members: Members
    ) -> tuple[WrittenFile, ...]:
        """Write a prediction.

        Args:
            case: name of the case.
            target: file that is written.
            classes: class indices (z, y, x) of the whole reoriented image.
            record: reorientation and geometry of the image.
            members: its probabilities, one for each configuration; may be empty where they are not wanted.

        Returns:
            The files that were written.
        """


Members = Sequence[CaseProbabilities]


def writer_for(
    wanted: OutputFormat, cases: Sequence[Case], output: Path, plan: Plan, ending: Callable[[Case], str]
) -> Writer:
    """Make the writer of a format.

    Args:
        wanted: format that was asked for.
        cases: cases that will be predicted.
        output: folder for the predictions.
        plan: plan of the run.
        ending: ending of a label map in the format of its image.

    Raises:
        InputError: the table of codes is malformed, the classes or images cannot be written in this format, or a file
            of the folder that is not autoseg's would be replaced.
    """
    segments = segments_for(wanted, plan)
    names = [one.name for one in segments]
    unused = () if wanted.codes is None else told_unused(wanted.codes, names)
    told = (*unused, *told_defaults(names, [one.code for one in segments]))
    if wanted.name is None:
        files = LabelFiles(output, label_names(plan.labels, segments))
        files.require_own()
        return LabelMapWriter(plan.labels, files, ending, unused)
    if wanted.name == "seg.nrrd":
        return SegNrrdWriter(plan.labels, segments, told)
    require_highdicom()
    if wanted.seg_type == "labelmap" and plan.labels.overlapping:
        raise InputError(
            "--seg-type labelmap: the classes are regions, which may overlap, and a label map holds one class a voxel; "
            "leave it out, for binary"
        )
    sources = {case.name: image for case in cases if (image := case.first_image) is not None}
    _require_dicom(sources)
    # the dictionary of codes takes long to import
    from inference.dicom_writer import DicomSegWriter

    return DicomSegWriter(plan.labels, segments, wanted.seg_type, sources, (*told, *told_labels(segments)))


def preview_colours(wanted: OutputFormat, plan: Plan) -> tuple[Colour, ...]:
    """Colour of each class index from 1 in previews: the one that the format states.

    Args:
        wanted: format that was asked for.
        plan: plan of the run.

    Raises:
        InputError: the table of codes is malformed.
    """
    return value_colours(plan.labels, segments_for(wanted, plan))


def segments_for(wanted: OutputFormat, plan: Plan) -> tuple[NamedSegment, ...]:
    """Name, colour and code of each class, as a table of codes that was given says, else the default one.

    Args:
        wanted: format that was asked for.
        plan: plan of the run.

    Raises:
        InputError: the table of codes is malformed.
    """
    return segments_of(plan.labels, code_table(wanted.codes), plan.lesions)


@dataclass(frozen=True)
class LabelMapWriter:
    """Writes a label map in the format of its image, and once the names and colours of its values."""

    labels: Labels
    files: LabelFiles
    ending: Callable[[Case], str]
    notes: tuple[str, ...] = ()
    wants_probabilities: bool = False
    beside_ending: str = ""

    def endings(self, case: Case) -> tuple[str, ...]:
        """The ending of the case's image, or of NIfTI."""
        return (self.ending(case),)

    def begin(self) -> tuple[WrittenFile, ...]:
        """Write `labels.json` and the label file of ITK-SNAP."""
        return tuple(WrittenFile("", "names and colours", file) for file in self.files.write())

    def require(self, case: Case) -> None:
        """Every image can be written."""

    def write(
        self, case: str, target: Path, classes: NDArray[np.uint8], record: CaseRecord, members: Members
    ) -> tuple[WrittenFile, ...]:
        """Write the label map in the data set's values."""
        write_image(target, label_image(classes, record, self.labels))
        return (WrittenFile(case, LABEL_MAP, target),)


@dataclass(frozen=True)
class SegNrrdWriter:
    """Writes a segmentation of 3D Slicer."""

    labels: Labels
    segments: tuple[NamedSegment, ...]
    notes: tuple[str, ...]
    wants_probabilities: bool = False
    beside_ending: str = ".nrrd"

    def endings(self, case: Case) -> tuple[str, ...]:
        """The ending by which 3D Slicer knows a segmentation."""
        return (SEG_NRRD,)

    def begin(self) -> tuple[WrittenFile, ...]:
        """Each file has its own names."""
        return ()

    def require(self, case: Case) -> None:
        """Every image can be written."""

    def write(
        self, case: str, target: Path, classes: NDArray[np.uint8], record: CaseRecord, members: Members
    ) -> tuple[WrittenFile, ...]:
        """Write named and coloured segments."""
        write_seg_nrrd(target, record.reorientation.undo(classes), record.stored, self.labels, self.segments)
        return (WrittenFile(case, LABEL_MAP, target),)


def _require_dicom(sources: dict[str, Path]) -> None:
    """Refuse images of other formats; one that cannot be read is told when its case is.

    Raises:
        InputError: an image is not DICOM.
    """
    others = []
    for name, image in sources.items():
        try:
            if not is_dicom(image):
                others.append(f"{name} ({image})")
        except (AutosegError, OSError):
            continue
    if others:
        raise InputError(
            f"--format dicom-seg refers to slices in DICOM, and these images are not: {listed(others)}; give their "
            "DICOM series, or leave --format out"
        )
