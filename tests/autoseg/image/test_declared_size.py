"""Headers that declare more than the file can contain or the memory can hold are refused before memory is taken."""

import gzip
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.freesurfer.mghformat import MGHHeader

from autoseg.errors import ImageError
from autoseg.image import declared_size
from autoseg.image.image import read_image
from tests.autoseg.dataset import build
from tests.autoseg.image.nifti import files

SIZE = "1300 1300 1300"
NRRD = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: {}\nencoding: {}\n\n"
META = "ObjectType = Image\nNDims = 3\nDimSize = {}\nElementType = MET_UCHAR\n{}ElementDataFile = LOCAL\n"
VTK = (
    "# vtk DataFile Version 3.0\nx\n{}\nDATASET STRUCTURED_POINTS\nDIMENSIONS 1300 1300 1300\nSPACING 1 1 1\n"
    "ORIGIN 0 0 0\nPOINT_DATA 2197000000\nSCALARS scalars unsigned_char 1\nLOOKUP_TABLE default\nabc"
)


def written(ending: str, shape: tuple[int, ...] = build.SHAPE) -> bytearray:
    """Content of a small file of uint8 or int16."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{ending}"
        flat = ending in (".png", ".bmp")
        image = sitk.GetImageFromArray(np.ones(shape[1:] if flat else shape, np.uint8 if flat else np.int16))
        sitk.WriteImage(image, str(path))
        return bytearray(path.read_bytes())


def changed(ending: str, form: str, at: int, *values: float) -> bytes:
    content = written(ending)
    struct.pack_into(form, content, at, *values)
    return bytes(content)


def png() -> bytes:
    content = bytearray(changed(".png", ">2I", 16, 60000, 60000))
    struct.pack_into(">I", content, 29, zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def nifti_2() -> bytes:
    return files.header((1300, 1300, 1300), sform=(np.eye(4), 1), version=2).binaryblock + bytes(500)


def mgh(dims: tuple[int, ...] = (1300, 1300, 1300, 1)) -> bytes:
    header = MGHHeader()
    header["dims"] = dims
    return header.binaryblock[:90] + bytes(500)


BOMBS = {
    "a.nii": lambda: changed(".nii", "<3h", 42, 1300, 1300, 1300),
    "a.nii.gz": lambda: gzip.compress(changed(".nii", "<3h", 42, 1300, 1300, 1300)),
    "two.nii": lambda: nifti_2(),
    "two.nii.gz": lambda: gzip.compress(nifti_2()),
    "a.mgh": lambda: mgh(),
    "a.mgz": lambda: gzip.compress(mgh()),
    "endless.mgz": lambda: gzip.compress(mgh((6, 5, 4, 1)) + bytes(100 << 20)),
    "offset.nii": lambda: changed(".nii", "<f", 108, 1.5e9),
    "offset.nii.gz": lambda: gzip.compress(changed(".nii", "<f", 108, 1.5e9)),
    "endless.nii.gz": lambda: gzip.compress(bytes(written(".nii")) + bytes(100 << 20)),
    "raw.nrrd": lambda: NRRD.format(SIZE, "raw").encode() + b"abc",
    "gzip.nrrd": lambda: NRRD.format(SIZE, "gzip").encode() + gzip.compress(b"abc"),
    # large enough for what is declared, but most of it lies behind the compressed voxels
    "few.nrrd": lambda: NRRD.format("2000 2000 300", "gzip").encode() + gzip.compress(b"abc") + bytes(2 << 20),
    "ascii.nrrd": lambda: NRRD.format(SIZE, "ascii").encode() + b"1 2 3",
    "hex.nrrd": lambda: NRRD.format(SIZE, "hex").encode() + b"0a",
    "bzip2.nrrd": lambda: NRRD.format(SIZE, "bzip2").encode() + b"0a",
    "raw.mha": lambda: META.format(SIZE, "BinaryData = True\n").encode() + b"abc",
    "text.mha": lambda: META.format(SIZE, "BinaryData = False\n").encode() + b"1 2 3",
    "zlib.mha": lambda: (
        META.format(SIZE, "BinaryData = True\nCompressedData = True\n").encode() + zlib.compress(b"abc")
    ),
    "short.mha": lambda: (
        META.format("6 5 4", "BinaryData = True\nCompressedData = True\n").encode() + zlib.compress(b"abc")
    ),
    "a.gipl": lambda: changed(".gipl", ">3H", 0, 1300, 1300, 1300),
    "a.gipl.gz": lambda: gzip.compress(changed(".gipl", ">3H", 0, 1300, 1300, 1300)),
    "a.mrc": lambda: changed(".mrc", "<3i", 0, 1300, 1300, 1300),
    "binary.vtk": lambda: VTK.format("BINARY").encode(),
    "ascii.vtk": lambda: VTK.format("ASCII").encode(),
    "a.bmp": lambda: changed(".bmp", "<2i", 18, 40000, 40000),
    "a.png": png,
}
READ = """
import resource, sys
from pathlib import Path
from autoseg.errors import ImageError
from autoseg.image.image import read_image, read_label
begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(Path(sys.argv[1]).iterdir()):
    for read in (read_image, read_label):
        try:
            read(path)
            print(path.name, "read")
        except ImageError as error:
            assert str(path) in str(error), error
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin) >> 10
            print(path.name, "refused" if grown < 500 else f"took {grown} MiB")
"""


def test_no_bomb_takes_memory(tmp_path: Path) -> None:
    """Each is refused by name, in a process of its own whose peak of memory is measured."""
    for name, make in BOMBS.items():
        (tmp_path / name).write_bytes(make())
    done = subprocess.run([sys.executable, "-c", READ, tmp_path], capture_output=True, text=True, check=True)
    told = dict(line.rsplit(" ", 1) if "took" not in line else line.split(" ", 1) for line in done.stdout.splitlines())
    assert told == dict.fromkeys(BOMBS, "refused")


def dicom_with(path: Path, group: int, element: int, value: bytes) -> Path:
    """A DICOM file (implicit little endian) with a tag that is changed, or put in before the number of rows."""
    build.dicom(path.parent / "scan", np.ones((1, 30, 40)))
    content = (path.parent / "scan" / "slice_000.dcm").read_bytes()
    begin = content.find(struct.pack("<HH", 0x28, 0x10))
    at = content.find(struct.pack("<HH", group, element), begin)
    end = begin if at < 0 else at + 8 + struct.unpack_from("<I", content, at + 4)[0]
    tag = struct.pack("<HHI", group, element, len(value)) + value
    path.write_bytes(content[: at if at >= 0 else begin] + tag + content[end:])
    return path


@pytest.mark.parametrize(
    ("element", "value"), [(0x10, struct.pack("<H", 65000)), (0x08, b"1000000 "), (0x11, struct.pack("<H", 65000))]
)
def test_absurd_numbers_in_dicom(tmp_path: Path, element: int, value: bytes) -> None:
    path = dicom_with(tmp_path / "a.dcm", 0x28, element, value)
    with pytest.raises(ImageError, match=r"a\.dcm: truncated, holds \d+ of \d+ bytes"):
        read_image(path)


def test_more_than_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build.write(tmp_path / "a.nii", np.zeros((300, 300, 300), np.uint8))
    monkeypatch.setattr(declared_size, "free_memory", lambda: 160_000_000)
    # 27 million voxels, of a byte in ITK and NumPy and of four as float32
    with pytest.raises(ImageError, match=r"300 × 300 × 300 voxels \(27 MB\), which take 162 MB .* 160 MB are free"):
        read_image(path)
    monkeypatch.setattr(declared_size, "free_memory", lambda: 170_000_000)
    assert read_image(path).array.shape == (1, 300, 300, 300)


@pytest.mark.parametrize("size", [b"DIMENSIONS 6 5 LIST", b"DIMENSIONS 6 5", b"DIMENSIONS 6 5 -4", b"DIMENSION 6 5 4"])
def test_the_size_of_vtk_is_three_numbers(tmp_path: Path, size: bytes) -> None:
    path = build.write(tmp_path / "a.vtk", np.zeros((4, 5, 6), np.int16))
    content = path.read_bytes()
    assert b"DIMENSIONS 6 5 4 \n" in content
    path.write_bytes(content.replace(b"DIMENSIONS 6 5 4 ", size))
    with pytest.raises(ImageError, match=r"a\.vtk: damaged, its header declares no size of three numbers"):
        read_image(path)
