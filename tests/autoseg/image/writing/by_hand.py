"""Series whose voxels are the classes, and segmentations of them, read by pydicom element by element."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from autoseg.image.image import read_image
from autoseg.image.labels import Labels
from autoseg.image.writing.codes import code_table
from autoseg.image.writing.dicom_report import Measured, make_report
from autoseg.image.writing.dicom_seg import Made, make_seg, save
from autoseg.image.writing.dicom_sources import read_source
from autoseg.image.writing.segments import NamedSegment, segments_of
from tests.autoseg.image.dicom import write, write_seg

LABELS = Labels(values=(0, 5, 700), names=("background", "liver", "tumour"))
# the first slice has no class, and the second lacks one
CLASSES = np.random.default_rng(1).integers(0, 3, (4, 5, 7)).astype(np.int16)
CLASSES[0], CLASSES[1][CLASSES[1] == 2] = 0, 1


def slices(orientation: Sequence[float], voxels: np.ndarray = CLASSES) -> list[write.Slice]:
    return [one.with_elements(**write_seg._PATIENT) for one in write.stack(voxels, orientation)]


def shuffled(folder: Path, orientation: Sequence[float] = write.AXIAL) -> Path:
    """A series of which neither file names nor instance numbers tell the order."""
    ordered = slices(orientation)
    return write.series(folder, [ordered[i] for i in (2, 0, 3, 1)])


def multi_frame(path: Path, ordered: Sequence[write.Slice], **others: object) -> Path:
    """A file of many frames, of a patient and in a space, which `write.multi_frame` leaves out."""
    dataset = dcmread(write.multi_frame(path, ordered, **others))  # type: ignore[arg-type]
    for keyword, value in write_seg._PATIENT.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


def made(image: Path, kind: str = "binary", labels: Labels = LABELS) -> tuple[Made, tuple[NamedSegment, ...]]:
    """A segmentation of the classes that the voxels of an image are, as autoseg reads them."""
    classes = read_image(image).array[0].astype(np.uint8)
    segments = segments_of(labels, code_table(), ("tumour",))
    probabilities = np.stack([np.where(labels.mask(classes, i), np.float32(0.2 * i), 0) for i in (1, 2)], axis=-1)
    return make_seg(read_source(image), classes, labels, segments, kind, "1.2", probabilities), segments  # type: ignore[arg-type]


def write_both(folder: Path, image: Path, kind: str = "binary") -> tuple[Path, Path]:
    """A segmentation, and its report, as files."""
    seg, segments = made(image, kind)
    report = make_report(read_source(image), seg, segments, [Measured(1.5, None), Measured(0.25, 3)], "1.2")
    save(folder / "seg.dcm", seg.dataset)
    save(folder / "report.dcm", report)
    return folder / "seg.dcm", folder / "report.dcm"


@dataclass(frozen=True)
class ReadFrame:
    """A frame of a segmentation: number of its segment, voxels (y, x), place, and what it refers to."""

    segment: int
    voxels: np.ndarray
    position: list[float]
    orientation: list[float]
    spacing: list[float]
    instance: str
    frame: int | None


def frames_of(path: Path) -> Iterator[ReadFrame]:
    """Frames, unpacked by hand: bits follow each other over the borders of frames, the lowest first."""
    dataset = dcmread(path)
    bits = dataset.BitsAllocated
    raw = np.frombuffer(dataset.PixelData, np.uint8)
    values = np.unpackbits(raw, bitorder="little") if bits == 1 else raw
    size = dataset.Rows * dataset.Columns
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for i, own in enumerate(dataset.PerFrameFunctionalGroupsSequence):

        def find(keyword: str, own: Dataset = own) -> Dataset:
            return (own if keyword in own else shared)[keyword].value[0]

        labelled = "SegmentIdentificationSequence" in own or "SegmentIdentificationSequence" in shared
        source = find("DerivationImageSequence").SourceImageSequence[0]
        yield ReadFrame(
            find("SegmentIdentificationSequence").ReferencedSegmentNumber if labelled else 0,
            values[i * size : (i + 1) * size].reshape(dataset.Rows, dataset.Columns),
            list(find("PlanePositionSequence").ImagePositionPatient),
            list(find("PlaneOrientationSequence").ImageOrientationPatient),
            list(find("PixelMeasuresSequence").PixelSpacing),
            source.ReferencedSOPInstanceUID,
            source.get("ReferencedFrameNumber"),
        )


def with_changed(one: write.Slice, **changes: object) -> write.Slice:
    return replace(one, **changes)  # type: ignore[arg-type]
