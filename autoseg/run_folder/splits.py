"""Which cases each fold trains on and validates on. `splits.json`, replaceable by the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from autoseg.errors import PlanError, wrong_fields
from autoseg.files import FileModel, write_text


class Split(FileModel):
    """One fold.

    Args:
        train: names of the cases it learns from.
        val: names of the cases it is judged on.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]


def cases_of(splits: Sequence[Split]) -> tuple[str, ...]:
    """Names of all cases that folds hold, each once."""
    return tuple(dict.fromkeys(case for split in splits for case in (*split.train, *split.val)))


_SPLITS = TypeAdapter(tuple[Split, ...])


def write_splits(path: Path, splits: tuple[Split, ...]) -> None:
    """Write the folds as a JSON list, nnU-Net's layout of splits_final.json."""
    write_text(path, _SPLITS.dump_json(splits, indent=1).decode())


def read_splits(path: Path) -> tuple[Split, ...]:
    """Read the folds.

    Raises:
        PlanError: missing or malformed; names file and field.
    """
    try:
        return _SPLITS.validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{path}: does not exist; `autoseg plan-and-preprocess` makes it") from None
    except ValidationError as error:
        raise PlanError(f"{path}: {wrong_fields(error)}") from None
