"""The elements that hold for one frame of a DICOM file, as text and as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from autoseg.errors import ImageError
from autoseg.image.dicom.header import TAGS, damage


class Elements:
    """The elements that hold for one frame, looked up in several data sets, the first that has one wins."""

    def __init__(self, file: Path, datasets: Sequence[Dataset]) -> None:
        self._file = file
        self._datasets = datasets

    def find(self, keyword: str) -> object:
        """The value of an element; None where it is absent or empty."""
        tag = TAGS[keyword]
        for dataset in self._datasets:
            # no context manager, which would take as long as the look-up
            try:
                value = dataset[tag].value if tag in dataset else None
            except Exception as error:
                raise damage(self._file, error, f"its element {keyword} cannot be read") from None
            if value is not None and value != "":
                return value
        return None

    def text(self, keyword: str) -> str:
        """The value as text, several values with a backslash between."""
        value = self.find(keyword)
        if value is None:
            return ""
        several = value if not isinstance(value, (str, bytes)) and hasattr(value, "__iter__") else (value,)
        return "\\".join(str(one).strip(" \0") for one in several)

    def numbers(self, keyword: str, name: str, count: int) -> tuple[float, ...] | None:
        """Finite numbers; None where the element is absent.

        Raises:
            ImageError: they are not as many, or not finite.
        """
        value = self.find(keyword)
        if value is None:
            return None
        try:
            several = value if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)) else (value,)
            found = tuple(float(one) for one in several)
        except (TypeError, ValueError):
            found = ()
        if len(found) != count or not all(map(math.isfinite, found)):
            raise ImageError(f"{self._file}: its {name} {self.text(keyword)!r:.60} is damaged; copy it again")
        return found

    def number(self, keyword: str, name: str = "") -> float | None:
        """One finite number; None where the element is absent."""
        found = self.numbers(keyword, name or keyword, 1)
        return None if found is None else found[0]

    def first_number(self, *keywords: str) -> float | None:
        """The first of several elements that the frame has."""
        return next((found for keyword in keywords if (found := self.number(keyword)) is not None), None)

    def whole(self, keyword: str, otherwise: int) -> int:
        """A whole number."""
        found = self.number(keyword)
        return otherwise if found is None else int(found)
