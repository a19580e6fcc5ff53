"""Says why a label map is not on the grid of its image, and what to do; a wrong header is not resampled."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.grids import difference, same_voxels
from autoseg.dataset.lattice import padded_onto
from autoseg.errors import ImageError
from autoseg.image.geometry import Geometry, farthest_apart, to_canonical
from autoseg.image.image import Image, read_geometry

_SAME_SPACING, _SAME_DIRECTION = 1e-2, 1e-2
# a header that was written with wrong signs fits to far less; one that is a voxel beside is another case
_MIRRORED_VOXELS = 0.5
_UNITS = {1: "metre", 3: "micron"}
_UNIT_BITS = 7


def why_off_grid(path: Path, label: Image, image: Image) -> str:
    """The sentence that names the cause and the cure, without its end.

    Args:
        path: file of the label map.
        label: label map (1, z, y, x) that lies on no grid of the image.
        image: its image (channel, z, y, x).
    """
    here, there = label.geometry, image.geometry
    told = _told(path, label, image)
    unusual = [note for note in (*image.notes, *label.notes) if note]
    same_size = _turned(here).shape == _turned(there).shape
    scout = [image.localiser] if image.localiser and not same_size else []
    return "; ".join([told, *scout, *unusual])


def on_another_sequence(path: Path, label: Image, images: Sequence[Path | None]) -> str:
    """The sentence on a label map that lies on another image of its case than the first; empty where it lies on none.

    Args:
        path: file of the label map.
        label: label map (1, z, y, x) that does not lie on the first image.
        images: images of the case, of which headers alone are read.
    """
    for image in dict.fromkeys(one for one in images if one is not None):
        # one that cannot be read is told where it is read
        with suppress(ImageError):
            if _lies_on(label, read_geometry(image)[0]):
                return (
                    f"label {path} lies on the voxels of {image}, and not on those of the first image of the case: "
                    "list that sequence first (in a table: its column), so that the others come onto its grid"
                )
    return ""


def _lies_on(label: Image, grid: Geometry) -> bool:
    if label.cropped:
        # what does not fit is an error
        padded_onto(label, grid)
        return True
    return same_voxels(label.geometry, grid)


def _told(path: Path, label: Image, image: Image) -> str:
    here, there = label.geometry, image.geometry
    off = f"label {path} is not on the grid of the image: {difference(here, there)}"
    again = "export it again on the image's own grid"
    if _turned(here).shape != _turned(there).shape:
        return f"{off}; {again}, or resample it (nearest neighbour)"
    if wrong := _wrong_unit(label, image):
        return f"{off}; {wrong}"
    if not _same_spacing(_turned(here), _turned(there)):
        return f"{off}; {again}, or resample it (nearest neighbour)"
    if label.sized_by:
        return f"{off}; a picture states no place: {again}"
    if axes := mirrored_axes(here, there):
        return (
            f"label {path} has the image's size, but lies mirrored ({' and '.join(axes)}; {difference(here, there)}): "
            "its header was probably written wrongly (RAS for LPS). Copy the image's header to it, and look at both in "
            "a viewer; resampling would move the label"
        )
    if here.shape == there.shape and np.allclose(here.direction, there.direction, atol=_SAME_DIRECTION):
        voxels = there.largest_offset(here)
        return (
            f"label {path} has the image's size and spacing, but lies {farthest_apart(here, there):.3g} mm "
            f"({voxels:.3g} voxels) beside it: was its header written by another program? Copy the image's header to "
            f"it if both show the same voxels in a viewer; else {again}. Resampling would keep the shift"
        )
    return f"{off}; size and spacing are the image's, so that its header may be wrong: {again}, do not resample it"


def mirrored_axes(geometry: Geometry, target: Geometry) -> tuple[str, ...]:
    """World axes whose signs have to be turned so that a grid becomes another; empty where that is not enough.

    The signs are those of the whole header, as where RAS was written for LPS, or of its directions alone.

    Args:
        geometry: grid whose header may have wrong signs.
        target: grid of the same voxels.
    """
    for signs in sorted(product((1.0, -1.0), repeat=3), key=lambda one: -sum(one))[1:]:
        turned = np.asarray(geometry.direction) * signs
        x, y, z = (float(n) for n in np.asarray(geometry.origin) * signs)
        whole = replace(geometry, origin=(x, y, z), direction=_rows(turned))
        if target.largest_offset(whole) <= _MIRRORED_VOXELS:
            return _named(signs)
        if target.largest_offset(replace(geometry, direction=_rows(turned))) <= _MIRRORED_VOXELS:
            return _named(signs)
    return ()


def _named(signs: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(axis for axis, sign in zip("xyz", signs, strict=True) if sign < 0)


def _rows(directions: NDArray[np.float64]) -> tuple[tuple[float, float, float], ...]:
    return tuple((float(x), float(y), float(z)) for x, y, z in directions)


def _wrong_unit(label: Image, image: Image) -> str:
    """What is wrong where the voxels of one file are a thousand times as large as those of the other; else empty."""
    mine, its = (np.asarray(_turned(one.geometry).spacing) for one in (label, image))
    if not any(np.allclose(mine, its * factor, rtol=_SAME_SPACING) for factor in (1000.0, 0.001)):
        return ""
    for what, one, size in (("image", image, its), ("label", label, mine)):
        unit = _UNITS.get(one.nifti.xyzt_units & _UNIT_BITS) if one.nifti is not None else None
        if unit is not None:
            return (
                f"the header of the {what} states {unit}, so that a voxel has {_sizes(size)} mm. The unit is probably "
                f"wrong: set xyzt_units of the {what} to mm"
            )
    return "one of the two headers has a wrong unit or a wrong spacing: correct it"


def _sizes(spacing: NDArray[np.float64]) -> str:
    return " × ".join(f"{number:.4g}" for number in spacing)


def _same_spacing(a: Geometry, b: Geometry) -> bool:
    return bool(np.allclose(a.spacing, b.spacing, rtol=_SAME_SPACING))


def _turned(geometry: Geometry) -> Geometry:
    return to_canonical(geometry).apply_to_geometry(geometry)
