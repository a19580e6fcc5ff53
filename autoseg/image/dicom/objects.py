"""Names what a DICOM file is that holds no slice of a volume: reports, contours, screen captures and others.

Names are those of the standard's list of SOP classes (PS3.6), with a few words that say what they are.
"""

from __future__ import annotations

from pydicom.uid import UID

_CLASS = "1.2.840.10008.5.1.4.1.1."
# the first that the identifier begins with counts; a dot at its end stands for all classes below it
_KINDS = (
    ("1.2.840.10008.1.3.10", "an index of a folder (DICOMDIR); give a folder of slices"),
    (
        _CLASS + "481.3",
        "contours (RTSTRUCT), which are not read: open them with their images in 3D Slicer (extension SlicerRT), and "
        "save the segmentation as .seg.nrrd",
    ),
    (_CLASS + "481.2", "a radiation dose (RTDOSE)"),
    (_CLASS + "481.1", "a radiograph of a treatment machine (RT Image)"),
    (_CLASS + "481.", "a plan or record of radiotherapy"),
    (_CLASS + "66.4", "a segmentation (DICOM SEG), which is read as a label alone"),
    (_CLASS + "66.7", "a segmentation (DICOM SEG, label map), which is read as a label alone"),
    (_CLASS + "66.5", "a segmentation as surfaces; export it as a label map"),
    (_CLASS + "66.6", "fibre tracts"),
    (_CLASS + "66", "raw data or a registration"),
    (_CLASS + "67", "a mapping to real-world values"),
    (_CLASS + "88.59", "a selection of key images"),
    (_CLASS + "88", "a report (SR)"),
    (_CLASS + "11", "a presentation state (how a viewer showed other images)"),
    (_CLASS + "104", "a document (PDF or the like)"),
    (_CLASS + "9", "a curve or waveform"),
    (_CLASS + "4.2", "a spectrum (MR Spectroscopy)"),
    (_CLASS + "30", "a map of real numbers (Parametric Map); export it as NIfTI"),
    (_CLASS + "77", "a photograph or microscopy"),
    (_CLASS + "7", "a screen capture (Secondary Capture)"),
    ("1.2.840.10008.5.1.1.", "a printed sheet"),
)
# slices of a scanner: CT, MR, PET, each of the present and the enhanced kind; a file of them without voxels is damaged
_SLICES = tuple(
    _CLASS + end for end in ("2", "2.1", "2.2", "4", "4.1", "4.4", "128", "128.1", "130")
)  # fmt: skip

_SEGMENTATIONS = (_CLASS + "66.4", _CLASS + "66.7")


def is_slice_class(sop_class: str) -> bool:
    """Whether files of a SOP class hold slices of CT, MR or PET."""
    return sop_class in _SLICES


def is_segmentation_class(sop_class: str) -> bool:
    """Whether files of a SOP class are segmentations of voxels (DICOM SEG)."""
    return sop_class in _SEGMENTATIONS


def never_a_slice(sop_class: str) -> bool:
    """Whether files of a SOP class are no images of a volume, whatever elements they have.

    Secondary Capture is not among them: many programs write slices with full geometry as such.
    """
    return kind_of(sop_class, "") != "" and not sop_class.startswith(_CLASS + "7.") and sop_class != _CLASS + "7"


def kind_of(sop_class: str, otherwise: str | None = None) -> str:
    """What a file of a SOP class is, in words.

    Args:
        sop_class: identifier of the class; may be empty.
        otherwise: what is returned for a class that is not in the list; None = its name in the standard.
    """
    for begin, words in _KINDS:
        if sop_class == begin or sop_class.startswith(begin if begin.endswith(".") else begin + "."):
            return words
    if otherwise is not None:
        return otherwise
    name = UID(sop_class).name.removesuffix(" Storage") if sop_class else ""
    return f"a DICOM file of the kind {name}" if name else "a DICOM file of no stated kind"
