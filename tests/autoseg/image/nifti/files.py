"""Small NIfTI and MGH files whose every header field a test chooses; nibabel's checks change nothing of them."""

import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

SHAPE = (6, 5, 4)
"""x, y, z."""


def affine(spacing=(1.0, 1.5, 3.0), origin=(10.0, -20.0, 30.0)) -> np.ndarray:
    """Axes along RAS."""
    found = np.diag([*spacing, 1.0])
    found[:3, 3] = origin
    return found


def moved(x: float, y: float, z: float) -> np.ndarray:
    found = np.eye(4)
    found[:3, 3] = x, y, z
    return found


def voxels(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Along (x, y, z …)."""
    return np.random.default_rng(0).normal(100, 20, shape).astype(np.float32)


def header(
    shape: tuple[int, ...] = SHAPE,
    *,
    qform: tuple[np.ndarray | None, int] = (None, 0),
    sform: tuple[np.ndarray | None, int] = (None, 0),
    version: int = 1,
    order: str = "<",
    dtype: object = np.float32,
    fields: Mapping[str, object] | None = None,
) -> Nifti1Header:
    made = (Nifti1Header if version == 1 else Nifti2Header)(endianness=order)
    made.set_data_dtype(dtype)
    made.set_data_shape(shape)
    made["vox_offset"] = 352 if version == 1 else 544
    if (given := qform[0] if qform[0] is not None else sform[0]) is not None:
        made["pixdim"][1:4] = np.linalg.norm(given[:3, :3], axis=0)
    if qform[0] is not None:
        made.set_qform(*qform)
    if sform[0] is not None:
        made.set_sform(*sform)
    for name, value in (fields or {}).items():
        made[name] = value
    return made


def write(path: Path, array: np.ndarray, made: Nifti1Header | None = None, *, packed: bool | None = None) -> Path:
    """Write an array (x, y, z …); it is gzipped where the name says so, or where `packed` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = made or header(array.shape, sform=(affine(), 1), dtype=array.dtype)
    stored = array.astype(made.get_data_dtype())
    content = made.binaryblock + bytes(4) + stored.tobytes(order="F")
    packed = path.name.endswith(".gz") if packed is None else packed
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def write_mgh(
    path: Path, array: np.ndarray, where: np.ndarray, *, packed: bool | None = None, **fields: object
) -> Path:
    made = MGHHeader()
    made.set_data_dtype(array.dtype)
    made.set_data_shape(array.shape)
    made["delta"] = np.linalg.norm(where[:3, :3], axis=0)
    made["Mdc"] = (where[:3, :3] / made["delta"]).T
    made["Pxyz_c"] = (where @ [*(np.array(array.shape[:3]) / 2), 1])[:3]
    stored = array.astype(array.dtype.newbyteorder(">")).tobytes(order="F")
    for name, value in fields.items():
        made[name] = value
    content = made.binaryblock[:90] + bytes(194) + stored
    packed = path.name.endswith("z") if packed is None else packed
    path.write_bytes(gzip.compress(content) if packed else content)
    return path
