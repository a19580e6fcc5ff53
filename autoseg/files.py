"""Atomic writing and locking of files, and reading of files as models, with errors that name the field."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from autoseg.errors import RunFolderError, wrong_fields


class FileModel(BaseModel):
    """Base of all models that are stored in files; they are immutable and reject unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def changed(self, **changes: object) -> Self:
        """Return a copy with other values, which are validated like those read from a file.

        Args:
            changes: new values, keyed by field name.

        Raises:
            ValidationError: the model has no such field, or the field cannot have such a value.
        """
        return type(self).model_validate({name: getattr(self, name) for name in type(self).model_fields} | changes)


def sync(path: Path) -> None:
    """Make the operating system write a file's content to disk now."""
    # Windows syncs only a file that is open for writing; on other systems a copied file may be read-only
    with path.open("r+b" if os.name == "nt" else "rb") as file:
        os.fsync(file.fileno())


@contextmanager
def replaced_when_done(path: Path) -> Iterator[Path]:
    """Give the block a temporary file beside `path`, which is synced and renamed to `path` if the block succeeds.

    The temporary name keeps the file's endings, since writers choose a format by them. Whatever
    interrupts the block, `path` holds either its old or its new content, complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_replaced_when_done(path: Path) -> Iterator[Path]:
    """Give the block a temporary folder beside `path`, which replaces `path` if the block succeeds.

    Raises:
        RunFolderError: `path` is the current folder or a mount point, which cannot be replaced.
    """
    path = path.absolute()
    if path.is_dir() and (os.path.ismount(path) or path.samefile(".")):
        raise RunFolderError(f"{path}: is the current folder or a mounted one; give a new folder inside it")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                sync(file)
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def discard(folder: Path) -> None:
    """Remove a folder if it exists.

    It is renamed first, so that an interruption leaves no incomplete folder under its own name.
    """
    if folder.exists():
        gone = folder.with_name(f".{os.getpid()}.{folder.name}")
        folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically."""
    with replaced_when_done(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def locked(path: Path, doing: str) -> Iterator[None]:
    """Hold a lock while the block runs; the operating system releases it even after kill -9.

    Args:
        path: path of the lock file.
        doing: what the block does, such as `planning`; a second process is told this.

    Raises:
        RunFolderError: another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunFolderError(f"{path.parent}: another process is {doing} here; wait for it or stop it") from None
    try:
        yield
    finally:
        lock.release()


Model = TypeVar("Model", bound=BaseModel)


def read_model(path: Path, model: type[Model], advice: str) -> Model | None:
    """Read a JSON file of a RUN folder as a model; None where there is no such file.

    Args:
        path: path of the file.
        model: model that the file holds.
        advice: what the user can do about a malformed file, for the message.

    Raises:
        RunFolderError: the file is malformed; the message names the file and the field, and gives the advice.
    """
    try:
        return read_existing(path, model, advice)
    except FileNotFoundError:
        return None


def read_existing(path: Path, model: type[Model], advice: str = "") -> Model:
    """Read a JSON file of a RUN folder, which must exist, as a model.

    Args:
        path: path of the file.
        model: model that the file holds.
        advice: what the user can do about a malformed file, for the message.

    Raises:
        FileNotFoundError: there is no such file.
        RunFolderError: the file is malformed; the message names the file and the field, and gives the advice.
    """
    try:
        return model.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise RunFolderError("; ".join(filter(None, (f"{path}: {wrong_fields(error)}", advice)))) from None


def differing_fields(before: BaseModel, after: BaseModel) -> list[str]:
    """Return the dotted paths of the fields in which two models differ."""
    return list(former_values(before, after))


def former_values(before: BaseModel, after: BaseModel) -> dict[str, object]:
    """Return the values that `before` has in the fields in which two models differ, keyed by dotted path."""

    def walk(old: object, new: object, path: str) -> dict[str, object]:
        if old == new:
            return {}
        if isinstance(old, dict) and isinstance(new, dict):
            found: dict[str, object] = {}
            for key in dict.fromkeys([*old, *new]):
                found |= walk(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
            return found
        return {path: old}

    return walk(before.model_dump(), after.model_dump(), "")
