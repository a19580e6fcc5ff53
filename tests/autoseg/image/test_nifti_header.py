"""What a NIfTI file declares, against SimpleITK's reader of its header."""

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.image.image_header import layout_in_file, read_header
from autoseg.image.nifti_header import usual_header

DTYPES = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5, 6, 7), (2, 5, 6, 7)])
def test_it_declares_what_itk_reads(tmp_path, name, dtype, shape):
    path = tmp_path / name
    # a vector image would have its channels in a fifth dimension
    sitk.WriteImage(sitk.GetImageFromArray(np.ones(shape, dtype), isVector=False), str(path))
    found, header = usual_header(path), read_header(path)
    assert found is not None
    assert found.declared.size == header.GetSize()
    assert found.declared.width == np.dtype(dtype).itemsize
    assert found.layout == layout_in_file(path, header)


def changed(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: changed(c, 112, np.float32(2).tobytes()),
        lambda c: changed(c, 116, np.float32(1).tobytes()),
        lambda c: changed(c, 112, np.float32(np.nan).tobytes()),
        lambda c: changed(c, 40, np.int16(9).tobytes()),
        lambda c: changed(c, 42, np.int16(-3).tobytes()),
        lambda c: changed(c, 70, np.int16(128).tobytes()),
        lambda c: changed(c, 72, np.int16(64).tobytes()),
        lambda c: changed(c, 108, np.float32(-4).tobytes()),
        lambda c: changed(c, 108, np.float32(np.inf).tobytes()),
        lambda c: changed(c, 344, b"ni1\0"),
        lambda c: c[:347],
        lambda c: b"\x1f\x8b" + c,
        lambda c: b"",
    ],
)
def test_what_is_not_usual_is_left_to_itk(tmp_path, change):
    path = tmp_path / "a.nii"
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((3, 4, 5), np.int16)), str(path))
    assert usual_header(path) is not None
    path.write_bytes(change(path.read_bytes()))
    assert usual_header(path) is None
