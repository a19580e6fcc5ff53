"""Chooses one of the two transforms of a NIfTI header, and says in millimetres by how much the other one differs.

The rule, for images and label maps alike: the sform where its code is not 0; else the qform where its code is not 0;
else the spacing alone, with x to the left, y to the front, z up and the middle of the image at 0. It is nibabel's. A
transform that is taken and holds no numbers is an error. NIfTI's world is RAS (x to the right, y to the front).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.quaternions import quat2mat
from nibabel.volumeutils import shape_zoom_affine
from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.image.geometry import NEAR_VOXELS, Geometry, Shape, farthest_apart
from autoseg.image.sound_geometry import require_sound

_UNITS = {0: ("unknown", 1.0), 1: ("metre", 1000.0), 2: ("mm", 1.0), 3: ("micron", 0.001)}
_UNIT_BITS = 7
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# lengths of the columns and the spacing of a header in single precision differ by less
_SPACING_ROUNDING = 1e-5
# rounded parameters of a rotation may be a little longer than 1
_LONGEST_QUATERNION = 1.01


@dataclass(frozen=True)
class Place:
    """Where a header places its voxels.

    Args:
        geometry: voxel grid by the transform that is taken.
        others: grids by which other programs may place the same voxels.
        notes: what is unusual, one sentence each, which begins with the path.
    """

    geometry: Geometry
    others: tuple[Geometry, ...] = ()
    notes: tuple[str, ...] = ()


def place_of(path: Path, header: Nifti1Header, shape: Shape) -> Place:
    """Place the voxels of a NIfTI file.

    Args:
        path: path of the file, for messages.
        header: its header, as nibabel has it.
        shape: number of voxels along (z, y, x).

    Raises:
        ImageError: the transform that is taken holds no numbers, or the unit is not known.
    """
    unit = int(header["xyzt_units"]) & _UNIT_BITS
    if unit not in _UNITS:
        raise ImageError(f"{path}: its header is damaged, its unit of length has the code {unit}; export it again")
    name, millimetres = _UNITS[unit]
    zooms = np.abs(np.asarray(header["pixdim"][1:4], dtype=float))
    if shape[0] == 1 and not zooms[2] > 0:
        zooms[2] = 1.0 / millimetres
    found = _Found(
        path=path,
        codes={"sform": int(header["sform_code"]), "qform": int(header["qform_code"])},
        affines={"sform": header.get_sform(), "qform": _qform(header, zooms)},
        grid=partial(_geometry, shape=shape, zooms=zooms, millimetres=millimetres),
    )
    taken = next((kind for kind, code in found.codes.items() if code), None)
    try:
        if taken is None:
            straight = found.grid(shape_zoom_affine(shape[::-1], zooms))
            place = _without_transform(path, straight, found.grid(_by_itk(zooms)))
        else:
            place = _by_transform(found, taken, zooms * millimetres)
    except ImageError as error:
        unit_told = "" if millimetres == 1 else f"; its header states {name}: if that is wrong, set xyzt_units to mm"
        raise ImageError(f"{error}{unit_told}") from None
    if millimetres == 1:
        return place
    size = " × ".join(f"{zoom * millimetres:.4g}" for zoom in zooms)
    converted = f"{path}: its unit is {name}, converted to mm: a voxel has {size} mm (x, y, z)"
    return replace(place, notes=(converted, *place.notes))


@dataclass(frozen=True)
class _Found:
    """What a header holds: code and matrix (4, 4) of each transform, and the function that makes grids of matrices."""

    path: Path
    codes: dict[str, int]
    affines: dict[str, NDArray[np.float64]]
    grid: Callable[[NDArray[np.float64]], Geometry]


def _by_itk(zooms: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix by which ITK places a file without transforms: y to the back, and the first voxel at 0."""
    return np.diag([-zooms[0], -zooms[1], zooms[2], 1.0])


def _without_transform(path: Path, geometry: Geometry, by_itk: Geometry) -> Place:
    require_sound(path, geometry)
    note = (
        f"{path}: says nothing of its place in the patient (sform_code and qform_code are 0): taken are x to the "
        "left, y to the front and z up; left and right may be exchanged: look at it in a viewer. If you have its "
        "DICOM, convert it with dcm2niix, which writes the place"
    )
    return Place(geometry, (by_itk,), (note,))


def _by_transform(found: _Found, taken: str, spacing: NDArray[np.float64]) -> Place:
    """The place by the transform that is taken; `spacing` (x, y, z) is that of the header in mm."""
    path, affine = found.path, found.affines[taken]
    if not np.isfinite(affine).all():
        usable = [kind for kind, other in found.affines.items() if found.codes[kind] and np.isfinite(other).all()]
        cure = (
            f"set its {taken}_code to 0 to go by the {usable[0]}, or export it again" if usable else "export it again"
        )
        raise ImageError(f"{path}: its header is wrong, its {taken} holds NaN or is no transform; {cure}")
    geometry = found.grid(affine)
    try:
        require_sound(path, geometry)
    except ImageError as error:
        raise ImageError(f"{error}{_sound_qform(found) if taken == 'sform' else ''}") from None
    if taken == "qform":
        return Place(geometry)
    if not found.codes["qform"]:
        wrong = _other_spacing(geometry, spacing)
        return Place(geometry, notes=(f"{path}: {wrong}",) if wrong else ())
    qform = found.grid(found.affines["qform"])
    if not np.isfinite([*qform.origin, *np.ravel(qform.direction)]).all():
        return Place(geometry, notes=(f"{path}: its qform holds NaN or is no transform; taken is the sform",))
    if geometry.largest_offset(qform) <= NEAR_VOXELS:
        return Place(geometry)
    return Place(geometry, (qform,), (_differing(path, geometry, qform, found.codes),))


def _sound_qform(found: _Found) -> str:
    """What to do where the sform is wrong and the qform is not, as the end of a sentence; else empty."""
    if not found.codes["qform"] or not np.isfinite(found.affines["qform"]).all():
        return ""
    try:
        require_sound(found.path, found.grid(found.affines["qform"]))
    except ImageError:
        return ""
    return "; its qform is sound: to go by that, set sform_code to 0"


def _qform(header: Nifti1Header, zooms: NDArray[np.float64]) -> NDArray[np.float64]:
    """The qform's matrix (4, 4) as `nifti1.h` defines it; NaN where its parameters are no rotation."""
    b, c, d = (float(header[f"quatern_{letter}"]) for letter in "bcd")
    length = b * b + c * c + d * d
    affine = np.eye(4)
    if not length <= _LONGEST_QUATERNION:
        return affine * np.nan
    # a rest within rounding is none: its root would turn the axes by hundredths of a degree
    rest = 1.0 - length if 1.0 - length >= abs(header.quaternion_threshold) else 0.0
    longest = max(1.0, length**0.5)
    quaternion = np.array([rest**0.5, b / longest, c / longest, d / longest])
    sign = -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    affine[:3, :3] = quat2mat(quaternion) * (zooms * [1.0, 1.0, sign])
    affine[:3, 3] = [float(header[f"qoffset_{axis}"]) for axis in "xyz"]
    return affine


def _geometry(affine: NDArray[np.float64], shape: Shape, zooms: NDArray[np.float64], millimetres: float) -> Geometry:
    """The grid of a matrix (4, 4) from indices (x, y, z) to RAS in the header's unit."""
    affine = affine.copy()
    if shape[0] == 1 and not affine[:3, 2].any():
        # a single slice needs no distance to the next one
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        affine[:3, 2] = normal / max(float(np.linalg.norm(normal)), 1e-300) * zooms[2]
    affine[:3] *= millimetres
    return geometry_of_affine(affine, shape, zooms * millimetres)


def geometry_of_affine(affine: NDArray[np.float64], shape: Shape, spacing: NDArray[np.float64]) -> Geometry:
    """Return the grid of a matrix (4, 4) from indices (x, y, z) to RAS in mm.

    Args:
        affine: the matrix, whose columns are steps of one voxel along x, y and z.
        shape: number of voxels along (z, y, x).
        spacing: spacing (x, y, z) in mm of the header, taken for the lengths of the columns where they are the same
            but for rounding.
    """
    lps = _RAS_TO_LPS @ affine
    lengths = np.linalg.norm(lps[:3, :3], axis=0)
    with np.errstate(all="ignore"):
        # adding 0 makes 0 of -0
        directions = (lps[:3, :3] / lengths).T[::-1] + 0.0
        lengths = np.where(np.abs(lengths - spacing) <= _SPACING_ROUNDING * spacing, spacing, lengths)
    x, y, z = (lps[:3, 3] + 0.0).tolist()
    return Geometry(
        shape=shape,
        spacing=(float(lengths[2]), float(lengths[1]), float(lengths[0])),
        origin=(x, y, z),
        direction=tuple((float(row[0]), float(row[1]), float(row[2])) for row in directions),
    )


def _differing(path: Path, geometry: Geometry, qform: Geometry, codes: dict[str, int]) -> str:
    ours, theirs = geometry.orientation(), qform.orientation()
    turned = f", with axes along {ours} and {theirs} (z, y, x)" if ours != theirs else ""
    return (
        f"{path}: its two transforms place it up to {farthest_apart(geometry, qform):.3g} mm apart{turned}: taken is "
        f"the sform (code {codes['sform']}), and programs that take the qform (code {codes['qform']}) show it "
        "elsewhere; lay the label over the image in a viewer, and set both transforms alike to be rid of this"
    )


def _other_spacing(geometry: Geometry, spacing: NDArray[np.float64]) -> str | None:
    """Text that says how the spacing of a header differs from that of its sform; None where it does not."""
    own = np.array(geometry.spacing[::-1])
    reach = np.abs(own - spacing) * (np.array(geometry.shape[::-1]) - 1)
    if not (reach > NEAR_VOXELS * own).any():
        return None
    stated, taken = (" × ".join(f"{s:.4g}" for s in values) for values in (spacing, own))
    return f"its pixdim says that a voxel has {stated} mm (x, y, z), its sform {taken}; taken is the sform"
