"""Reads the header of an image file with ITK, and refuses what no image can be made of before voxels are read.

In: one file. Out: SimpleITK's reader, which knows the header and has read no voxel. Only the formats listed here are
read: for each of them it is known how the voxels are stored, so that a header that declares too much is noticed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from autoseg.errors import ImageError
from autoseg.image.declared_size import Declared, require_contained, require_contained_as, require_memory
from autoseg.image.dicom_file import require_shallow
from autoseg.image.disguised import what_file_is
from autoseg.image.file_kind import require_readable, why_unreadable
from autoseg.image.geometry import Geometry
from autoseg.image.integrity import Layout, inspects, require_bytes, require_held
from autoseg.image.sound_geometry import require_sound
from autoseg.image.text_headers import require_numbers_in_mm, voxel_storage
from autoseg.memory import lacks_memory

READ_BY = (
    *("NrrdImageIO", "MetaImageIO", "GiplImageIO", "VTKImageIO", "MRCImageIO"),
    *("MINCImageIO", "HDF5ImageIO"),
)
"""ITK's readers that are used. NIfTI and pictures have readers of their own; ITK's others are for formats whose files
name further files, or of microscopes."""

COMPLEX = "its voxels are complex numbers; export their magnitude, or real and imaginary part as an image each"
"""Why an image of complex numbers is refused, and what to do."""

_MRC_HEADER_BYTES = 1024
_VTK_HEADER_BYTES = 4096
_VTK_SIZE = re.compile(rb"^[ \t]*DIMENSIONS\b([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_WIDTHS = {
    **{sitk.sitkInt8: 1, sitk.sitkUInt8: 1, sitk.sitkInt16: 2, sitk.sitkUInt16: 2, sitk.sitkInt32: 4},
    **{sitk.sitkUInt32: 4, sitk.sitkInt64: 8, sitk.sitkUInt64: 8, sitk.sitkFloat32: 4, sitk.sitkFloat64: 8},
    **{sitk.sitkVectorInt8: 1, sitk.sitkVectorUInt8: 1, sitk.sitkVectorInt16: 2, sitk.sitkVectorUInt16: 2},
    **{sitk.sitkVectorInt32: 4, sitk.sitkVectorUInt32: 4, sitk.sitkVectorInt64: 8, sitk.sitkVectorUInt64: 8},
    **{sitk.sitkVectorFloat32: 4, sitk.sitkVectorFloat64: 8, sitk.sitkComplexFloat32: 8, sitk.sitkComplexFloat64: 16},
}


@contextmanager
def itk_errors_told(path: Path) -> Iterator[None]:
    """Raise what ITK, NumPy or the system say while a file is read as an error that names the file.

    Raises:
        ImageError: the block failed.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        raise ImageError(f"{path}: cannot be read as an image ({reason_of(error)})") from None


def read_header(path: Path) -> sitk.ImageFileReader:
    """Read the header of an image file.

    Returns:
        SimpleITK's reader of the file; its `Execute` reads the voxels.

    Raises:
        ImageError: the file is missing or no file that can be read, its format is not known, or its header is damaged
            or declares a grid that no image can have.
    """
    require_readable(path)
    reader = sitk.ImageFileReader()
    with itk_errors_told(path):
        reader.SetImageIO(_reader_of(path))
        _require_voxel_files(path)
        _require_vtk_size(path)
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
    require_numbers_in_mm(path)
    require_image(path, reader)
    return reader


def require_image(path: Path, header: sitk.ImageFileReader | sitk.Image) -> None:
    """Refuse what is no image of a patient by what its header says, or says of an image in memory.

    Args:
        path: path of the image file, or what an image in memory is called, for the message.
        header: what is known of the image.

    Raises:
        ImageError: it has too few or too many dimensions, no voxel, complex voxels, or a grid that no scanner makes.
    """
    dimension, size = header.GetDimension(), header.GetSize()
    if isinstance(header, sitk.Image):
        components = header.GetNumberOfComponentsPerPixel()
    else:
        components = header.GetNumberOfComponents()
    if dimension not in (2, 3, 4):
        raise ImageError(f"{path}: has {dimension} dimensions, expected 3 (or 4 with channels)")
    if min(size) < 1 or components < 1:
        raise ImageError(f"{path}: its header declares an image of no voxel, {size}; export it again")
    if header.GetPixelIDValue() in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        raise ImageError(f"{path}: {COMPLEX}")
    require_sound(path, geometry_of(header))


def _reader_of(path: Path) -> str:
    """Name of ITK's reader for a file.

    Raises:
        ImageError: no reader knows the file, or it is one that is not used.
    """
    # ITK asks every reader whether it knows the file, so that GDCM opens it whatever its name is
    require_shallow(path)
    if _is_nifti(path):
        raise ImageError(f"{path}: is NIfTI under a name of another format; rename it to .nii")
    if not (name := sitk.ImageFileReader.GetImageIOFromFileName(str(path))):
        raise ImageError(f"{path}: {what_file_is(path) or f'cannot be read as an image ({_UNKNOWN})'}")
    if name not in READ_BY:
        raise ImageError(f"{path}: is in a format that is not read ({name}); convert it to NIfTI or NRRD")
    return name


def _is_nifti(path: Path) -> bool:
    """Whether a file, which has another name, begins with the header of NIfTI in one file."""
    with path.open("rb") as file:
        start = file.read(348)
    return start[344:] == b"n+1\0" or start[4:8] == b"n+2\0"


def require_possible(path: Path, header: sitk.ImageFileReader) -> None:
    """Refuse an image whose header declares more than its files can contain or than the memory can hold.

    Args:
        path: path of the image file, for the message.
        header: its header, from `read_header`.

    Raises:
        ImageError: it declares too much; the message says how much, and how much there is.
    """
    width = _WIDTHS.get(header.GetPixelIDValue(), 8)
    declared = Declared(tuple(header.GetSize()), header.GetNumberOfComponents(), width, width)
    _require_contained(path, header, declared)
    require_memory(path, declared)


def _require_contained(path: Path, header: sitk.ImageFileReader, declared: Declared) -> None:
    storage = voxel_storage(path)
    if storage is not None:
        require_contained_as(path, declared, storage)
        return
    if inspects(path):
        require_held(path, layout_in_file(header))
        return
    name = header.GetImageIO()
    if name == "MRCImageIO":
        require_bytes(path, path.stat().st_size, _MRC_HEADER_BYTES + declared.values * declared.stored_width)
    else:
        require_contained(path, declared, [path], "text" if name == "VTKImageIO" else "compressed")


def layout_in_file(header: sitk.ImageFileReader) -> Layout:
    """Size of the voxels in a file that ITK reads; its header's own length is known to `integrity`."""
    values = math.prod(header.GetSize()) * header.GetNumberOfComponents()
    return Layout(0, values, _WIDTHS.get(header.GetPixelIDValue(), 8))


def _require_voxel_files(path: Path) -> None:
    """Refuse a header whose voxel files are missing or no files, before ITK opens them."""
    storage = voxel_storage(path)
    for file in storage.files if storage else ():
        if file != path:
            if why := why_unreadable(file):
                cure = "; copy that file too, or correct the header" if why.endswith("not exist") else ""
                raise ImageError(f"{path}: its voxels lie in another file, {file}: {why}{cure}")
            if file.is_dir():
                raise ImageError(f"{path}: names the folder {file} as the file of its voxels; correct its header")


def _require_vtk_size(path: Path) -> None:
    """Refuse a VTK file whose dimensions are no numbers: ITK takes whatever is in the memory for them."""
    if not path.name.lower().endswith(".vtk"):
        return
    with path.open("rb") as file:
        line = _VTK_SIZE.search(file.read(_VTK_HEADER_BYTES))
    if line is None or not all(word.isdigit() for word in line[1].split()) or len(line[1].split()) != 3:
        raise ImageError(f"{path}: damaged, its header declares no size of three numbers (DIMENSIONS); copy it again")


def geometry_of(image: sitk.Image | sitk.ImageFileReader) -> Geometry:
    """Geometry of the first three dimensions; a 2D header counts as one slice of 1 mm."""
    n = image.GetDimension()
    size, spacing, origin = list(image.GetSize()), list(image.GetSpacing()), list(image.GetOrigin())
    columns = np.asarray(image.GetDirection(), dtype=float).reshape(n, n)
    if n == 2:
        size, spacing, origin = [*size, 1], [*spacing, 1.0], [*origin, 0.0]
        columns = np.block([[columns, np.zeros((2, 1))], [np.zeros((1, 2)), np.ones((1, 1))]])
    rows = columns[:3, :3].T[::-1]
    return Geometry(
        shape=(int(size[2]), int(size[1]), int(size[0])),
        spacing=(float(spacing[2]), float(spacing[1]), float(spacing[0])),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=tuple((float(r[0]), float(r[1]), float(r[2])) for r in rows),
    )


_UNKNOWN = "damaged, empty, or in a format that SimpleITK does not know"


def reason_of(error: Exception) -> str:
    """The cause of an error in ITK's, NumPy's or the system's words, on one line."""
    if lacks_memory(error):
        return "it takes more memory than is free; free some"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1].removeprefix("sitk::ERROR: ") if lines else "unknown reason"
    if reason.startswith("Unable to determine ImageIO reader"):
        return _UNKNOWN
    # the MetaImage reader gives the system's last error as its reason, even if that has nothing to do with it
    return "damaged or truncated" if reason == "Reason: No such file or directory" else reason
