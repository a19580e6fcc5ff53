"""What `autoseg.Predictor` gives for an image: a label map of SimpleITK, with what else was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any

import SimpleITK as sitk


class PredictionWarning(UserWarning):
    """Something is unusual about an image that was predicted, or about its prediction."""


class Prediction(sitk.Image):
    """A predicted label map on the grid of its image, with the values of the data set's label files.

    It is used as any image of SimpleITK. What SimpleITK computes from it is an image without the attributes.

    Args:
        image: the label map; further arguments are those of `SimpleITK.Image`.
        probabilities: probability of each class, or of each region, by its name: images of float32 on the same grid.
            Empty where they were not asked for.
        members: label map that each model would predict alone, by configuration and fold, such as `3d fold 0`. Empty
            where they were not asked for.
        notes: what is unusual about the image or its prediction, one sentence each.
    """

    def __init__(
        self,
        *image: Any,
        probabilities: Mapping[str, sitk.Image] = MappingProxyType({}),
        members: Mapping[str, sitk.Image] = MappingProxyType({}),
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(*image)
        self.probabilities = dict(probabilities)
        self.members = dict(members)
        self.notes = notes

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle the image with its attributes, which SimpleITK leaves out."""
        return _unpickled, (sitk.Image(self), self.probabilities, self.members, self.notes)

    def __copy__(self) -> Prediction:
        return _unpickled(sitk.Image(self), self.probabilities, self.members, self.notes)

    def __deepcopy__(self, memo: dict[int, Any]) -> Prediction:
        return _unpickled(
            sitk.Image(self), deepcopy(self.probabilities, memo), deepcopy(self.members, memo), self.notes
        )


def _unpickled(
    image: sitk.Image,
    probabilities: Mapping[str, sitk.Image],
    members: Mapping[str, sitk.Image],
    notes: tuple[str, ...],
) -> Prediction:
    return Prediction(image, probabilities=probabilities, members=members, notes=notes)
