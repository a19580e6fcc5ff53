"""What the values of a label map mean, and how they relate to the network's output channels.

`Labels` alone knows the values in the files, their names and the order of the output channels;
training sees consecutive class indices (0 = background), predictions are given in file values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from autoseg.errors import DatasetError


class Labels(BaseModel):
    """Values in the files and names of the classes, background first.

    Args:
        values: file value of class 0, 1, 2 …; `values[0]` is the background's.
        names: their names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: tuple[int, ...] = Field(min_length=2)
    names: tuple[str, ...] = Field(min_length=2)

    @property
    def classes(self) -> int:
        """Number of classes, background included: the network's output channels."""
        return len(self.values)

    @property
    def foreground(self) -> tuple[str, ...]:
        """Names of the classes without the background."""
        return self.names[1:]

    def to_classes(self, array: NDArray) -> NDArray[np.uint8]:
        """File values to class indices, same shape.

        Raises:
            DatasetError: a value that is not declared, or a fractional one.
        """
        found = np.unique(array)
        undeclared = [v for v in found.tolist() if v not in self.values]
        if undeclared:
            raise DatasetError([f"label value {v:g} is not declared" for v in undeclared])
        # searchsorted over the declared values: exact for integers and integer-valued floats alike
        order = np.argsort(self.values)
        sorted_values = np.asarray(self.values)[order]
        return order.astype(np.uint8)[np.searchsorted(sorted_values, array)]

    def to_values(self, classes: NDArray) -> NDArray:
        """Class indices to file values, in the smallest integer type that holds every value."""
        dtype = np.result_type(*(np.min_scalar_type(v) for v in self.values))
        return np.asarray(self.values, dtype=dtype)[classes]
