"""Atomic writing and locking of files, and reading of files as models, with errors that name the field."""

from __future__ import annotations

import codecs
import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Self, TypeVar

import psutil
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from autoseg.errors import RunFolderError, wrong_fields

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
        os.fsync(file.fileno())


@contextmanager
def replaced_when_done(path: Path) -> Iterator[Path]:
    """Give the block a temporary file beside `path`, which is synced and renamed to `path` if the block succeeds.

    The temporary name keeps the file's endings, since writers choose a format by them. Whatever
    interrupts the block, `path` holds either its old or its new content, complete. Nobody can foresee the temporary
    name, so that no link can have been put in its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_name(path)
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o666))
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
    """Give the block a temporary folder beside `path`, which replaces `path` if the block succeeds.

    Raises:
        RunFolderError: `path` is the current folder or a mount point, which cannot be replaced.
    """
    path = path.absolute()
    if path.is_dir() and (os.path.ismount(path) or path.samefile(".")):
        raise RunFolderError(f"{path}: is the current folder or a mounted one; give a new folder inside it")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_name(path)
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


def _temporary_name(path: Path) -> Path:
    """A hidden name beside `path` that is not in use, which tells the process and the machine that made it."""
    return path.with_name(passing_name(path.name))


def passing_name(name: str) -> str:
    """Return a hidden name that is not in use and tells this process and this machine; it ends in `name`."""
    return f".{os.getpid()}.{_this_machine()}.{secrets.token_hex(4)}.{name}"


@cache
def _this_machine() -> str:
    """Eight hexadecimal digits for this machine since it was started; process numbers are unique within them."""
    # containers of one host name and machine count their processes each from 1
    try:
        container = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        container = ""
    names = f"{platform.node()} {psutil.boot_time():.0f} {container}"
    return hashlib.blake2b(names.encode(), digest_size=4).hexdigest()


def sweep(folder: Path) -> None:
    """Remove what processes left behind that ended while they wrote: hidden entries with the number of a dead process.

    What another machine wrote stays for a day, since its processes cannot be seen from here.

    Args:
        folder: folder that is searched with all folders in it; links are not followed.
    """
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            entry = Path(where, name)
            if is_left_behind(entry, name):
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
    if machine == _this_machine():
        return not psutil.pid_exists(process)
    try:
        age = time.time() - entry.lstat().st_mtime
    except OSError:
        return False
    return age > SECONDS_OF_LEFTOVERS


def discard(folder: Path) -> None:
    """Remove a folder if it exists.

    It is renamed first, so that an interruption leaves no incomplete folder under its own name.
    """
    if folder.exists():
        gone = _temporary_name(folder)
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


def read_utf8(path: Path) -> bytes:
    """Return a text file's content in UTF-8, without a byte order mark; one in UTF-16 is converted.

    What is no text stays as it is, so that whoever parses it names the place.

    Raises:
        FileNotFoundError: there is no such file.
        RunFolderError: a folder is in its place, or it may not be read.
    """
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise RunFolderError(f"{path}: is a folder where a file is expected; move it away") from None
    except PermissionError:
        raise RunFolderError(f"{path}: there is no permission to read it; ask its owner, or copy the folder") from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace").encode()
    return content.removeprefix(codecs.BOM_UTF8)


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
