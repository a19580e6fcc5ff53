"""Writes DICOM segmentations with highdicom, or element by element with pydicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid

from tests.autoseg.image.dicom import write

_PATIENT = {
    **{"PatientID": "p1", "PatientName": "A^B", "PatientBirthDate": "", "PatientSex": "", "StudyID": "1"},
    **{"StudyDate": "20200101", "StudyTime": "101010", "AccessionNumber": "", "ReferringPhysicianName": ""},
    **{"FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.3", "PositionReferenceIndicator": ""},
}


def source(folder: Path, slices: Sequence[write.Slice]) -> Path:
    """A series that a segmentation can refer to."""
    return write.series(folder, [one.with_elements(**_PATIENT) for one in slices])


def by_highdicom(
    path: Path, series: Path, segments: NDArray, names: Sequence[str], kind: str = "BINARY", **others: object
) -> Path:
    """A segmentation of a series.

    Args:
        path: path of the file.
        series: folder of the series, of which the slices are in the order of their names.
        segments: (z, y, x, segment) masks, or (z, y, x) numbers.
        names: names of the segments.
        kind: its Segmentation Type.
        others: further arguments of highdicom.
    """
    described = [
        hd.seg.SegmentDescription(
            segment_number=i,
            segment_label=name,
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Kidney,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for i, name in enumerate(names, start=1)
    ]
    made = hd.seg.Segmentation(
        source_images=[dcmread(file) for file in sorted(series.iterdir())],
        pixel_array=segments,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="a",
        manufacturer_model_name="b",
        software_versions="1",
        device_serial_number="1",
        **others,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path)
    return path


def _item(**elements: object) -> Items:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return Items([item])


def by_hand(
    path: Path,
    frames: Sequence[tuple[write.Slice, int]],
    names: Sequence[str],
    syntax: str = ExplicitVRLittleEndian,
    **shared: object,
) -> Path:
    """A BINARY segmentation, whose frames are slices of 0 and 1, each with the number of its segment.

    Args:
        path: path of the file.
        frames: slice and number of its segment, from 1.
        names: names of the segments.
        syntax: transfer syntax.
        shared: further elements of the pixel measures.
    """
    first = frames[0][0]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = write.STUDY, generate_uid()
    dataset.FrameOfReferenceUID = _PATIENT["FrameOfReferenceUID"]
    dataset.Modality, dataset.SegmentationType = "SEG", "BINARY"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.NumberOfFrames = len(frames)
    dataset.Rows, dataset.Columns = first.voxels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    dataset.SegmentSequence = Items(
        [
            _item(
                SegmentNumber=i,
                SegmentLabel=name,
                SegmentAlgorithmType="MANUAL",
                SegmentedPropertyCategoryCodeSequence=_item(
                    CodeValue="85756007", CodingSchemeDesignator="SCT", CodeMeaning="Tissue"
                ),
                SegmentedPropertyTypeCodeSequence=_item(
                    CodeValue="64033007", CodingSchemeDesignator="SCT", CodeMeaning="Kidney"
                ),
            )[0]
            for i, name in enumerate(names, start=1)
        ]
    )
    dataset.SharedFunctionalGroupsSequence = _item(
        PlaneOrientationSequence=_item(ImageOrientationPatient=list(first.orientation)),
        PixelMeasuresSequence=_item(PixelSpacing=list(first.spacing), SliceThickness=first.thickness, **shared),
    )
    dataset.PerFrameFunctionalGroupsSequence = Items(
        [
            _item(
                PlanePositionSequence=_item(ImagePositionPatient=[round(n, 6) for n in one.position]),
                SegmentIdentificationSequence=_item(ReferencedSegmentNumber=number),
                FrameContentSequence=_item(DimensionIndexValues=[number, i + 1]),
            )[0]
            for i, (one, number) in enumerate(frames)
        ]
    )
    organization = generate_uid()
    dataset.DimensionOrganizationSequence = _item(DimensionOrganizationUID=organization)
    dataset.DimensionIndexSequence = Items(
        [
            _item(DimensionOrganizationUID=organization, DimensionIndexPointer=pointer, FunctionalGroupPointer=group)[0]
            for pointer, group in ((0x0062000B, 0x0062000A), (0x00200032, 0x00209113))
        ]
    )
    # bits are packed over the borders of frames, the lowest first
    bits = np.concatenate([(one.voxels > 0).ravel() for one, _ in frames])
    content = np.packbits(bits, bitorder="little").tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = "OB"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path
