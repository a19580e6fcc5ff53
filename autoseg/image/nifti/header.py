"""One view of a header of NIfTI-1, NIfTI-2 or MGH: where the voxels lie in the file, and where in the patient.

nibabel knows the fields; nothing beyond the header's own bytes is read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
from nibabel.freesurfer.mghformat import DATA_OFFSET, MGHHeader
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from autoseg.errors import ImageError
from autoseg.image.disguised import what_it_is
from autoseg.image.file_kind import require_readable
from autoseg.image.geometry import Shape
from autoseg.image.integrity import PAIR_ENDINGS, voxel_file
from autoseg.image.nifti.fields import NiftiFields
from autoseg.image.nifti.transforms import Place, geometry_of_affine, place_of
from autoseg.image.nifti.voxels import StoredVoxels
from autoseg.image.sound_geometry import require_sound
from autoseg.image.unfolded import unfolded

MGH_ENDINGS = (".mgh", ".mgz")
_BYTES = {1: 348, 2: 540}
_MAGIC_AT = {1: 344, 2: 4}
_SINGLE = {1: b"n+1\0", 2: b"n+2\0\r\n\x1a\n"}
_PAIR = {1: b"ni1\0", 2: b"ni2\0\r\n\x1a\n"}
_NUMBERS = frozenset((2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280))
"""NIfTI's codes of the dtypes that are read: whole numbers of 8 to 64 bits, float32 and float64."""

_COMPLEX = {32: "complex64", 1792: "complex128", 2048: "complex256"}
_COLOURS = {128: "RGB", 2304: "RGBA"}
_MGH_TYPES = (0, 1, 3, 4, 10)
_RAS_FLAG_AT = 28
_FARTHEST_OFFSET = 2**62


@dataclass(frozen=True)
class VolumeHeader:
    """What a header says of an image.

    Args:
        voxels: where its voxels lie in the file, and how they are stored.
        place: where they lie in the patient.
        fields: both transforms as they are stored; None for MGH.
    """

    voxels: StoredVoxels
    place: Place
    fields: NiftiFields | None


def read_volume_header(path: Path) -> VolumeHeader | None:
    """Read the header of a NIfTI or MGH file.

    Returns:
        None where the file is called `.hdr` or `.img` and is of another format.

    Raises:
        ImageError: the file is damaged or no such file, or its header declares what no image can be made of.
    """
    name = path.name.lower()
    if name.endswith(MGH_ENDINGS):
        return _mgh(path)
    header_file = _header_file(path)
    require_readable(header_file)
    with unfolded(header_file) as opened:
        start = opened.read(_BYTES[2])
    found = _version(start)
    if found is not None:
        return _nifti(path, start, *found)
    if not name.endswith(PAIR_ENDINGS):
        _unknown(path, "NIfTI", start)
    if _is_analyze(start):
        raise ImageError(
            f"{path}: is Analyze 7.5, which does not say where left and right are; convert it to NIfTI with a program "
            "that knows how it was made, and look at the sides"
        )
    return None


def _header_file(path: Path) -> Path:
    """The file of the header: the `.hdr` beside an `.img`, else `path` itself."""
    name = path.name.lower()
    ending = next((ending for ending in (".img", ".img.gz") if name.endswith(ending)), None)
    if ending is None:
        return path
    beside = [path.with_name(path.name[: -len(ending)] + other) for other in (".hdr", ".hdr.gz")]
    return next((file for file in beside if file.exists()), path)


def _version(start: bytes) -> tuple[Literal[1, 2], str] | None:
    """Version and byte order of a NIfTI header; None where it is none."""
    versions: tuple[Literal[1, 2], ...] = (1, 2)
    for version in versions:
        magic = start[_MAGIC_AT[version] :]
        if len(start) < _BYTES[version] or not magic.startswith((_SINGLE[version], _PAIR[version])):
            continue
        if int.from_bytes(start[:4], "little") == _BYTES[version]:
            return version, "<"
        if int.from_bytes(start[:4], "big") == _BYTES[version]:
            return version, ">"
    return None


def _is_analyze(start: bytes) -> bool:
    return len(start) >= _BYTES[1] and _BYTES[1] in (int.from_bytes(start[:4], order) for order in ("little", "big"))


def _nifti(path: Path, start: bytes, version: Literal[1, 2], order: str) -> VolumeHeader:
    kind = Nifti1Header if version == 1 else Nifti2Header
    # without nibabel's checks, which repair what is refused here
    header = kind(start[: _BYTES[version]], endianness=order, check=False)
    shape, channels = _nifti_shape(path, header)
    single = start[_MAGIC_AT[version] :].startswith(_SINGLE[version])
    if not single and not path.name.lower().endswith(PAIR_ENDINGS):
        _damaged(path, "says that its voxels lie in another file (.img)")
    file = _header_file(path) if single else voxel_file(_header_file(path))
    if not single and file == _header_file(path):
        raise ImageError(
            f"{path}: its voxels lie in a file .img of the same name, which is missing; copy that file too"
        )
    offset = float(header["vox_offset"])
    least = _BYTES[version] if single else 0
    if not least <= offset < _FARTHEST_OFFSET or offset != int(offset):
        _damaged(path, f"says that its voxels begin at byte {offset:g}")
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError:
        _damaged(path, f"says that voxels are scaled by {header['scl_slope']:g} and {header['scl_inter']:g}")
    voxels = StoredVoxels(
        file=file,
        offset=int(offset),
        dtype=_nifti_dtype(path, header),
        shape=(channels, *shape),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
    )
    return VolumeHeader(voxels, place_of(path, header, shape), NiftiFields.of(header, version))


def _nifti_shape(path: Path, header: Nifti1Header) -> tuple[Shape, int]:
    """Shape (z, y, x) and number of channels, which lie along the fourth or, of vectors, along the fifth dimension."""
    dimensions = int(header["dim"][0])
    if not 1 <= dimensions <= 7:
        _damaged(path, f"declares {dimensions} dimensions")
    sizes = [int(n) for n in header["dim"][1 : dimensions + 1]]
    if min(sizes) < 1:
        raise ImageError(f"{path}: its header declares an image of no voxel, {tuple(sizes)}; export it again")
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if not 2 <= len(sizes) <= 5 or (len(sizes) == 5 and sizes[3] > 1):
        raise ImageError(f"{path}: has {len(sizes)} dimensions, expected 3 (or 4 with channels)")
    x, y, z = (*sizes, 1)[:3]
    return (z, y, x), sizes[-1] if len(sizes) > 3 else 1


def _nifti_dtype(path: Path, header: Nifti1Header) -> np.dtype:
    code = int(header["datatype"])
    if code in _NUMBERS:
        return header.get_data_dtype()
    if code in _COMPLEX:
        raise ImageError(
            f"{path}: its voxels are complex numbers ({_COMPLEX[code]}); export their magnitude, or real and imaginary "
            "part as an image each"
        )
    if code in _COLOURS:
        raise ImageError(
            f"{path}: its voxels are colours ({_COLOURS[code]}), and a colour is no sequence; export the grey values, "
            "or each colour as an image of its own"
        )
    raise ImageError(
        f"{path}: its voxels have the NIfTI type {code}, which is not read; export them as whole numbers of up to 64 "
        "bits or as float32 or float64"
    )


def _mgh(path: Path) -> VolumeHeader:
    require_readable(path)
    with unfolded(path) as opened:
        start = opened.read(DATA_OFFSET)
    if len(start) < DATA_OFFSET or int.from_bytes(start[:4], "big") != 1:
        _unknown(path, "MGH", start)
    header = MGHHeader(start, check=False)
    x, y, z, frames = (int(n) for n in header["dims"])
    code = int(header["type"])
    if min(x, y, z, frames) < 1:
        raise ImageError(f"{path}: its header declares an image of no voxel, {(x, y, z, frames)}; export it again")
    if code not in _MGH_TYPES:
        _damaged(path, f"states the type {code}, which MGH does not have")
    if not int.from_bytes(start[_RAS_FLAG_AT : _RAS_FLAG_AT + 2], "big"):
        raise ImageError(
            f"{path}: does not say where its voxels lie (its goodRASFlag is 0); convert it with FreeSurfer's "
            "`mri_convert`, which is told the orientation by --in_orientation"
        )
    spacing = np.abs(np.asarray(header["delta"], dtype=float))
    with np.errstate(all="ignore"):
        affine = np.asarray(header.get_affine(), dtype=float)
    geometry = geometry_of_affine(affine, (z, y, x), spacing)
    require_sound(path, geometry)
    return VolumeHeader(
        StoredVoxels(path, DATA_OFFSET, header.get_data_dtype().newbyteorder(">"), (frames, z, y, x)),
        Place(geometry),
        None,
    )


def _unknown(path: Path, kind: str, start: bytes) -> NoReturn:
    if instead := what_it_is(start):
        raise ImageError(f"{path}: {instead}")
    raise ImageError(
        f"{path}: cannot be read as an image (damaged, empty, or no {kind} file although its name says so); copy or "
        "export it again"
    )


def _damaged(path: Path, what: str) -> NoReturn:
    raise ImageError(f"{path}: its header is damaged, it {what}; copy or export it again")
