"""Where MetaImage and NRRD files store their voxels, compared with what SimpleITK writes and reads."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.errors import ImageError
from autoseg.image.image import read_geometry, read_image
from autoseg.image.text_headers import voxel_storage
from tests.autoseg.dataset import build

META = "ObjectType = Image\nNDims = 3\nDimSize = 6 5 4\nElementType = MET_UCHAR\nBinaryData = True\n"
NRRD = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 6 5 4\nencoding: raw\n"


@pytest.mark.parametrize("ending", [".mha", ".mhd", ".nrrd", ".nhdr"])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_simpleitk_writes(tmp_path: Path, ending: str, compressed: bool) -> None:
    array = build.voxels()
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path), useCompression=compressed)
    storage = voxel_storage(path)
    assert storage is not None and storage.encoding == ("deflated" if compressed else "raw")
    beside = {file for file in tmp_path.iterdir() if file != path}
    assert set(storage.files) == (beside or {path})
    if not compressed:
        content = storage.files[0].read_bytes()
        assert content[storage.offset if not beside else 0 :] == array.tobytes()
    np.testing.assert_array_equal(read_image(path).array[0], array)


@pytest.mark.parametrize("text", [META + "ElementDataFile = {}\n", NRRD + "data file: {}\n"])
@pytest.mark.parametrize("naming", ["LIST", "pattern"])
def test_a_file_for_each_slice(tmp_path: Path, text: str, naming: str) -> None:
    array = np.arange(120, dtype=np.uint8).reshape(4, 5, 6)
    for i, voxels in enumerate(array):
        (tmp_path / f"s{i + 1:02d}.raw").write_bytes(voxels.tobytes())
    names = "\n".join(f"s{i + 1:02d}.raw" for i in range(4))
    value = f"LIST\n{names}" if naming == "LIST" else "s%02d.raw 1 4 1"
    path = tmp_path / ("a.mhd" if text.startswith("Obj") else "a.nhdr")
    path.write_text(text.format(value), encoding="utf-8")
    storage = voxel_storage(path)
    assert storage is not None and [file.name for file in storage.files] == names.split("\n")
    np.testing.assert_array_equal(read_image(path).array[0], array)
    (tmp_path / "s03.raw").write_bytes(b"few")
    with pytest.raises(ImageError, match="truncated"):
        read_image(path)


@pytest.mark.parametrize("name", ["%s%n.raw 1 9 1", "%999999999d.raw 1 9 1", "a%d%d.raw 1 9 1", "a%d.raw 1 9 0", "a%d"])
@pytest.mark.parametrize("text", [META + "ElementDataFile = {}\n", NRRD + "data file: {}\n"])
def test_a_pattern_that_c_would_follow_is_refused(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / ("a.mhd" if text.startswith("Obj") else "a.nhdr")
    path.write_text(text.format(name), encoding="utf-8")
    with pytest.raises(ImageError, match="is no pattern with one number"):
        read_image(path)


def test_too_many_files(tmp_path: Path) -> None:
    path = tmp_path / "a.mhd"
    path.write_text(META + "ElementDataFile = a%d.raw 1 999999999 1\n", encoding="utf-8")
    with pytest.raises(ImageError, match="names more than 20,000 files"):
        read_image(path)


@pytest.mark.parametrize("line", ["NDims = -1", "NDims = 99999", "NDims = x", "ElementNumberOfChannels = -5"])
def test_counts_that_would_end_the_process(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.mha"
    path.write_bytes(f"{META}{line}\nElementDataFile = LOCAL\n".encode() + bytes(120))
    with pytest.raises(ImageError, match=f"{line.split(' ')[0]} is"):
        read_image(path)


@pytest.mark.parametrize(
    ("ending", "fields", "told"),
    [
        (".nrrd", 'space: left-posterior-superior\nspace units: "um" "um" "um"\n', "its unit is 'um'"),
        (".nrrd", 'units: "mm" "mm" "cm"\n', "its unit is 'cm'"),
        (".nrrd", 'space: left-posterior-superior\nspace units: "parsec" "mm" "mm"\n', "its unit is 'parsec'"),
        (".mha", "DistanceUnits = um\n", "its unit is 'um'"),
    ],
)
def test_other_units_are_refused_with_the_cure(tmp_path: Path, ending: str, fields: str, told: str) -> None:
    path = tmp_path / f"a{ending}"
    text = NRRD + fields + "\n" if ending == ".nrrd" else META + fields + "ElementDataFile = LOCAL\n"
    path.write_bytes(text.encode() + bytes(range(120)))
    for read in (read_image, read_geometry):
        with pytest.raises(ImageError, match=rf"a{ending}: {told}.*(in mm|export)"):
            read(path)


@pytest.mark.parametrize(
    ("ending", "fields"),
    [
        (".nrrd", 'space: left-posterior-superior\nspace units: "mm" "mm" "mm"\n'),
        (".nrrd", 'units: "mm" "mm" "s"\n'),
        (".nrrd", "kinds: domain domain domain\n"),
        (".mha", "DistanceUnits = mm\n"),
    ],
)
def test_millimetres_are_read(tmp_path: Path, ending: str, fields: str) -> None:
    path = tmp_path / f"a{ending}"
    text = NRRD + fields + "\n" if ending == ".nrrd" else META + fields + "ElementDataFile = LOCAL\n"
    path.write_bytes(text.encode() + bytes(range(120)))
    np.testing.assert_array_equal(read_image(path).array.ravel(), range(120))


def test_colours_are_refused(tmp_path: Path) -> None:
    header = NRRD.replace("dimension: 3\nsizes: 6 5 4", "dimension: 4\nsizes: 3 2 4 5")
    (tmp_path / "a.nrrd").write_bytes(f"{header}kinds: RGB-color domain domain domain\n\n".encode() + bytes(120))
    with pytest.raises(
        ImageError, match=r"a\.nrrd: its voxels are of the kind rgb-color, which is no sequence; export"
    ):
        read_image(tmp_path / "a.nrrd")


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(build.voxels().astype(np.complex64)), str(tmp_path / "a.nrrd"))
    with pytest.raises(ImageError, match=r"a\.nrrd: its voxels are .*complex.*"):
        read_image(tmp_path / "a.nrrd")


def test_a_header_without_its_voxels_is_told(tmp_path: Path) -> None:
    path = build.write(tmp_path / "a.mhd", build.voxels())
    (tmp_path / "a.raw").unlink()
    with pytest.raises(
        ImageError, match=r"a\.mhd: its voxels lie in another file, .*a\.raw: does not exist; copy that"
    ):
        read_image(path)


def test_counts_are_checked_where_the_voxel_file_is_not_named(tmp_path: Path) -> None:
    """MetaIO ends the process on such a header."""
    path = tmp_path / "a.mha"
    path.write_text(META.replace("NDims = 3", "NDims = 4294967297"), encoding="utf-8")
    with pytest.raises(ImageError, match=r"a\.mha: its header is damaged, NDims is '4294967297'"):
        read_image(path)
