"""Reading, writing and resampling of images; the only module that depends on SimpleITK's axis order.

In: a file in one of the formats of `image_header`, or DICOM (a file or a folder). Out: `Image`, an array with axes
(channel, z, y, x) and its `Geometry`. SimpleITK orders spacing, size and index as (x, y, z).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from numpy.typing import DTypeLike, NDArray

from autoseg.errors import ImageError
from autoseg.files import replaced_when_done
from autoseg.image.dicom.choice import ONLY_ONE, Choice
from autoseg.image.dicom.read import read_dicom, read_dicom_geometry
from autoseg.image.dicom_file import is_dicom_file
from autoseg.image.file_kind import require_readable
from autoseg.image.flat.kind import LABEL_ENDING, is_picture
from autoseg.image.geometry import Geometry, Shape
from autoseg.image.image_header import (
    geometry_of,
    itk_errors_told,
    layout_in_file,
    read_header,
    reason_of,
    require_possible,
)
from autoseg.image.integrity import PAIR_ENDINGS, inspect
from autoseg.image.nrrd_segments import segments_of
from autoseg.image.path_choice import split_choice
from autoseg.image.stated_place import left_open
from autoseg.image.text_headers import NRRD_ENDINGS, SEGMENTATION_ENDING
from autoseg.image.whole_numbers import rounded

if TYPE_CHECKING:
    from autoseg.image.flat.read import SpacingSource
    from autoseg.image.flat.resolution import PixelSpacing
    from autoseg.image.nifti.fields import NiftiFields

NIFTI_ENDINGS = (".nii", ".nii.gz")
_OWN_READER = (*NIFTI_ENDINGS, *PAIR_ENDINGS, ".mgh", ".mgz")


@dataclass(frozen=True)
class Image:
    """A voxel array and its geometry.

    Args:
        array: (channel, z, y, x) voxel values.
        geometry: voxel grid of the last three axes.
        left_out: one sentence that names what in a folder of DICOM files was not read; empty where everything was.
        modality: kind of scanner as DICOM states it, such as `MR` or `CT`; empty for other formats.
        cropped: whether background lies all around, as around a segmentation that is cropped to what it shows.
        notes: what is unusual about the place of the voxels, one sentence each.
        rounded: sentence that says which values of a label map were rounded; empty where none was.
        others: grids by which other programs place the same voxels, where a NIfTI file holds two.
        nifti: both transforms of a NIfTI file as they are stored, for writing; None = those of the geometry.
        sized_by: where the size of the pixels of a picture (PNG, TIFF, JPEG, BMP) comes from; empty for other formats.
        done: what was done with a picture, one sentence each, the same for each such file.
        localiser: sentence that says that DICOM holds a localiser alone; empty for other images.
        made_for: grid of the image that a segmentation was made for, in each way in which its file may mean it; empty
            where the file does not state it.
    """

    array: NDArray
    geometry: Geometry
    left_out: str = ""
    modality: str = ""
    cropped: bool = False
    notes: tuple[str, ...] = ()
    rounded: str = ""
    others: tuple[Geometry, ...] = ()
    nifti: NiftiFields | None = None
    sized_by: SpacingSource = ""
    done: tuple[str, ...] = ()
    localiser: str = ""
    made_for: tuple[Geometry, ...] = ()


def read_image(path: Path, choice: Choice = ONLY_ONE, pixel_spacing: PixelSpacing | None = None) -> Image:
    """Read a file or a folder of DICOM slices as a float32 image (channel, z, y, x).

    A fourth dimension, the components of a vector image, or the colours of a picture become channels.

    Args:
        path: path of the file or folder; of DICOM also one that says what is chosen, such as `scan?echo=4.92`.
        choice: which volume is read where DICOM files hold several.
        pixel_spacing: spacing (y, x) in mm of a picture (PNG, TIFF, JPEG, BMP); None = as its file states, else 1 mm.

    Raises:
        ImageError: the file is missing, unreadable, truncated or not three-dimensional, or DICOM files hold several
            volumes and the choice leaves more than one.
    """
    path = Path(path)
    if is_dicom(path):
        return _dicom_image(path, choice, np.float32)
    if path.name.lower().endswith(SEGMENTATION_ENDING):
        raise ImageError(f"{path}: is a segmentation of 3D Slicer, which is read as a label; give the image")
    if path.name.lower().endswith(NRRD_ENDINGS) and segments_of(path, read_header(path)) is not None:
        raise ImageError(f"{path}: names segments, so it is a segmentation, which is read as a label; give the image")
    if (picture := _picture(path, pixel_spacing, is_label=False)) is not None:
        return replace(picture, array=picture.array.astype(np.float32))
    if (own := _own_reader(path, as_stored=False)) is not None:
        return own
    return _by_itk(path, np.float32)


def read_label(path: Path) -> Image:
    """Read a label map (1, z, y, x) in the file's own dtype (integer or float).

    Values within 0.001 of a whole number are rounded; `rounded` of the image says so.

    Raises:
        ImageError: in the cases of `read_image`, and where the file has more than one channel.
    """
    path = Path(path)
    label = _dicom_image(path, ONLY_ONE, None) if is_dicom(path) else read_layers(path)
    if len(label.array) > 1:
        raise ImageError(
            f"{path}: holds {len(label.array)} channels, and a label map must have one channel; save the classes as "
            "the values of one label map"
        )
    array, said = rounded(path, label.array)
    return replace(label, array=array, rounded=said)


def read_layers(path: Path) -> Image:
    """Read a label file that is not DICOM in its own dtype; a fourth dimension, or a vector's components, are channels.

    Args:
        path: path of the file.

    Returns:
        The image (channel, z, y, x).

    Raises:
        ImageError: in the cases of `read_image`.
    """
    if (picture := _picture(path, None, is_label=True)) is not None:
        return picture
    own = _own_reader(path, as_stored=True)
    return _by_itk(path, None) if own is None else own


def _by_itk(path: Path, dtype: DTypeLike | None) -> Image:
    return replace(from_sitk(_read(path), dtype), notes=left_open(path))


def from_sitk(image: sitk.Image, dtype: DTypeLike | None) -> Image:
    """Copy an image of SimpleITK; a 2D one is one slice, a fourth dimension or components become channels.

    Args:
        image: image of two to four dimensions.
        dtype: dtype of the array; None = that of the image.
    """
    image = sitk.JoinSeries(image) if image.GetDimension() == 2 else image
    array = sitk.GetArrayFromImage(image)  # a copy: a view would outlive its image
    if image.GetNumberOfComponentsPerPixel() > 1:
        array = np.moveaxis(array, -1, 0)
    elif image.GetDimension() == 3:
        array = array[None]
    return Image(np.ascontiguousarray(array, dtype=dtype), geometry_of(image))


def read_geometry(path: Path, pixel_spacing: PixelSpacing | None = None) -> tuple[Geometry, int]:
    """Read geometry and number of channels from the header, without reading the voxels.

    Args:
        path: path of the file or folder.
        pixel_spacing: spacing (y, x) in mm of a picture; None = as its file states, else 1 mm.

    Raises:
        ImageError: the file is missing, or its header cannot be read.
    """
    path = Path(path)
    if is_dicom(path):
        with itk_errors_told(path):
            return read_dicom_geometry(path), 1
    if is_picture(path):
        # Pillow takes a tenth of a second to import
        from autoseg.image.flat.read import read_picture_grid

        if (picture := read_picture_grid(path, pixel_spacing)) is not None:
            return picture.geometry, picture.channels
    if path.name.lower().endswith(_OWN_READER):
        # nibabel takes half a second to import
        from autoseg.image.nifti.read import read_nifti_geometry

        if (found := read_nifti_geometry(path)) is not None:
            return found
    header = read_header(path)
    return geometry_of(header), _channels(header)


def is_dicom(path: Path) -> bool:
    """Whether a path is a folder, whose files are slices, or a DICOM file, or what is chosen in one of them.

    Raises:
        ImageError: it cannot be read, or something is chosen in a file of another format.
    """
    require_readable(path)
    place, chosen = split_choice(path)
    # what is called NIfTI is read as such whatever its content
    found = place.is_dir() or (not place.name.lower().endswith(NIFTI_ENDINGS) and is_dicom_file(place))
    if chosen and not found:
        raise ImageError(f"{path}: an image is chosen in DICOM alone, and this is another format; give {place}")
    return found


def write_image(path: Path, image: Image) -> None:
    """Write an image atomically, in the format that the file's ending names.

    Several channels become a vector image. PNG holds label maps of one slice. A NIfTI file gets the transforms of the
    image's `nifti`, where it has them.

    Raises:
        ImageError: the format cannot be written, or writing to the disk fails.
    """
    path = Path(path)
    with replaced_when_done(path) as temporary:
        try:
            if path.name.lower().endswith(NIFTI_ENDINGS):
                from autoseg.image.nifti.write import write_nifti

                write_nifti(temporary, image.array, image.geometry, image.nifti)
            elif path.name.lower().endswith(LABEL_ENDING):
                from autoseg.image.flat.write import write_label_picture

                write_label_picture(temporary, image.array, image.geometry)
            else:
                _write_by_itk(temporary, image)
        except (RuntimeError, OSError) as error:
            raise ImageError(f"{path}: cannot be written ({reason_of(error)})") from None


def _write_by_itk(path: Path, image: Image) -> None:
    sitk.WriteImage(to_sitk(image), str(path), useCompression=True)


def to_sitk(image: Image) -> sitk.Image:
    """Return an image as one of SimpleITK; several channels become its components."""
    array = image.array[0] if image.array.shape[0] == 1 else np.moveaxis(image.array, 0, -1)
    out = sitk.GetImageFromArray(np.ascontiguousarray(array), isVector=image.array.shape[0] > 1)
    _place(out, image.geometry)
    return out


def resample_onto(image: Image, target: Geometry, *, nearest: bool = False) -> Image:
    """Resample an image to another grid by world coordinates.

    Args:
        image: image that is resampled.
        target: geometry of the result; voxels outside `image` become zero.
        nearest: take the nearest voxel, as label maps need it, instead of linear interpolation.
    """
    interpolator = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    reference = sitk.Image([int(n) for n in target.shape[::-1]], sitk.sitkUInt8)
    _place(reference, target)
    channels = []
    for channel in image.array:
        moving = sitk.GetImageFromArray(np.ascontiguousarray(channel))
        _place(moving, image.geometry)
        moved = sitk.Resample(moving, reference, sitk.Transform(), interpolator, 0.0)
        channels.append(sitk.GetArrayFromImage(moved))
    return Image(np.stack(channels), target)


def resample_affinely(
    array: NDArray, matrix: NDArray[np.float64], offset: NDArray[np.float64], size: Shape, *, nearest: bool = False
) -> NDArray:
    """Resample an array by an affine map between voxel indices, in one thread.

    Args:
        array: (z, y, x) of any dtype, which the result has too.
        matrix: (3, 3) matrix; voxel `v` (z, y, x) of the result shows the array at `matrix @ v + offset`.
        offset: (3,) offset (z, y, x) in voxels of the array.
        size: shape (z, y, x) of the result; voxels outside the array become zero.
        nearest: take the nearest voxel, as label maps need it, instead of linear interpolation.
    """
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[::-1, ::-1].ravel().tolist())
    transform.SetTranslation(offset[::-1].tolist())
    resampling = sitk.ResampleImageFilter()
    resampling.SetSize([int(n) for n in size[::-1]])
    resampling.SetTransform(transform)
    resampling.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    resampling.SetNumberOfWorkUnits(1)
    return sitk.GetArrayFromImage(resampling.Execute(sitk.GetImageFromArray(array)))


def _picture(path: Path, pixel_spacing: PixelSpacing | None, *, is_label: bool) -> Image | None:
    """The image of a picture; None where a file is none."""
    if not is_picture(path):
        return None
    from autoseg.image.flat.read import read_picture

    if (found := read_picture(path, pixel_spacing, is_label=is_label)) is None:
        return None
    return Image(found.array, found.grid.geometry, sized_by=found.grid.source, done=found.told)


def _own_reader(path: Path, *, as_stored: bool) -> Image | None:
    """The image of a NIfTI or MGH file; None where it is of another format."""
    if not path.name.lower().endswith(_OWN_READER):
        return None
    from autoseg.image.nifti.read import read_nifti

    with itk_errors_told(path):
        volume = read_nifti(path, as_stored=as_stored)
    if volume is None:
        return None
    place = volume.place
    return Image(volume.array, place.geometry, notes=place.notes, others=place.others, nifti=volume.fields)


def _read(path: Path) -> sitk.Image:
    header = read_header(path)
    require_possible(path, header)
    inspect(path, layout_in_file(header))
    with itk_errors_told(path):
        return header.Execute()


def _dicom_image(path: Path, choice: Choice, dtype: DTypeLike | None) -> Image:
    with itk_errors_told(path):
        volume = read_dicom(path, choice, dtype)
    return Image(volume.array[None], volume.geometry, volume.left_out, volume.modality, localiser=volume.localiser)


def _channels(header: sitk.ImageFileReader) -> int:
    size = header.GetSize()
    return int(size[3]) if len(size) == 4 else int(header.GetNumberOfComponents())


def _place(image: sitk.Image, geometry: Geometry) -> None:
    """Give SimpleITK's image a geometry; the inverse of `geometry_of`."""
    image.SetSpacing(geometry.spacing[::-1])
    image.SetOrigin(geometry.origin)
    image.SetDirection(np.asarray(geometry.direction)[::-1].T.ravel().tolist())
