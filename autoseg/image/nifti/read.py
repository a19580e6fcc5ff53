"""Reads NIfTI-1, NIfTI-2 and MGH images. In: a file. Out: voxels (channel, z, y, x), their place, and what is unusual.

What a file holds decides whether it is unfolded, not whether its name ends in `.gz`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from numpy.typing import NDArray

from autoseg.image.geometry import Geometry
from autoseg.image.nifti.fields import NiftiFields
from autoseg.image.nifti.header import read_volume_header
from autoseg.image.nifti.transforms import Place
from autoseg.image.nifti.voxels import read_voxels


@dataclass(frozen=True)
class NiftiVolume:
    """An image in memory.

    Args:
        array: (channel, z, y, x).
        place: its voxel grid, and what is unusual about it.
        fields: both transforms of its header as they are stored; None for MGH.
    """

    array: NDArray
    place: Place
    fields: NiftiFields | None


def read_nifti(path: Path, *, as_stored: bool) -> NiftiVolume | None:
    """Read a NIfTI or MGH file.

    Args:
        path: path of the file.
        as_stored: keep the file's dtype (float64 where values are scaled) instead of float32.

    Returns:
        None where the file is called `.hdr` or `.img` and is of another format.

    Raises:
        ImageError: the file is damaged, truncated or no such file, or declares more than it or the memory can hold.
    """
    header = read_volume_header(path)
    if header is None:
        return None
    return NiftiVolume(read_voxels(path, header.voxels, as_stored=as_stored), header.place, header.fields)


def read_nifti_geometry(path: Path) -> tuple[Geometry, int] | None:
    """Read the voxel grid and the number of channels from the header alone.

    Returns:
        None where the file is called `.hdr` or `.img` and is of another format.

    Raises:
        ImageError: the header is damaged, or there is no such file.
    """
    header = read_volume_header(path)
    return None if header is None else (header.place.geometry, header.voxels.shape[0])
