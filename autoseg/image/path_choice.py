"""Splits a path such as `scan?echo=4.92` into the place, and the text of what is chosen there.

A folder or file of DICOM may hold several images. The text after the question mark says which one is meant; what it may
say is in `autoseg.image.dicom.choice`. So a table, a command and a record name such an image by one path.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_MARK = re.compile(r"\?(?=[A-Za-z_]+=)")


def split_choice(path: Path) -> tuple[Path, str]:
    """Split a path into a place and a choice; the choice is empty where there is none.

    A file or folder whose own name looks like this is itself meant.

    Examples:
        >>> split_choice(Path("anna/scan?series=3&echo=4.92"))
        (PosixPath('anna/scan'), 'series=3&echo=4.92')
    """
    text = str(path)
    found = _MARK.search(text)
    if found is None or _is_there(text):
        return path, ""
    return Path(text[: found.start()]), text[found.end() :]


def _is_there(text: str) -> bool:
    try:
        return os.path.lexists(text)
    except (OSError, ValueError):
        # too long or otherwise impossible as a path
        return False
