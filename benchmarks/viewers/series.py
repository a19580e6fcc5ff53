"""Writes an image as a DICOM series of single slices, so that synthetic images can be predicted as DICOM SEG.

Run it as `python -m benchmarks.viewers.series IMAGE FOLDER [--number 2]`. The patient is called Synthetic^Image; series
whose folders lie in one folder are of one study.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds


def write_series(image: sitk.Image, folder: Path, description: str, number: int = 1) -> None:
    """Write each slice of an image of whole numbers along its third axis as a file.

    Args:
        image: the image, with values from -32768 to 32767.
        folder: folder to make.
        description: what the series is called.
        number: number of the series in its study.
    """
    voxels = sitk.GetArrayFromImage(image)
    if not np.array_equal(voxels, voxels.astype(np.int16)):
        raise SystemExit("the voxels are no whole numbers of 16 bits")
    folder.mkdir(parents=True)
    study, space = (generate_uid(entropy_srcs=[str(folder.resolve().parent), what]) for what in ("study", "space"))
    series = generate_uid()
    directions = np.reshape(image.GetDirection(), (3, 3))
    x, y, z = image.GetSpacing()
    for k, plane in enumerate(voxels.astype(np.int16)):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID = MRImageStorage, generate_uid()
        one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex = "Synthetic^Image", "synthetic", "", "O"
        one.StudyDate, one.StudyTime, one.StudyID, one.AccessionNumber = "20200101", "120000", "1", ""
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, space
        one.StudyDescription, one.SeriesDescription = "synthetic", description
        one.ReferringPhysicianName, one.PositionReferenceIndicator = "", ""
        one.Modality, one.ImageType, one.SeriesNumber, one.InstanceNumber = "MR", ["ORIGINAL", "PRIMARY"], number, k + 1
        one.ImagePositionPatient = _texts(image.TransformIndexToPhysicalPoint((0, 0, k)))
        one.ImageOrientationPatient = _texts([*directions[:, 0], *directions[:, 1]])
        one.PixelSpacing, one.SliceThickness = _texts([y, x]), _texts([z])[0]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.Rows, one.Columns = plane.shape
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.PixelData = plane.tobytes()
        one.save_as(folder / f"{k + 1:04d}.dcm", enforce_file_format=True)


def _texts(numbers: list[float] | tuple[float, ...]) -> list[str]:
    return [format_number_as_ds(float(number)) for number in numbers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=1)
    given = parser.parse_args()
    write_series(sitk.ReadImage(given.image), given.folder, given.image.name.split(".")[0], given.number)


if __name__ == "__main__":
    main()
