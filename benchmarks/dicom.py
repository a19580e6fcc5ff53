"""Times the reading of a DICOM series: autoseg's reader beside GDCM's through SimpleITK, which it replaced.

The series is a CT of 512 × 512 voxels a slice with a header as long as a scanner's. Both readers give float32, and the
same values. They read in turns, since other programs slow the machine down and let it go again. Run it as
`python -m benchmarks.dicom [--slices 800] [--pairs 5]`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from autoseg.image.dicom.described import _remembered
from autoseg.image.dicom.read import read_dicom

SIZE = 512
# a scanner's header has so many elements beside those that are used; these are private
OTHER_ELEMENTS = 120


def write_series(folder: Path, slices: int, number: int = 1, size: int = SIZE) -> None:
    """Write a CT series of `slices` files of `size` rows and columns."""
    rng, series, study = np.random.default_rng(0), generate_uid(), generate_uid()
    for z in range(slices):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.SeriesNumber = number
        dataset.InstanceNumber, dataset.AcquisitionTime = z + 1, f"12{z // 60:02d}{z % 60:02d}.5"
        dataset.ImagePositionPatient = [-180.0, -180.0, float(z)]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing, dataset.SliceThickness = [0.703125, 0.703125], 1
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Rows = dataset.Columns = size
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        for i in range(OTHER_ELEMENTS):
            dataset.add_new((0x0019, 0x1000 + i), "LO", f"value of element {i}")
        dataset.add_new((0x0019, 0x0010), "LO", "A VENDOR")
        dataset.PixelData = rng.integers(0, 4096, (size, size), np.uint16).tobytes()
        dataset.save_as(folder / f"{number:04d}_{z:04d}.dcm", enforce_file_format=True)


def by_gdcm(folder: Path) -> np.ndarray:
    """The series as GDCM reads it, (z, y, x) float32."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    reader.MetaDataDictionaryArrayUpdateOn()
    return np.ascontiguousarray(sitk.GetArrayFromImage(reader.Execute()), dtype=np.float32)


def by_autoseg(folder: Path) -> np.ndarray:
    """The series as autoseg reads it for the first time, (z, y, x) float32."""
    _remembered.cache_clear()
    return read_dicom(folder, dtype=np.float32).array


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=800)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_series(folder, options.slices)
        assert np.array_equal(by_gdcm(folder), by_autoseg(folder))
        seconds: dict[str, list[float]] = {"GDCM": [], "autoseg": []}
        for _ in range(options.pairs):
            for reader, read in (("GDCM", by_gdcm), ("autoseg", by_autoseg)):
                begin = time.perf_counter()
                read(folder)
                seconds[reader].append(time.perf_counter() - begin)
    for reader, times in seconds.items():
        print(f"{reader:8} {statistics.median(times):6.2f} s (least {min(times):.2f} s)")
    ratios = [own / gdcm for own, gdcm in zip(seconds["autoseg"], seconds["GDCM"], strict=True)]
    print(f"autoseg / GDCM, median of {options.pairs} pairs: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
