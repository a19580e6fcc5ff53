"""`splits.json`: the training and validation cases of each fold; the user may replace it by folds of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from autoseg.errors import PlanError, wrong_fields
from autoseg.files import FileModel, read_utf8, write_text
from autoseg.names import PlainName


class Split(FileModel):
    """Cases of one fold.

    Args:
        train: names of the cases that the fold is trained on.
        val: names of the cases that the fold is validated on.
        allow_overlap: whether a case, or a patient with several cases, may be in both. The fold's results are then too
            favourable. autoseg never makes such folds.
    """

    train: tuple[PlainName, ...]
    val: tuple[PlainName, ...]
    allow_overlap: bool = False


def cases_of(splits: Sequence[Split]) -> tuple[str, ...]:
    """Names of all cases in the folds, each once."""
    return tuple(dict.fromkeys(case for split in splits for case in (*split.train, *split.val)))


_SPLITS = TypeAdapter(tuple[Split, ...])


def write_splits(path: Path, splits: tuple[Split, ...]) -> None:
    """Write the folds as a JSON list, in the layout of nnU-Net's splits_final.json."""
    write_text(path, _SPLITS.dump_json(splits, indent=1, exclude_defaults=True).decode())


def read_splits(path: Path) -> tuple[Split, ...]:
    """Read the folds.

    Raises:
        PlanError: the file is missing or malformed; the message names the file and the field.
    """
    try:
        return _SPLITS.validate_json(read_utf8(path))
    except FileNotFoundError:
        raise PlanError(f"{path}: does not exist; `autoseg plan-and-preprocess` makes it") from None
    except ValidationError as error:
        raise PlanError(f"{path}: {wrong_fields(error)}") from None
