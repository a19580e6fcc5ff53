"""Finds cases that an earlier release preprocessed at another place than their NIfTI files have by the rule of today.

Earlier releases left the choice between the two transforms of a NIfTI header to ITK. They recorded none of the
header's fields, by which such a case is known. The two choices differ only where the two transforms do.
"""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from autoseg.dataset.case import Case
from autoseg.errors import ImageError
from autoseg.image.geometry import NEAR_VOXELS, Geometry, farthest_apart
from autoseg.image.image import NIFTI_ENDINGS
from autoseg.image.image_header import geometry_of, itk_errors_told
from autoseg.run_folder.preprocessed_case import CaseRecord


def why_elsewhere(case: Case, record: CaseRecord) -> str:
    """Why a preprocessed case lies elsewhere than its files say now, as a sentence; empty where it does not.

    Args:
        case: the case and its files, whose content is that of the preprocessed case.
        record: record of the preprocessed case.

    Raises:
        ImageError: a header cannot be read.
    """
    # records of today have the field, also where the image is no NIfTI file
    if "nifti" in record.model_fields_set:
        return ""
    first, *others = dict.fromkeys(image for image in case.images if image is not None)
    places = [(first, record.stored), *((image, None) for image in others)]
    for image, stored in places:
        if image.name.lower().endswith(NIFTI_ENDINGS) and (apart := _moved_by(image, stored)):
            return (
                f"{case.name}: is preprocessed again: the two transforms of {image.name} differ, and an earlier "
                f"release placed it by the other one, up to {apart:.3g} mm away"
            )
    return ""


def _moved_by(image: Path, stored: Geometry | None) -> float:
    """How many mm the file lies from where an earlier release placed it; 0 where it lies right.

    Args:
        image: path of a NIfTI file.
        stored: where it was placed; None = where ITK places it.
    """
    # nibabel takes half a second to import
    from autoseg.image.nifti.header import read_volume_header

    header = read_volume_header(image)
    if header is None or not header.place.others:
        return 0.0
    now, then = header.place.geometry, stored or _by_itk(image)
    return farthest_apart(now, then) if then is not None and now.largest_offset(then) > NEAR_VOXELS else 0.0


def _by_itk(image: Path) -> Geometry | None:
    reader = sitk.ImageFileReader()
    try:
        with itk_errors_told(image):
            reader.SetImageIO("NiftiImageIO")
            reader.SetFileName(str(image))
            reader.ReadImageInformation()
            return geometry_of(reader)
    except ImageError:
        # an earlier release could not have read it either
        return None
