"""Says what keeps a path from being read as a file or folder, without opening anything that could wait for ever."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.image.path_choice import split_choice

_SPECIAL = (
    (stat.S_ISFIFO, "is a named pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)
_NO_PERMISSION = "no permission to read it; ask its owner for it, or copy what you may read"


def why_unreadable(path: Path) -> str | None:
    """Return why a file or folder cannot be read, as the end of a sentence that begins with its path; None if it can.

    Links are followed. A named pipe, a socket or a device is told as such and never opened. Of a path such as
    `scan?echo=4.92` the place is looked at.
    """
    path, _ = split_choice(path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return _why_not_found(path, error)
    except ValueError:
        return "is no path, since it holds a NUL character; correct the name"
    for is_kind, text in _SPECIAL:
        if is_kind(mode):
            return f"{text}, from which no image is read; give a file"
    return _why_not_opened(path, folder=stat.S_ISDIR(mode))


def require_readable(path: Path) -> None:
    """Refuse a path that is no readable file or folder.

    Raises:
        ImageError: it does not exist, is a link that leads nowhere, a named pipe, a socket or a device, or there is no
            permission to read it.
    """
    if why := why_unreadable(path):
        raise ImageError(f"{path}: {why}")


def _why_not_found(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return _NO_PERMISSION
    if error.errno == errno.ELOOP:
        return "is a link in a loop of links; replace it by the file"
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return f"cannot be read ({error.strerror})"
    if path.is_symlink():
        return f"is a link to {path.readlink()}, and that file does not exist"
    return "does not exist"


def _why_not_opened(path: Path, *, folder: bool) -> str | None:
    try:
        if folder:
            # names can be listed without the right to open what they name
            effective = os.access in os.supports_effective_ids
            return None if os.access(path, os.R_OK | os.X_OK, effective_ids=effective) else _NO_PERMISSION
        with path.open("rb"):
            return None
    except PermissionError:
        return _NO_PERMISSION
    except OSError as error:
        return f"cannot be read ({error.strerror})"
