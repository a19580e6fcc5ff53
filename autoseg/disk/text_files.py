"""Reads text files of strangers within bounds: what is too large is refused before memory is taken.

A parsed file takes up to a hundred times its bytes, so that a JSON file is also bounded by its number of values.
"""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

MIB = 2**20
MOST_JSON_BYTES = 128 * MIB
MOST_YAML_BYTES = 2 * MIB
MOST_LIST_BYTES = MIB
"""Most bytes of a list of checksums, which has a line a file of a case or fold."""

MOST_VALUES = 2_000_000
"""Most values in a JSON file; a wrong one takes up to 400 bytes of memory while the file is checked."""


class TextRefused(ValueError):
    """A text file is too large or no file at all; the message says why, and does not name the file."""


SPECIAL = "is a pipe, socket or device where a file is expected; move it away"


def is_special(path: Path) -> bool:
    """Whether a path is no file and no folder: a pipe is told before it is opened, since opening waits for its writer.

    Raises:
        OSError: there is nothing at the path.
    """
    mode = path.stat().st_mode
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def first_bytes(path: Path, most_bytes: int) -> bytes:
    """Return the beginning of a small file; nothing where it cannot be read just now, or is a link or a pipe.

    Args:
        path: path of the file, which other processes may write or remove meanwhile.
        most_bytes: number of bytes that are read at most.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            return file.read(most_bytes) or b""
    except OSError:
        return b""


def last_bytes(path: Path, most_bytes: int) -> bytes:
    """Return the end of a file; arguments, and what is not read, as of `first_bytes`."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most_bytes))
            return file.read(most_bytes) or b""
    except OSError:
        return b""


def _without_waiting(path: str, flags: int) -> int:
    """Open a file, but follow no link, and wait for no writer of a pipe."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """Return the content of a text file.

    Args:
        path: path of the file.
        most_bytes: largest size that is read.

    Raises:
        OSError: the file cannot be read.
        TextRefused: the file is larger, or is a pipe or a device.
    """
    if is_special(path):
        raise TextRefused(SPECIAL)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        # a file may grow meanwhile
        content = b"" if size > most_bytes else file.read(most_bytes + 1)
        size = max(size, len(content))
    if size > most_bytes:
        raise TextRefused(
            f"is {size / MIB:.0f} MiB large, and {most_bytes / MIB:.0f} MiB are read at most; is it the right file?"
        )
    return content


def read_json_bytes(path: Path) -> bytes:
    """Return the content of a JSON file, in UTF-8 without a byte order mark.

    Raises:
        OSError: the file cannot be read.
        TextRefused: the file has more bytes or values than are read, or is no file.
    """
    content = as_utf8(read_bounded(path, MOST_JSON_BYTES))
    if (why := why_too_large(content)) is not None:
        raise TextRefused(f"{why}; is it the right file?")
    return content


def why_too_large(content: bytes) -> str | None:
    """Return why the content of a JSON file is not read, as the end of a sentence; None if it is."""
    if len(content) > MOST_JSON_BYTES:
        return f"is {len(content) / MIB:.0f} MiB large, and {MOST_JSON_BYTES / MIB:.0f} MiB are read at most"
    values = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    return f"has {values:,} values, at most {MOST_VALUES:,} are read" if values > MOST_VALUES else None


def read_yaml_bytes(path: Path) -> bytes:
    """Return the content of a YAML file, in UTF-8 without a byte order mark.

    Raises:
        OSError: the file cannot be read.
        TextRefused: the file has more bytes than are read, or is no file.
    """
    return as_utf8(read_bounded(path, MOST_YAML_BYTES))


def as_utf8(content: bytes) -> bytes:
    """Return a text in UTF-8 without a byte order mark; one in UTF-16, which its mark tells, is converted.

    What is no text stays as it is, so that whoever parses it names the place.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace").encode(errors="replace")
    return content.removeprefix(codecs.BOM_UTF8)
