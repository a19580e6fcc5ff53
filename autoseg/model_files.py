"""Pydantic models as JSON files: how one is read, and in what two of them differ."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from autoseg.errors import RunFolderError, wrong_fields

Model = TypeVar("Model", bound=BaseModel)


def read_model(path: Path, model: type[Model], advice: str) -> Model | None:
    """What a file of a RUN folder holds; None where there is no such file.

    Args:
        path: the file.
        model: that it is read as.
        advice: what a person does where it is malformed.

    Raises:
        RunFolderError: it is malformed; names file and field, and gives the advice.
    """
    try:
        return read_existing(path, model, advice)
    except FileNotFoundError:
        return None


def read_existing(path: Path, model: type[Model], advice: str = "") -> Model:
    """What a file of a RUN folder holds that must be there.

    Args:
        path: the file.
        model: that it is read as.
        advice: what a person does where it is malformed.

    Raises:
        RunFolderError: it is malformed; names file and field, and gives the advice.
    """
    try:
        return model.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise RunFolderError("; ".join(filter(None, (f"{path}: {wrong_fields(error)}", advice)))) from None


def differing_fields(before: BaseModel, after: BaseModel) -> list[str]:
    """Dotted paths of the fields in which two models differ."""

    def walk(old: object, new: object, path: str) -> list[str]:
        if old == new:
            return []
        if isinstance(old, dict) and isinstance(new, dict):
            keys = dict.fromkeys([*old, *new])
            return [field for key in keys for field in walk(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))]
        return [path]

    return walk(before.model_dump(), after.model_dump(), "")
