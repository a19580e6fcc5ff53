"""The classes of a data set: their values in label files, their names, and their order as network outputs.

Training uses consecutive class indices (0 = background); predicted label maps hold the values of the data set's
files. `Labels` converts between the two. Where a data set has regions, sets of values that may overlap, these are
learned and evaluated in place of the classes. Voxels with the value `ignore` are not annotated. Both are nnU-Net's
(Isensee et al., Nature Methods 2021; release 2.8.1, `LabelManager`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from autoseg.errors import DatasetError
from autoseg.files import FileModel
from autoseg.image.whole_numbers import written

_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64)

IGNORE = "ignore"
"""Name of the label that marks voxels which are not annotated."""


class LabelRegion(FileModel):
    """A region: values in label files that are learned and evaluated as one; regions may overlap.

    Args:
        name: name of the region.
        values: values of the voxels that belong to the region.
        value: value of a voxel in a predicted label map where this is the last region that holds it.
    """

    name: str
    values: tuple[int, ...] = Field(min_length=1)
    value: int


class Labels(FileModel):
    """Values in label files and names of the classes, background first.

    Args:
        values: value in label files of class 0, 1, 2 …; `values[0]` is that of the background.
        names: name of class 0, 1, 2 …; `names[0]` is that of the background.
        regions: regions in the order in which they are written into a predicted label map; empty = the classes
            themselves are learned.
        ignore: value of the voxels that are not annotated; None = every voxel is annotated.

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

        Two regions, the second inside of the first; 9 marks voxels that are not annotated.

        >>> labels = Labels(
        ...     values=(0, 1, 2),
        ...     names=("background", "label 1", "label 2"),
        ...     regions=(
        ...         LabelRegion(name="whole", values=(1, 2), value=1),
        ...         LabelRegion(name="core", values=(2,), value=2),
        ...     ),
        ...     ignore=9,
        ... )
        >>> labels.foreground, labels.outputs
        (('whole', 'core'), 2)
        >>> classes = labels.to_classes(np.array([[0, 1, 2, 9]]))
        >>> labels.mask(classes, 1)
        array([[False,  True,  True, False]])
        >>> labels.annotated(classes)
        array([[ True,  True,  True, False]])
        >>> labels.of_regions([labels.mask(classes, 1), labels.mask(classes, 2)])
        array([[0, 1, 2, 0]], dtype=uint8)
    """

    values: tuple[int, ...] = Field(min_length=2)
    names: tuple[str, ...] = Field(min_length=2)
    regions: tuple[LabelRegion, ...] = ()
    ignore: int | None = None

    @model_validator(mode="after")
    def _fields_agree(self) -> Labels:
        of_regions = {value for region in self.regions for value in (*region.values, region.value)}
        if unknown := sorted(of_regions - set(self.values[1:])):
            raise ValueError(f"regions: {', '.join(map(str, unknown))} is the value of no foreground label")
        if len({region.name for region in self.regions}) < len(self.regions):
            raise ValueError("regions: two have the same name")
        if self.ignore is not None and self.ignore <= max(self.values):
            raise ValueError(f"ignore: {self.ignore} is not larger than every other value")
        return self

    @model_serializer(mode="wrap")
    def _fields_in_use(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        # files, and hashes of them, are as earlier releases made them where a data set has neither
        fields: dict[str, object] = write(self)
        unused = [name for name, used in (("regions", self.regions), ("ignore", self.ignore is not None)) if not used]
        return {name: value for name, value in fields.items() if name not in unused}

    @property
    def classes(self) -> int:
        """Number of classes in label maps, with the background and without ignored voxels."""
        return len(self.values)

    @property
    def outputs(self) -> int:
        """Number of the network's output channels: the regions or, where there are none, all classes."""
        return len(self.regions) or len(self.values)

    @property
    def foreground(self) -> tuple[str, ...]:
        """Names of what is learned and evaluated: the regions or, where there are none, the foreground classes."""
        return tuple(region.name for region in self.regions) or self.names[1:]

    @property
    def overlapping(self) -> bool:
        """Whether regions are learned: a voxel may belong to several, and no output stands for the background."""
        return bool(self.regions)

    @property
    def ignored(self) -> int | None:
        """Class index of the voxels that are not annotated, the one after the last class; None = there are none."""
        return None if self.ignore is None else len(self.values)

    @property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """Class indices of each region or, where there are none, of each foreground class."""
        if not self.regions:
            return tuple((index,) for index in range(1, self.classes))
        return tuple(tuple(self.values.index(value) for value in region.values) for region in self.regions)

    @property
    def plain(self) -> bool:
        """Whether the data set has neither regions nor ignored voxels."""
        return not self.regions and self.ignore is None

    def lost(self) -> dict[int, int]:
        """Values that are not given back when the regions of a label map are written, with what becomes of each."""
        became = dict.fromkeys(self.values[1:], 0)
        for region in self.regions:
            became |= dict.fromkeys(region.values, region.value)
        return {value: other for value, other in became.items() if self.regions and other != value}

    def mask(self, classes: NDArray[np.uint8], index: int) -> NDArray[np.bool_]:
        """Voxels of a foreground class or a region.

        Args:
            classes: class indices, of any shape.
            index: position in `foreground`, counted from 1.
        """
        if not self.regions:
            return np.asarray(classes == index)
        inside = np.zeros(256, dtype=bool)
        inside[list(self.members[index - 1])] = True
        return inside[classes]

    def annotated(self, classes: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        """Voxels that are annotated; None where the data set has no ignored voxels."""
        return None if self.ignored is None else np.asarray(classes != self.ignored)

    def any_foreground(self, classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Voxels of any class but the background; ignored voxels are none."""
        foreground = classes > 0
        if self.ignored is not None:
            foreground &= classes != self.ignored
        return foreground

    def of_regions(self, masks: Iterable[NDArray[np.bool_]]) -> NDArray[np.uint8]:
        """Class indices of predicted regions, by nnU-Net's rule: regions are written in order, each over the former.

        Args:
            masks: voxels of each region, in their order.
        """
        classes: NDArray[np.uint8] | None = None
        for region, mask in zip(self.regions, masks, strict=True):
            if classes is None:
                classes = np.zeros(mask.shape, np.uint8)
            classes[mask] = self.values.index(region.value)
        assert classes is not None
        return classes

    def to_classes(self, array: NDArray) -> NDArray[np.uint8]:
        """Convert file values to class indices, in an array of the same shape; ignored voxels get `ignored`.

        Args:
            array: label map in file values, of any shape and of an integer or float dtype.

        Raises:
            DatasetError: a value is not declared; the error lists all such values.
        """
        order = np.argsort(self.file_values)
        sorted_values = np.asarray(self.file_values)[order]
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
        values = self.file_values
        low, high = min(values), max(values)
        dtype = next(t for t in _INTEGERS if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
        if values == tuple(range(len(values))):
            # the file values equal the indices, so that no look-up is needed
            return classes.astype(dtype)
        return np.asarray(values, dtype=dtype)[classes]

    @property
    def file_values(self) -> tuple[int, ...]:
        """Every value that label files may hold, by class index; that of ignored voxels is the last."""
        return self.values if self.ignore is None else (*self.values, self.ignore)
