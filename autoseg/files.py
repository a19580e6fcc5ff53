"""Atomic writing of files, and reading of files as models, with errors that name the field."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from autoseg.disk.staging import staging_folder
from autoseg.disk.text_files import TextRefused, read_json_bytes
from autoseg.disk.this_process import start_of, this_machine
from autoseg.disk.transient import patiently
from autoseg.errors import LockTakenOver, RunFolderError, wrong_fields

_LEFTOVER = re.compile(r"\.(\d+)\.([0-9a-f]{8})\.[0-9a-f]{8}\..")
SECONDS_OF_LEFTOVERS = 24 * 3600.0
"""What a process of another machine began to write counts as left behind after this time."""


LEAST_FREE_BYTES = 4 * 2**20
"""A disk with less free space counts as full."""


class FileModel(BaseModel):
    """Base of all models that are stored in files; they are immutable, and reject unknown fields and nan or inf."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
        try:
            os.fsync(file.fileno())
        except OSError as error:
            # some file systems of networks cannot sync, and say so
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise OSError(error.errno, error.strerror, str(path)) from None


@contextmanager
def replaced_when_done(path: Path) -> Iterator[Path]:
    """Give the block a temporary file, which is synced and renamed to `path` if the block succeeds.

    The temporary name keeps the file's endings, since writers choose a format by them. Whatever
    interrupts the block, `path` holds either its old or its new content, complete. Nobody can foresee the temporary
    name, so that no link can have been put in its place.

    Raises:
        RunFolderError: this process held a lock, and another one has taken it over; `path` is as it was.
    """
    _make_parent(path)
    with _lock_is_ours():
        temporary = _temporary_name(path)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        os.close(patiently(os.open, temporary, flags, 0o666))
        try:
            yield temporary
            patiently(sync, temporary)
            _rename(temporary, path)
        finally:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def disk_errors_named(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Raise a library's own error while it writes a file as an error of the operating system that names the file.

    Args:
        path: file that is written.
        kinds: errors that the library raises when the disk is full or broken.

    Raises:
        OSError: the library failed to write the file.
    """
    try:
        yield
    except kinds as error:
        full = shutil.disk_usage(path.parent).free < LEAST_FREE_BYTES
        if not full and "I/O" not in str(error):
            raise
        why = os.strerror(errno.ENOSPC) if full else " ".join(str(error).split())
        raise OSError(errno.ENOSPC if full else errno.EIO, why, str(path)) from None


@contextmanager
def folder_replaced_when_done(path: Path) -> Iterator[Path]:
    """Give the block a temporary folder, which replaces `path` if the block succeeds.

    Raises:
        RunFolderError: `path` is the current folder or a mount point, which cannot be replaced; or this process held a
            lock, and another one has taken it over.
    """
    path = path.absolute()
    if path.is_dir() and (os.path.ismount(path) or path.samefile(".")):
        raise RunFolderError(f"{path}: is the current folder or a mounted one; give a new folder inside it")
    _make_parent(path)
    with _lock_is_ours():
        temporary = _temporary_name(path)
        patiently(temporary.mkdir)
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    patiently(sync, file)
            discard(path)
            _rename(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _lock_is_ours() -> Iterator[None]:
    """Turn the loss of the folder that this process stages in into a message: its lock was taken over."""
    staging = staging_folder()
    try:
        yield
    except OSError as error:
        # the kernel says so at the rename itself, or at whatever was written before
        if staging is None or staging.exists() or error.errno not in (errno.ENOENT, errno.ESTALE):
            raise
        raise LockTakenOver(
            f"{staging.parent.parent}: another process has taken over this work, since this process stood still for a "
            "minute or more (a paused computer, or a disk that did not answer); the other one goes on, this one wrote "
            "nothing since, and you need to do nothing"
        ) from None


def move(path: Path, target: Path) -> None:
    """Rename a complete file to another name, in whose place there may be a file.

    Raises:
        RunFolderError: this process held a lock, and another one has taken it over; both are as they were.
    """
    with _lock_is_ours():
        _rename(path, target)


def _rename(temporary: Path, path: Path) -> None:
    """Rename a complete file or folder to its place, while the lock of this process is its own."""
    if (staging := staging_folder()) is not None and temporary.parent != staging:
        # on another disk than the lock, so that the rename itself cannot tell
        staging.stat()
    patiently(temporary.replace, path)


def _temporary_name(path: Path) -> Path:
    """A hidden name that is not in use, in the staging folder, or beside `path` where that is on another disk."""
    staging = staging_folder()
    if staging is None or staging.stat().st_dev != path.parent.stat().st_dev:
        return hidden_name(path.parent, path.name)
    return hidden_name(staging, path.name)


def passing_name(name: str) -> str:
    """Return a hidden name that is not in use and tells this process and this machine; it ends in `name`."""
    return f".{os.getpid()}.{this_machine()}.{secrets.token_hex(4)}.{name}"


PASSING_NAME = "autoseg"
"""End of the names of temporary files and folders that the next command removes where their process was killed."""


@contextmanager
def passing_folder() -> Iterator[Path]:
    """Give the block a folder in the system's folder for temporary files, which is removed afterwards.

    Only this user can enter it. What a killed process left is removed by `sweep_passing_files`.
    """
    folder = Path(tempfile.gettempdir()) / passing_name(PASSING_NAME)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hidden_name(folder: Path, name: str) -> Path:
    """Return a hidden path in a folder that is not in use, which tells the process and the machine that made it."""
    return folder / passing_name(name)


def sweep(folder: Path) -> None:
    """Remove what processes left behind that ended while they wrote: hidden entries with the number of a dead process.

    What another machine wrote stays for a day, since its processes cannot be seen from here.

    Args:
        folder: folder that is searched with all folders in it; links are not followed.
    """
    for where, folders, files in os.walk(folder):
        _remove_leftovers(Path(where), (*folders, *files))


def _make_parent(path: Path) -> None:
    """Make the folder that a file or folder is written into."""
    patiently(path.parent.mkdir, parents=True, exist_ok=True)
    _sweep_once(path.parent.absolute())


@cache
def _sweep_once(folder: Path) -> None:
    """As `sweep`, of the folder itself alone, and once in a process: listing it again and again would take long."""
    with suppress(OSError):
        _remove_leftovers(folder, [entry.name for entry in folder.iterdir()])


def _remove_leftovers(folder: Path, names: Sequence[str]) -> None:
    # a RUN folder of ten thousand cases has eighty thousand entries, and hardly one of them is hidden
    for name in (name for name in names if name.startswith(".")):
        entry = folder / name
        if not is_left_behind(entry, name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with suppress(OSError):
                entry.unlink()


def is_left_behind(entry: Path, name: str) -> bool:
    """Whether a file or folder has a name of `passing_name`, and its process has ended.

    Args:
        entry: path of the file or folder.
        name: its name, without what the system puts before it.
    """
    found = _LEFTOVER.match(name)
    if found is None:
        return False
    process, machine = int(found[1]), found[2]
    if machine == this_machine():
        return start_of(process) is None
    try:
        age = time.time() - entry.lstat().st_mtime
    except OSError:
        return False
    return age > SECONDS_OF_LEFTOVERS


def discard(folder: Path) -> None:
    """Remove a folder if it exists.

    It is renamed first, so that an interruption leaves no incomplete folder under its own name.

    Raises:
        RunFolderError: this process held a lock, and another one has taken it over; the folder is as it was.
    """
    if folder.exists():
        with _lock_is_ours():
            gone = _temporary_name(folder)
            patiently(folder.replace, gone)
            shutil.rmtree(gone, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically."""
    with replaced_when_done(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_utf8(path: Path, read: Callable[[Path], bytes] = read_json_bytes) -> bytes:
    """Return a text file's content in UTF-8, without a byte order mark; one in UTF-16 is converted.

    What is no text stays as it is, so that whoever parses it names the place.

    Args:
        path: path of the file.
        read: function that reads a file of this kind within its bounds.

    Raises:
        FileNotFoundError: there is no such file.
        RunFolderError: a folder is in its place, it may not be read, or it is too large.
    """
    try:
        return patiently(read, path)
    except TextRefused as error:
        raise RunFolderError(f"{path}: {error}") from None
    except IsADirectoryError:
        raise RunFolderError(f"{path}: is a folder where a file is expected; move it away") from None
    except PermissionError:
        raise RunFolderError(f"{path}: there is no permission to read it; ask its owner, or copy the folder") from None


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
        return model.model_validate_json(read_utf8(path))
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
