"""Values, as pydicom and SimpleITK have them, in a dtype that holds them all."""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import write_file_meta_info
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from autoseg.errors import ImageError
from autoseg.image.dicom import voxels
from autoseg.image.dicom.read import read_dicom
from autoseg.machine.passing_files import sweep_passing_files
from tests.autoseg.dataset import build
from tests.autoseg.image.dicom import write


def test_slopes_by_slice_as_pet_has_them(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 32767, (10, 3, 4)).astype(np.int16)
    slices = [replace(one, scale=(1.0 if z == 0 else 0.001 * z, 0.0)) for z, one in enumerate(write.stack(stored))]
    array = read_dicom(write.series(tmp_path, slices)).array
    assert array.dtype == np.float32
    expected = [plane * (1.0 if z == 0 else 0.001 * z) for z, plane in enumerate(stored)]
    np.testing.assert_allclose(array, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "scales", "expected"),
    [
        (np.int16, [(1.0, 0.0), (4.0, 0.0)], np.int32),
        (np.int16, [(1.0, 0.0), (1.0, 0.0)], np.int16),
        (np.uint16, [(1.0, 0.0), (1.0, -1024.0)], np.int32),
        (np.uint8, [(1.0, 0.0), (2.0, 1.0)], np.uint16),
        (np.uint32, [(1.0, 0.0), (2.0, 0.0)], np.int64),
        (np.int32, [(1.0, 0.0), (0.5, 0.0)], np.float64),
    ],
)
def test_the_dtype_holds_every_value(tmp_path: Path, kind: type, scales: list, expected: type) -> None:
    info = np.iinfo(kind)
    stored = np.array([[[info.min, info.max, 1]]] * 2, kind)
    slices = [replace(one, scale=scale) for one, scale in zip(write.stack(stored), scales, strict=True)]
    array = read_dicom(write.series(tmp_path, slices)).array
    assert array.dtype == expected
    for plane, found, (slope, intercept) in zip(stored.tolist(), array.tolist(), scales, strict=True):
        assert found == [[value * slope + intercept for value in plane[0]]]


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.uint32])
def test_big_endian(tmp_path: Path, kind: type) -> None:
    stored = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (3, 3, 5)).astype(kind)
    folder = write.series(tmp_path, write.stack(stored), syntax=ExplicitVRBigEndian)
    np.testing.assert_array_equal(read_dicom(folder).array, stored)


def test_bits_that_are_not_used(tmp_path: Path) -> None:
    """Twelve bits of sixteen, signed, with an overlay in the upper four, as old scanners wrote."""
    values = np.array([[[-2048, 2047, -1, 5]]] * 2, np.int16)
    written = (values & 0x0FFF) | np.int16(0x5000)
    slices = [one.with_elements(BitsStored=12, HighBit=11) for one in write.stack(written)]
    folder = write.series(tmp_path, slices)
    np.testing.assert_array_equal(read_dicom(folder).array, values)
    np.testing.assert_array_equal(dcmread(folder / "f000.dcm").pixel_array, values[0])


@pytest.mark.parametrize("many", [False, True])
def test_run_lengths(tmp_path: Path, many: bool) -> None:
    stored = np.random.default_rng(0).integers(-9, 9, (4, 8, 8)).astype(np.int16)
    slices = write.stack(stored, scale=(2.0, 1.0))
    path = write.multi_frame(tmp_path / "a.dcm", slices[::-1]) if many else write.series(tmp_path, slices)
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        dataset = dcmread(file)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(file)
    np.testing.assert_array_equal(read_dicom(path).array, 2 * stored + 1)


@pytest.mark.parametrize(("compressor", "syntax"), [("JPEG2000", JPEG2000Lossless), ("JPEG", JPEGLosslessSV1)])
def test_jpeg(tmp_path: Path, compressor: str, syntax: str) -> None:
    """Written by GDCM; JPEG lossless is one that pydicom has no decoder of its own for."""
    stored = np.random.default_rng(0).integers(0, 1000, (3, 16, 20)).astype(np.uint16)
    folder = build.dicom(tmp_path / "scan", stored)
    for file in sorted(folder.iterdir()):
        image = sitk.ReadImage(str(file))
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.SetFileName(str(file))
        writer.Execute(image)
        assert dcmread(file).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(read_dicom(folder).array, stored)


def test_a_frame_that_gdcm_decodes_passes_through_a_folder_that_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = np.random.default_rng(0).integers(0, 1000, (1, 16, 20)).astype(np.uint16)
    path = write.single(tmp_path / "a.dcm", write.stack(stored)[0])
    dataset = dcmread(path)
    dataset.compress(RLELossless)
    dataset.save_as(path)
    seen: list[Path] = []
    read = sitk.ReadImage

    def no_decoder(*_: object, **__: object) -> None:
        raise NotImplementedError

    def watched(file: str, **options: object) -> sitk.Image:
        seen.append(Path(file).parent)
        assert stat.S_IMODE(seen[0].stat().st_mode) == 0o700
        return read(file, **options)

    monkeypatch.setattr(voxels, "iter_pixels", no_decoder)
    monkeypatch.setattr(sitk, "ReadImage", watched)
    np.testing.assert_array_equal(read_dicom(path).array, stored)
    (folder,) = seen
    assert not folder.exists() and folder.parent == Path(tempfile.gettempdir())
    # as a killed process leaves it
    left = folder.with_name(folder.name.replace(str(os.getpid()), "99999999"))
    left.mkdir()
    sweep_passing_files()
    assert not left.exists()


def test_damaged_compressed_voxels(tmp_path: Path) -> None:
    folder = write.series(tmp_path, write.stack(np.arange(4 * 64, dtype=np.int16).reshape(4, 8, 8)))
    for file in folder.iterdir():
        dataset = dcmread(file)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(file)
    content = (folder / "f002.dcm").read_bytes()
    (folder / "f002.dcm").write_bytes(content[:-40])
    with pytest.raises(ImageError, match=r"f002\.dcm: .*(damaged|truncated)"):
        read_dicom(folder)


def test_a_compression_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = write.single(tmp_path / "a.dcm", write.stack(np.ones((1, 8, 8), np.int16))[0])
    dataset = dcmread(path)
    dataset.PixelData = encapsulate([b"codestream"])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    dataset.save_as(path)
    with pytest.raises(ImageError, match=r"a\.dcm: .*not read \(High-Throughput JPEG 2000.*; decompress it"):
        read_dicom(path)


def redeclared(path: Path, syntax: str) -> None:
    """Let a file declare another transfer syntax than the one that it is written in, as some exporters do."""
    content, meta = path.read_bytes(), dcmread(path, stop_before_pixels=True).file_meta
    # preamble, letters, and the element that tells the length of the rest
    begin = 132 + 12 + int(meta[0x00020000].value)
    meta.TransferSyntaxUID = UID(syntax)
    written = BytesIO()
    write_file_meta_info(written, meta)
    path.write_bytes(content[:132] + written.getvalue() + content[begin:])


@pytest.mark.parametrize(
    ("written", "declared"),
    [(ExplicitVRLittleEndian, ImplicitVRLittleEndian), (ImplicitVRLittleEndian, ExplicitVRLittleEndian)],
)
def test_a_file_that_is_written_otherwise_than_it_declares(tmp_path: Path, written: str, declared: str) -> None:
    stored = np.random.default_rng(0).integers(-900, 900, (3, 96, 96)).astype(np.int16)
    folder = write.series(tmp_path, write.stack(stored), syntax=written)
    for file in folder.iterdir():
        redeclared(file, declared)
    np.testing.assert_array_equal(read_dicom(folder).array, stored)


def mapped(**elements: object) -> Items:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return Items([item] if elements else [])


def test_a_mapping_without_items_is_none(tmp_path: Path) -> None:
    stored = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    slices = [one.with_elements(RealWorldValueMappingSequence=mapped()) for one in write.stack(stored)]
    np.testing.assert_array_equal(read_dicom(write.series(tmp_path, slices)).array, stored)


def test_a_mapping_by_a_table_is_refused(tmp_path: Path) -> None:
    table = mapped(RealWorldValueFirstValueMapped=0, RealWorldValueLUTData=[0.0, 1.5])
    slices = [
        one.with_elements(RealWorldValueMappingSequence=table) for one in write.stack(np.ones((2, 3, 4), np.int16))
    ]
    with pytest.raises(ImageError, match=r"mapping to real-world values has no slope.*Rescale Slope"):
        read_dicom(write.series(tmp_path, slices))
