"""The classes of a data set: their values in label files, their names, and their order as network outputs.

Training uses consecutive class indices (0 = background); predicted label maps hold the values of the data set's
files. `Labels` converts between the two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from autoseg.errors import DatasetError
from autoseg.files import FileModel
from autoseg.image.whole_numbers import written

_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64)


class Labels(FileModel):
    """Values in label files and names of the classes, background first.

    Args:
        values: value in label files of class 0, 1, 2 …; `values[0]` is that of the background.
        names: name of class 0, 1, 2 …; `names[0]` is that of the background.

    Examples:
        A data set whose files hold 0, 200 and 500.

        >>> import numpy as np
        >>> labels = Labels(values=(0, 200, 500), names=("background", "body", "disc"))
        >>> labels.classes
        3
        >>> labels.foreground
        ('body', 'disc')
        >>> classes = labels.to_classes(np.array([[0, 200], [500, 200]]))
        >>> classes
        array([[0, 1],
               [2, 1]], dtype=uint8)
        >>> labels.to_values(classes)
        array([[  0, 200],
               [500, 200]], dtype=uint16)

        A value that the data set does not declare is an error.

        >>> labels.to_classes(np.array([[0, 7]]))
        Traceback (most recent call last):
            ...
        autoseg.errors.DatasetError: label value 7 is not declared
    """

    values: tuple[int, ...] = Field(min_length=2)
    names: tuple[str, ...] = Field(min_length=2)

    @property
    def classes(self) -> int:
        """Number of classes with the background, which is the number of the network's output channels."""
        return len(self.values)

    @property
    def foreground(self) -> tuple[str, ...]:
        """Names of the classes without the background."""
        return self.names[1:]

    def to_classes(self, array: NDArray) -> NDArray[np.uint8]:
        """Convert file values to class indices, in an array of the same shape.

        Args:
            array: label map in file values, of any shape and of an integer or float dtype.

        Raises:
            DatasetError: a value is not declared; the error lists all such values.
        """
        order = np.argsort(self.values)
        sorted_values = np.asarray(self.values)[order]
        classes = np.empty(array.shape, np.uint8)
        undeclared: set[float] = set()
        # searchsorted over the declared values is exact for integers and integer-valued floats alike;
        # it goes slice by slice, since its indices take eight times as much memory as the classes
        slices = array.reshape(-1, *array.shape[-2:]) if array.ndim > 2 else array[None]
        for found, out in zip(slices, classes.reshape(slices.shape), strict=True):
            place = np.searchsorted(sorted_values, found).clip(max=len(order) - 1)
            wrong = sorted_values[place] != found
            if wrong.any():
                undeclared.update(np.unique(found[wrong]).tolist())
            out[...] = order[place]
        if undeclared:
            raise DatasetError([f"label value {written(value)} is not declared" for value in sorted(undeclared)])
        return classes

    def to_values(self, classes: NDArray) -> NDArray:
        """Convert class indices to file values, in the smallest integer dtype that holds every file value."""
        low, high = min(self.values), max(self.values)
        dtype = next(t for t in _INTEGERS if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
        if self.values == tuple(range(len(self.values))):
            # the file values equal the indices, so that no look-up is needed
            return classes.astype(dtype)
        return np.asarray(self.values, dtype=dtype)[classes]
