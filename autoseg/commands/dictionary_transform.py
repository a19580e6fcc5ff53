"""A transform of dictionaries, as MONAI has them, that adds a prediction. MONAI itself is not imported here.

A tensor of MONAI has axes (channel, x, y, z) and an affine matrix to RAS, or to LPS where its `meta` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from autoseg.errors import InputError
from autoseg.image.image import Image, to_sitk
from autoseg.image.nifti.transforms import geometry_of_affine

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class OnDictionary:
    """Adds the prediction of the images in a dictionary.

    Args:
        predictor: predicts a dict of images by the names of its `sequences`.
        keys: key of each sequence, by name or in the order of the sequences; None = the names themselves.
        output: key of the prediction.

    Raises:
        InputError: a name is no sequence, or the keys are not as many as the sequences.
    """

    def __init__(self, predictor: Any, keys: Mapping[str, str] | Sequence[str] | None, output: str) -> None:
        sequences: tuple[str, ...] = predictor.sequences
        if keys is None:
            keys = sequences
        if not isinstance(keys, Mapping):
            keys = [keys] if isinstance(keys, str) else keys
            if len(keys) != len(sequences):
                raise InputError(f"{len(keys)} keys for {len(sequences)} sequences ({', '.join(sequences)})")
            keys = dict(zip(sequences, keys, strict=True))
        if unknown := [name for name in keys if name not in sequences]:
            raise InputError(f"{', '.join(unknown)}: no such sequence; the models know {', '.join(sequences)}")
        self._predictor, self._keys, self._output = predictor, dict(keys), output

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return a copy of the dictionary with the prediction."""
        given = {name: data[key] for name, key in self._keys.items() if data.get(key) is not None}
        predicted = self._predictor({name: _image(image) for name, image in given.items()})
        if (like := next(filter(_is_tensor, given.values()), None)) is None:
            return {**data, self._output: predicted}
        # the prediction lies on the grid of the first sequence that is there, in the order of the models
        first = given[next(name for name in self._predictor.sequences if name in given)]
        made = _like(first, predicted) if _is_tensor(first) else _tensor(type(like), predicted).to(like.device)
        return {**data, self._output: made}


def _is_tensor(image: object) -> bool:
    return hasattr(image, "affine") and hasattr(image, "meta") and callable(getattr(image, "detach", None))


def _image(image: Any) -> object:
    """A tensor of MONAI as an image of SimpleITK; anything else as it is."""
    if not _is_tensor(image):
        return image
    if image.ndim != 4:
        raise InputError(
            f"a tensor of shape {tuple(image.shape)}: expected (channel, x, y, z); add EnsureChannelFirstd"
        )
    # SimpleITK has no half precision; what is complex is refused as such
    array = np.asarray((image if image.is_complex() else image.float()).detach().cpu()).transpose(0, 3, 2, 1)
    affine = np.asarray(image.affine.cpu(), float)
    if str(image.meta.get("space", "RAS")).endswith("LPS"):
        affine = _LPS_TO_RAS @ affine
    _, z, y, x = array.shape
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return to_sitk(Image(array, geometry_of_affine(affine, (z, y, x), lengths)))


def _like(tensor: Any, predicted: sitk.Image) -> Any:
    """The label map (1, x, y, z) as a tensor of MONAI with the place and the history of another one."""
    return type(tensor)(
        _voxels(predicted),
        affine=tensor.affine.clone(),
        meta={key: value for key, value in tensor.meta.items() if key != "affine"},
        applied_operations=list(tensor.applied_operations),
    ).to(tensor.device)


def _tensor(kind: Any, predicted: sitk.Image) -> Any:
    """The label map (1, x, y, z) as a tensor of MONAI with a place of its own."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(predicted.GetDirection(), (3, 3)) * predicted.GetSpacing()
    affine[:3, 3] = predicted.GetOrigin()
    # its meta data state no space, which is RAS
    return kind(_voxels(predicted), affine=_LPS_TO_RAS @ affine)


def _voxels(predicted: sitk.Image) -> NDArray[Any]:
    """The values (1, x, y, z) of a label map, in a dtype that torch computes with."""
    array = sitk.GetArrayFromImage(predicted).T[None]
    return np.ascontiguousarray(array, np.int64 if array.dtype.kind == "u" and array.dtype.itemsize > 1 else None)
