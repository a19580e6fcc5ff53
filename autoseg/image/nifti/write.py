"""Writes NIfTI files, by nibabel, with the transforms of another file where they are given."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from nibabel.nifti2 import Nifti2Header, Nifti2Image
from numpy.typing import NDArray

from autoseg.image.geometry import Geometry
from autoseg.image.nifti.fields import NiftiFields

_LONGEST_AXIS = 2**15 - 1
# smaller files take longer, and label maps are small
_COMPRESSION = 6
_SCANNER = 1
_VECTOR = 1007


def write_nifti(path: Path, array: NDArray, geometry: Geometry, fields: NiftiFields | None) -> None:
    """Write an image as NIfTI, gzipped where the name ends in `.gz`.

    Args:
        path: path of the file.
        array: (channel, z, y, x); several channels become a vector image.
        geometry: voxel grid of the axes (z, y, x).
        fields: transforms and unit that the header gets; None = both transforms as the geometry has it, in mm.

    Raises:
        OSError: writing to the disk fails.
    """
    is_second = max(array.shape) > _LONGEST_AXIS or (fields is not None and fields.version == 2)
    header = Nifti2Header() if is_second else Nifti1Header()
    voxels = array.T[..., 0] if array.shape[0] == 1 else array.T[..., None, :]
    header.set_data_dtype(array.dtype)
    header.set_data_shape(voxels.shape)
    if array.shape[0] > 1:
        header["intent_code"] = _VECTOR
    if fields is None:
        _place(header, geometry)
    else:
        fields.put_into(header)
    image = (Nifti2Image if is_second else Nifti1Image)(voxels, None, header, dtype=array.dtype)
    with path.open("wb") as file:
        if not path.name.lower().endswith(".gz"):
            image.to_stream(file)
            return
        # without name and time, so that the same image makes the same file
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=file, mtime=0) as packed:
            image.to_stream(packed)


def _place(header: Nifti1Header, geometry: Geometry) -> None:
    affine = np.eye(4)
    affine[:3, :3] = geometry.axes()[::-1].T
    affine[:3, 3] = geometry.origin
    affine[:2] *= -1
    header.set_qform(affine, _SCANNER)
    header.set_sform(affine, _SCANNER)
    # the lengths of the columns are rounded
    header["pixdim"][1:4] = geometry.spacing[::-1]
    header.set_xyzt_units("mm", "sec")
