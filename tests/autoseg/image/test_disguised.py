"""Files that are not what their names say are told by what they are, with what to do."""

import gzip
import io
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from autoseg.errors import ImageError
from autoseg.image.image import read_image


def nifti() -> bytes:
    return nibabel.Nifti1Image(np.ones((4, 5, 6), np.int16), np.eye(4)).to_bytes()


def archive() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("scan.nii", nifti())
    return held.getvalue()


def dicom() -> bytes:
    dataset, held = Dataset(), io.BytesIO()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.save_as(held, enforce_file_format=True)
    return held.getvalue()


def numpy_array() -> bytes:
    held = io.BytesIO()
    np.save(held, np.ones((4, 5, 6)))
    return held.getvalue()


PAGE = b"\n<!DOCTYPE HTML><html><head><title>Sign in</title></head><body></body></html>"
DISGUISED = {
    "empty": (b"", r"is empty \(0 bytes\)"),
    "zeros": (bytes(5000), "begins with zeros alone"),
    "page": (PAGE, "is a web page.*download the file itself"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
    "annex": (b"/annex/objects/MD5E-s5--d41d8cd98f00.nii.gz\n", "git annex get"),
    "archive": (archive(), "is an archive.*unpack it"),
    "macos": (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(200), "what macOS stores beside a file.*delete it"),
    "dicom": (dicom(), "is DICOM under another name"),
    "twice": (gzip.compress(gzip.compress(nifti())), "compressed by gzip once more"),
    "gzipped page": (gzip.compress(PAGE), "is a web page"),
    "numpy": (numpy_array(), "is an array of NumPy"),
}


@pytest.mark.parametrize("what", DISGUISED)
def test_it_is_told_by_its_first_bytes(tmp_path: Path, what: str) -> None:
    content, told = DISGUISED[what]
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"scan\.nii\.gz: .*{told}"):
        read_image(path)


@pytest.mark.parametrize("what", ["empty", "page", "archive", "numpy"])
@pytest.mark.parametrize("name", ["scan.xyz", "scan.mgh"])
def test_of_other_formats_too(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).write_bytes(DISGUISED[what][0])
    with pytest.raises(ImageError, match=DISGUISED[what][1]):
        read_image(tmp_path / name)


def test_what_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    path.write_bytes(b"some words of a person " * 50)
    with pytest.raises(ImageError, match="cannot be read as an image"):
        read_image(path)
