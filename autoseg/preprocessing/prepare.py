"""Prepares a loaded case for the network: crop, normalise, resample. Training cases and new images are treated alike.

The order is nnU-Net's: intensity statistics are those of the acquired voxels, not of
interpolated ones. They are those of the whole image also where the plan has a region, so that an image is normalised
in the same way with and without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.load import LoadedCase
from autoseg.image.geometry import Shape, slices_of
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan
from autoseg.preprocessing.crop import box_of, nonzero_mask
from autoseg.preprocessing.normalize import normalize
from autoseg.preprocessing.region import Part, cropped, part_of
from autoseg.preprocessing.resample import new_shape_for, resample_image, resample_label
from autoseg.run_folder.preprocessed_case import CaseRecord


@dataclass(frozen=True)
class PreparedCase:
    """A case at a configuration's spacing.

    Args:
        record: reorientation, crop and resampling, by which predictions are brought back to the stored image.
        image: normalised image (channel, z, y, x) float32; absent channels are zero.
        label: class indices (z, y, x) uint8; None where the case has no label.
    """

    record: CaseRecord
    image: NDArray[np.float32]
    label: NDArray[np.uint8] | None


def prepare_case(
    loaded: LoadedCase, plan: Plan, configuration: Configuration, name: str, part: Part | None = None
) -> PreparedCase:
    """Crop to non-zero and to the plan's region, normalise and resample a case.

    Peak memory is the image before and after resampling; see `benchmarks/memory_preprocess.py`.

    Args:
        loaded: case in the plan's orientation. If the caller keeps no reference to it, its voxels are freed
            as soon as they are normalised.
        plan: plan whose channels say how to normalise, and to which region is cropped.
        configuration: configuration whose spacing the case is resampled to.
        name: name of the case, for its record.
        part: part of the image that is prepared; None = as the plan's region says.
    """
    mask = nonzero_mask(loaded.image, loaded.present)
    nonzero = box_of(mask)
    lower, upper = cropped(nonzero, part or part_of(loaded, plan.region))
    geometry = loaded.geometry
    spacing = geometry.spacing
    target = configuration.target_spacing(spacing)
    shape = new_shape_for((upper[0] - lower[0], upper[1] - lower[1], upper[2] - lower[2]), spacing, target)
    record = CaseRecord(
        case=name,
        stored=loaded.stored,
        reorientation=loaded.reorientation,
        crop_lower=lower,
        crop_upper=upper,
        spacing=target,
        shape=shape,
        present=loaded.present,
        nifti=loaded.nifti,
    )
    label = None if loaded.label is None else loaded.label[slices_of((lower, upper))]
    box = slices_of(nonzero)
    image = normalize(loaded.image[(slice(None), *box)], mask[box], plan.channels, loaded.present)
    del loaded, mask
    if (lower, upper) != nonzero:
        inside = slices_of((_minus(lower, nonzero[0]), _minus(upper, nonzero[0])))
        image = np.ascontiguousarray(image[(slice(None), *inside)])
    if label is not None:
        label = np.ascontiguousarray(resample_label(label, spacing, shape, target))
    return PreparedCase(record, resample_image(image, spacing, shape, target), label)


def _minus(index: Shape, origin: Shape) -> Shape:
    z, y, x = (i - o for i, o in zip(index, origin, strict=True))
    return z, y, x
