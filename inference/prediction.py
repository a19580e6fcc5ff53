"""What `autoseg.Predictor` gives for an image: a label map of SimpleITK, with what else was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk

if TYPE_CHECKING:
    from pandas import DataFrame


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
        measurements: a row for each class, with the columns of `measurements.csv` but `case` and `image`. None where
            they were not asked for.
    """

    def __init__(
        self,
        *image: Any,
        probabilities: Mapping[str, sitk.Image] = MappingProxyType({}),
        members: Mapping[str, sitk.Image] = MappingProxyType({}),
        notes: tuple[str, ...] = (),
        measurements: DataFrame | None = None,
    ) -> None:
        super().__init__(*image)
        self.probabilities = dict(probabilities)
        self.members = dict(members)
        self.notes = notes
        self.measurements = measurements

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle the image with its attributes, which SimpleITK leaves out."""
        return _rebuilt, (sitk.Image(self), self._attributes)

    def __copy__(self) -> Prediction:
        return _rebuilt(sitk.Image(self), self._attributes)

    def __deepcopy__(self, memo: dict[int, Any]) -> Prediction:
        return _rebuilt(sitk.Image(self), deepcopy(self._attributes, memo))

    @property
    def _attributes(self) -> dict[str, Any]:
        names = ("probabilities", "members", "notes", "measurements")
        return {name: getattr(self, name) for name in names}


def _rebuilt(image: sitk.Image, attributes: Mapping[str, Any]) -> Prediction:
    return Prediction(image, **attributes)
