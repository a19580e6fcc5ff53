"""Real DICOM of several vendors: the files that pydicom ships for its own tests.

CT, NM and US of GE; MR of Toshiba, Philips and Siemens; CR of Agfa; US of Philips and SonoSite; RTDOSE; SEG.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    RTDoseStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from autoseg.errors import ImageError
from autoseg.image.image import read_geometry, read_image

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
REFUSED_FOR_ITS_CLASS = {RTDoseStorage: "a radiation dose", SegmentationStorage: "a segmentation"}
WITHOUT_PLACE = (ComputedRadiographyImageStorage, SecondaryCaptureImageStorage)


@cache
def header_of(file: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(file, force=True, stop_before_pixels=True)


def _is_image(file: Path) -> bool:
    try:
        return bool(header_of(file).get("Rows"))
    except Exception:
        # pydicom says anything of what is no DICOM
        return False


ALL = sorted(file for file in FILES.rglob("*") if file.is_file())
IMAGES = [file for file in ALL if _is_image(file)]


def why_refused(file: Path) -> str | None:
    """Why a file is no slice by its elements, as pydicom has them; None where it is one."""
    header = header_of(file)
    sop_class = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    if file.name == "MR_truncated.dcm":
        return "truncated, holds 9630 of 9692 bytes"
    if header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return "its elements are compressed as a whole (deflated)"
    if sop_class in REFUSED_FOR_ITS_CLASS:
        return REFUSED_FOR_ITS_CLASS[sop_class]
    if header.get("SamplesPerPixel") != 1 or "PALETTE" in header.PhotometricInterpretation:
        return "a picture in colour"
    if "ImagePositionPatient" not in header:
        assert sop_class in WITHOUT_PLACE
        return "without Image Position (Patient)"
    if header.SliceThickness > 200:
        return "is a localiser, whose slice is 650.182 mm thick"
    return None


def test_files_of_several_vendors_are_among_them() -> None:
    makers = {str(header_of(file).get("Manufacturer", "")).split()[0].upper() for file in IMAGES if _has_maker(file)}
    assert makers >= {"GE", "PHILIPS", "SIEMENS", "TOSHIBA_MEC", "AGFA-GEVAERT", "SONOSITE,"}
    assert len(IMAGES) > 80 and sum(why_refused(file) is None for file in IMAGES) > 30


def _has_maker(file: Path) -> bool:
    return bool(str(header_of(file).get("Manufacturer") or "").split())


@pytest.mark.parametrize("file", IMAGES, ids=lambda file: file.relative_to(FILES).as_posix())
def test_an_image_is_read_as_pydicom_reads_it_or_refused_with_its_cause(file: Path) -> None:
    if (why := why_refused(file)) is not None:
        with pytest.raises(ImageError) as refused:
            read_image(file)
        assert str(refused.value).startswith(f"{file}: ") and why in str(refused.value)
        return
    found = read_image(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(file, force=True)
        expected = apply_modality_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(found.array[0, 0], expected.astype(np.float32))
    geometry = found.geometry
    assert read_geometry(file) == (geometry, 1) and found.modality == dataset.Modality
    assert geometry.origin == pytest.approx([float(n) for n in dataset.ImagePositionPatient])
    cosines = np.array(dataset.ImageOrientationPatient, float)
    np.testing.assert_allclose(np.ravel(geometry.direction[:0:-1]), cosines, atol=1e-3)
    np.testing.assert_allclose(geometry.direction[0], np.cross(cosines[:3], cosines[3:]), atol=1e-3)
    thickness = dataset.get("SpacingBetweenSlices") or dataset.SliceThickness
    assert geometry.spacing == pytest.approx([float(thickness), *map(float, dataset.PixelSpacing)])


def test_what_is_no_image_is_refused_with_its_name() -> None:
    for file in set(ALL) - set(IMAGES):
        with pytest.raises(ImageError) as refused:
            read_image(file)
        assert str(refused.value).startswith(f"{file}: "), file


def test_a_series_is_one_volume_in_the_order_of_its_positions() -> None:
    folder = FILES / "dicomdirtests" / "98892001" / "CT5N"
    slices = sorted((dcmread(file) for file in folder.iterdir()), key=lambda one: one.ImagePositionPatient[2])
    found = read_image(folder)
    expected = np.stack([apply_modality_lut(one.pixel_array, one) for one in slices])
    # z grows along the normal of the slices, which may point down
    up = np.cross(*np.reshape(np.array(slices[0].ImageOrientationPatient, float), (2, 3)))[2] > 0
    np.testing.assert_array_equal(found.array[0], expected if up else expected[::-1])
    first = slices[0 if up else -1]
    assert found.geometry.origin == pytest.approx([float(n) for n in first.ImagePositionPatient])


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("77654033/CT2", "161 slices are missing after slice 1 of 4"),
        ("98892001/CT2N", r"2 single slices at angles to each other \(a localiser\)"),
        ("98892003/MR1", "holds 3 DICOM series: .*FAST LOCALIZER"),
        ("98892003/MR700", "7 single slices at angles"),
        ("TINY_ALPHA/PT000000/ST000000/SE000000", "its voxels are missing"),
    ],
)
def test_folders_that_are_no_volume_are_refused_with_their_cause(folder: str, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        read_image(FILES / "dicomdirtests" / folder)
