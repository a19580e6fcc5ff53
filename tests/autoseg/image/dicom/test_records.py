"""What a DICOM file is, and the place and scale of its frames."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    BasicTextSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    MRImageStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    UltrasoundImageStorage,
)

from autoseg.errors import ImageError
from autoseg.image.dicom.read import read_dicom
from autoseg.image.image import read_image
from tests.autoseg.image.dicom import write


def slices(count: int = 3) -> list[write.Slice]:
    return write.stack(np.random.default_rng(0).integers(0, 999, (count, 3, 4)).astype(np.int16))


def without_image(path: Path, sop_class: str) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


OTHERS = {
    RTStructureSetStorage: r"contours \(RTSTRUCT\)",
    BasicTextSRStorage: r"a report \(SR\)",
    GrayscaleSoftcopyPresentationStateStorage: "a presentation state",
    SegmentationStorage: r"a segmentation \(DICOM SEG\)",
}


@pytest.mark.parametrize(("sop_class", "told"), OTHERS.items(), ids=lambda x: str(x)[-12:])
def test_other_objects_are_named_for_what_they_are(tmp_path: Path, sop_class: str, told: str) -> None:
    path = without_image(tmp_path / "alone" / "x.dcm", sop_class)
    for given in (path, path.parent):
        with pytest.raises(ImageError, match=told) as error:
            read_image(given)
        assert "damaged" not in str(error.value)
    folder = write.series(tmp_path / "scan", slices())
    without_image(folder / "x.dcm", sop_class)
    (folder / "preview.png").write_bytes(b"\x89PNG")
    volume = read_dicom(folder)
    assert volume.array.shape == (3, 3, 4)
    assert "x.dcm is " in volume.left_out and "preview.png is no DICOM file" in volume.left_out


def test_a_screen_capture_is_left_out_and_a_secondary_capture_with_a_place_is_read(tmp_path: Path) -> None:
    folder = write.series(tmp_path / "placed", slices(), sop_class=SecondaryCaptureImageStorage)
    assert read_dicom(folder).left_out == ""
    gone = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"))
    write.single(folder / "z.dcm", slices()[0].with_elements(**gone), SecondaryCaptureImageStorage)
    assert "z.dcm is a screen capture (Secondary Capture) without Image Position" in read_dicom(folder).left_out
    with pytest.raises(ImageError, match="is a DICOM file of the kind Ultrasound Image without Image Position"):
        read_dicom(write.single(tmp_path / "us.dcm", slices()[0].with_elements(**gone), UltrasoundImageStorage))


@pytest.mark.parametrize(
    ("keyword", "name"),
    [
        ("ImagePositionPatient", "Image Position (Patient)"),
        ("ImageOrientationPatient", "Image Orientation (Patient)"),
        ("PixelSpacing", "Pixel Spacing"),
    ],
)
def test_a_slice_without_its_place_is_refused(tmp_path: Path, keyword: str, name: str) -> None:
    first, *others = slices()
    folder = write.series(tmp_path, [first.with_elements(**{keyword: None}), *others])
    with pytest.raises(ImageError) as error:
        read_dicom(folder)
    assert f"f000.dcm: has no {name}" in str(error.value)


@pytest.mark.parametrize("spacing", [(0.0, 0.5), (-0.5, 0.5)])
def test_a_pixel_without_size_is_refused(tmp_path: Path, spacing: tuple[float, float]) -> None:
    one = replace(write.stack(np.zeros((1, 3, 4), np.int16))[0], spacing=spacing)
    with pytest.raises(ImageError, match=rf"its Pixel Spacing {spacing[0]:g} 0\.5 is no size of a pixel"):
        read_dicom(write.single(tmp_path / "a.dcm", one))


def test_a_gzipped_slice_is_told_as_such(tmp_path: Path) -> None:
    path = write.single(tmp_path / "a.dcm", write.stack(np.zeros((1, 3, 4), np.int16))[0])
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ImageError, match=r"a\.dcm: holds a file that is compressed by gzip.*unpack it"):
        read_dicom(path)


def test_one_slice_has_its_thickness_or_is_refused(tmp_path: Path) -> None:
    one = slices()[0]
    assert read_dicom(write.single(tmp_path / "a.dcm", one)).geometry.spacing == (3.0, 0.5, 0.75)
    with pytest.raises(ImageError, match="has no Slice Thickness"):
        read_dicom(write.single(tmp_path / "b.dcm", one.with_elements(SliceThickness=None)))


def test_real_world_values_count_only_without_rescale(tmp_path: Path) -> None:
    mapping = Dataset()
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 0.25, 1.0
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, 999
    one = slices()[0].with_elements(RealWorldValueMappingSequence=Sequence([mapping]))
    array = read_dicom(write.single(tmp_path / "a.dcm", one)).array
    np.testing.assert_array_equal(array[0], one.voxels * 0.25 + 1)
    array = read_dicom(write.single(tmp_path / "b.dcm", replace(one, scale=(3.0, 0.0)))).array
    np.testing.assert_array_equal(array[0], one.voxels * 3)


def test_what_cannot_be_scaled_is_refused(tmp_path: Path) -> None:
    one = slices()[0]
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType, table.LUTData = [2, 0, 16], "HU", [5, 6]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    with pytest.raises(ImageError, match=r"a\.dcm: its values are given by a table"):
        read_dicom(write.single(tmp_path / "a.dcm", one.with_elements(ModalityLUTSequence=Sequence([table]))))
    with pytest.raises(ImageError, match=r"b\.dcm: its Rescale Slope is 0"):
        read_dicom(write.single(tmp_path / "b.dcm", replace(one, scale=(0.0, 1.0))))


def test_files_without_preamble_and_without_ending(tmp_path: Path) -> None:
    folder = write.series(tmp_path / "scan", slices())
    expected = read_dicom(folder)
    for file in list(folder.iterdir()):
        content = file.read_bytes()
        # some with the file's own header, some with nothing but the data set
        begin = 132 if file.name.startswith("f000") else content.find(b"\x08\x00\x08\x00CS")
        (folder / file.stem).write_bytes(content[begin:])
        file.unlink()
    found = read_image(folder)
    np.testing.assert_array_equal(found.array[0], expected.array)
    assert found.geometry == expected.geometry and found.left_out == ""


def test_a_multi_frame_file_that_contradicts_itself(tmp_path: Path) -> None:
    path = write.multi_frame(tmp_path / "a.dcm", slices())
    dataset = dcmread(path)
    dataset.PerFrameFunctionalGroupsSequence.pop()
    dataset.save_as(path)
    with pytest.raises(ImageError, match=r"a\.dcm: damaged, it declares 3 frames and describes 2"):
        read_dicom(path)
    del dataset.PerFrameFunctionalGroupsSequence
    dataset.save_as(path)
    with pytest.raises(ImageError, match="of 3 frames without a position for each"):
        read_dicom(path)


def test_a_slice_whose_voxels_are_gone(tmp_path: Path) -> None:
    path = write.single(tmp_path / "a.dcm", slices()[0])
    dataset = dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)
    assert dataset.SOPClassUID == MRImageStorage
    with pytest.raises(ImageError, match=r"a\.dcm: damaged or truncated, its voxels are missing"):
        read_dicom(path)
