"""Reads a DICOM segmentation (SEG) with highdicom: the kinds BINARY and LABELMAP.

Its frames lie on a lattice of their own, in which frames without voxels may be missing. What the file declares is
compared with what it holds before highdicom sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from autoseg.errors import ImageError
from autoseg.image.declared_size import Declared, require_contained, require_memory
from autoseg.image.dicom.elements import Elements
from autoseg.image.dicom.header import Header, damage_told, read_header
from autoseg.image.dicom.objects import is_segmentation_class
from autoseg.image.dicom.quiet import without_warnings_of_pydicom
from autoseg.image.dicom.records import MOST_FRAMES, MOST_PIXELS
from autoseg.image.dicom_file import UNCOMPRESSED, is_dicom_file
from autoseg.image.geometry import Geometry
from autoseg.image.image_header import require_sound
from autoseg.image.integrity import require_bytes
from autoseg.image.path_choice import split_choice
from autoseg.image.segmentation import Segment, Segmentation, clean_name, require_segments

if TYPE_CHECKING:
    from highdicom import VolumeGeometry
    from highdicom.seg import Segmentation as Parsed

INSTALL = "pip install 'autoseg-framework[dicom]'"
_DECODED = ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90")
# far more than a scanner makes; two frames a kilometre apart are damage
_MOST_SLICES = 20_000


@dataclass(frozen=True)
class _Parsed:
    """What highdicom made of a file.

    Args:
        parsed: segmentation as highdicom holds it, frames and descriptions.
        lattice: the lattice of its frames; None where they have none.
        labels: name and number of each segment.
        by_label_map: whether voxels hold numbers of segments, and not each segment has frames of its own.
    """

    parsed: Parsed
    lattice: VolumeGeometry | None
    labels: tuple[tuple[str, int], ...]
    by_label_map: bool


def find_segmentation(path: Path) -> tuple[Path, str] | None:
    """The DICOM segmentation that a path is, or that a folder holds.

    Returns:
        Its file, and one sentence that names what else the folder holds, empty where there is nothing; None where there
        is no segmentation.

    Raises:
        ImageError: a folder holds several, or a file is damaged.
    """
    if split_choice(path)[1]:
        # a volume of slices is chosen
        return None
    files = [path] if not path.is_dir() else [entry for entry in sorted(path.iterdir()) if entry.is_file()]
    found = [file for file in files if is_dicom_file(file) and _is_segmentation(read_header(file))]
    if len(found) > 1:
        raise ImageError(
            f"{path}: holds {len(found)} segmentations (DICOM SEG), such as {found[0].name} and {found[1].name}; give "
            "the file of one"
        )
    if not found:
        return None
    others = len(files) - 1
    return found[0], f"{path}: read of it {found[0].name}, and none of {others} other files" if others else ""


def read_segmentation(file: Path, onto: Geometry | None) -> Segmentation:
    """Read a DICOM segmentation.

    Args:
        file: path of its file.
        onto: geometry of its image, whose slice distance counts where the file states none; None = the smallest
            distance of its frames counts.

    Raises:
        ImageError: highdicom is not installed, the file is damaged or truncated, or it is of fractions, of tiles, or of
            frames that are no volume.
    """
    frames = _require_read(read_header(file))
    found = _parsed(file, frames, onto)
    if found.lattice is None and onto is not None:
        # the distance of its own frames shows how it differs from the image
        found = _parsed(file, frames, None)
    parsed, lattice, labels, by_label_map = found.parsed, found.lattice, found.labels, found.by_label_map
    if lattice is None:
        what = "tiles, as of microscopy" if parsed.is_tiled else "frames that are not parallel and evenly spaced"
        raise ImageError(f"{file}: is a segmentation of {what}, which is not read; convert it with 3D Slicer")
    geometry = _geometry(file, lattice)
    segments = [
        Segment(clean_name(file, name), number if by_label_map else 1, 0 if by_label_map else layer)
        for layer, (name, number) in enumerate(labels)
        if number > 0
    ]
    layers = 1 if by_label_map else len(labels)
    read = partial(_layer, file, parsed, None if by_label_map else [number for _, number in labels])
    return Segmentation(file, require_segments(file, segments, layers), geometry, layers, read)


def _parsed(file: Path, frames: int, onto: Geometry | None) -> _Parsed:
    parse = _parser(file)
    with without_warnings_of_pydicom():
        with damage_told(file), file.open("rb") as opened:
            dataset = dcmread(opened)
        with damage_told(file, "its description of frames and segments cannot be read"):
            by_label_map = _require_kind(file, dataset, frames) == "LABELMAP"
            _state_slice_distance(dataset, onto)
        try:
            parsed = parse(dataset, copy=False)
            lattice = None if parsed.is_tiled else parsed.get_volume_geometry()
            described = [parsed.get_segment_description(number) for number in parsed.segment_numbers]
            labels = tuple((str(one.segment_label), int(one.segment_number)) for one in described)
        # highdicom raises nearly any exception where an element is missing or not as the standard wants it
        except Exception as error:
            raise _not_understood(file, error) from None
    return _Parsed(parsed, lattice, labels, by_label_map)


def _is_segmentation(header: Header) -> bool:
    return is_segmentation_class(str(header.dataset.get("SOPClassUID") or ""))


def _require_read(header: Header) -> int:
    """Refuse a segmentation that is truncated, or compressed in a way that is not read; return its number of frames."""
    file, pixels, top = header.file, header.pixels, Elements(header.file, [header.dataset])
    rows, columns, frames = top.whole("Rows", 0), top.whole("Columns", 0), top.whole("NumberOfFrames", 1)
    bits = top.whole("BitsAllocated", 0)
    if pixels is None:
        raise ImageError(f"{file}: damaged or truncated, or a segmentation without any voxel; export it again")
    if not (1 <= rows <= MOST_PIXELS and 1 <= columns <= MOST_PIXELS and 1 <= frames <= MOST_FRAMES):
        raise ImageError(f"{file}: its header declares {columns} × {rows} voxels in {frames} frames; copy it again")
    if bits not in (1, 8, 16):
        raise ImageError(f"{file}: its voxels have {bits} bits, which no segmentation has; copy or export it again")
    declared = Declared((columns, rows, frames), 1, max(1, bits // 8), max(1, bits // 8))
    if header.syntax in UNCOMPRESSED:
        length = (declared.values * bits + 7) // 8
        require_bytes(file, header.size, pixels.offset + length)
        if pixels.length is None or pixels.length < length:
            raise ImageError(f"{file}: truncated, holds {pixels.length} of {length} bytes of voxels; copy it again")
    elif header.syntax in _DECODED:
        # each frame has a fragment, which takes eight bytes at least
        require_bytes(file, header.size, pixels.offset + 8 * frames)
        require_contained(file, declared, [file], "compressed")
    else:
        raise ImageError(
            f"{file}: its voxels are compressed in a way that is not read ({UID(header.syntax).name}); decompress it, "
            "for example by `gdcmconv --raw OLD NEW`"
        )
    require_memory(file, declared)
    return frames


def _parser(file: Path) -> Any:
    try:
        from highdicom.seg import Segmentation as Parsed
    except ImportError:
        raise ImageError(
            f"{file}: is a segmentation (DICOM SEG), which takes the library highdicom to read: {INSTALL}"
        ) from None
    return Parsed.from_dataset


def _require_kind(file: Path, dataset: Dataset, frames: int) -> str:
    """Return the segmentation type, if it is read and each frame is described."""
    kind = str(dataset.get("SegmentationType") or "")
    if kind == "FRACTIONAL":
        raise ImageError(
            f"{file}: is a segmentation of fractions (Segmentation Type FRACTIONAL), where no voxel is wholly of a "
            "class; export it as BINARY"
        )
    if kind not in ("BINARY", "LABELMAP"):
        raise ImageError(f"{file}: its Segmentation Type is {kind!r:.40}, which is not read; export it as BINARY")
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if len(own) != frames:
        raise ImageError(f"{file}: damaged, it declares {frames} frames and describes {len(own)}; copy it again")
    return kind


def _state_slice_distance(dataset: Dataset, onto: Geometry | None) -> None:
    """State the slice distance of the image where the segmentation states none: frames may be missing between two."""
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    measures = shared[0].get("PixelMeasuresSequence") if shared else None
    orientation = shared[0].get("PlaneOrientationSequence") if shared else None
    if onto is None or not measures or not orientation or measures[0].get("SpacingBetweenSlices"):
        return
    cosines = [float(number) for number in orientation[0].ImageOrientationPatient]
    along = np.abs(np.asarray(onto.direction) @ np.cross(cosines[:3], cosines[3:]))
    measures[0].SpacingBetweenSlices = float(onto.spacing[int(along.argmax())])


def _geometry(file: Path, lattice: VolumeGeometry) -> Geometry:
    """The lattice as a geometry, z along the frames, y along columns, x along rows."""
    affine = np.asarray(lattice.affine, dtype=float)
    z, y, x = (int(n) for n in lattice.spatial_shape)
    if z > _MOST_SLICES:
        raise ImageError(f"{file}: damaged, its frames lie so far apart that they span {z} slices; copy it again")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    directions = (affine[:3, :3] / spacing).T
    geometry = Geometry(
        shape=(z, y, x),
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        origin=(float(affine[0, 3]), float(affine[1, 3]), float(affine[2, 3])),
        direction=tuple((float(d[0]), float(d[1]), float(d[2])) for d in directions),
    )
    require_sound(file, geometry)
    require_memory(file, Declared((x, y, z), 1, 2, 2))
    return geometry


def _layer(file: Path, parsed: Parsed, numbers: list[int] | None, layer: int) -> NDArray:
    """Values (z, y, x) of the label map, or of one segment where each is a layer of its own."""
    with without_warnings_of_pydicom():
        try:
            if numbers is None:
                return np.asarray(parsed.get_volume(combine_segments=True, skip_overlap_checks=True).array)
            return np.asarray(parsed.get_volume(segment_numbers=[numbers[layer]]).array[..., 0])
        except Exception as error:
            raise _not_understood(file, error) from None


def _not_understood(file: Path, error: Exception) -> ImageError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ImageError(
        f"{file}: highdicom cannot read it as a segmentation ({reason}); it is damaged, or not as the standard wants "
        "it: export it again, or convert it with 3D Slicer"
    )
