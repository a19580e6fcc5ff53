"""Wrong fields are told in the words of a file, not of Python."""

import pytest
from pydantic import Field, ValidationError, model_validator

from autoseg.errors import wrong_fields
from autoseg.files import FileModel


class Model(FileModel):
    names: tuple[str, ...] = ("a",)
    some: tuple[str, ...] = Field(default=("a",), min_length=1)

    @model_validator(mode="after")
    def _never_both(self) -> "Model":
        if self.names == ("b",):
            raise ValueError("names: b is no name")
        return self


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"names": "metastasis"}, "names: must be a list, such as [a, b] (it is 'metastasis')"),
        ({"names": None}, "names: must be a list, such as [a, b]"),
        ({"some": []}, "some: the list should have at least 1 item"),
        ({"names": ["b"]}, "names: b is no name"),
    ],
)
def test_what_is_wrong_is_told_in_the_words_of_a_file(fields, told) -> None:
    with pytest.raises(ValidationError) as error:
        Model(**fields)
    assert wrong_fields(error.value) == told
