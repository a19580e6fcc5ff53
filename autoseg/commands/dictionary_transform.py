"""A transform of dictionaries, as MONAI has them, that adds a prediction. MONAI itself is not imported here.

A tensor of MONAI has axes (channel, x, y, z) and an affine matrix to RAS, or to LPS where its `meta` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk

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
        tensors = [image for image in given.values() if _is_tensor(image)]
        predicted = self._predictor({name: _image(image) for name, image in given.items()})
        return {**data, self._output: _like(tensors[0], predicted) if tensors else predicted}


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
    array = sitk.GetArrayFromImage(predicted).T[None]
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        # torch computes little with these
        array = array.astype(np.int64)
    return type(tensor)(
        np.ascontiguousarray(array),
        affine=tensor.affine.clone(),
        meta={key: value for key, value in tensor.meta.items() if key != "affine"},
        applied_operations=list(tensor.applied_operations),
    ).to(tensor.device)
