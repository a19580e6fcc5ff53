"""What is known of predicted cases in a folder of predictions: a mark for each, and whether these marks last.

A mark counts for the models and the options that it was made with. Processes that share a folder know each other's
marks. Those of units of work last, since units run one after the other too.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoseg.disk.text_files import first_bytes
from autoseg.errors import InputError
from autoseg.files import write_text
from autoseg.names import why_unsafe

FOLDER, MOVED = ".shared", ".shared_before_"
LASTING = "lasting"
"""File of what lasts: what the units are made from, and the job whose predictions are known."""

_LASTING = re.compile("([0-9a-f]{32}) ([0-9a-f]{32})")

MOST_BYTES = 2**20
"""A mark names the files of a case, a few hundred at most."""


@dataclass(frozen=True)
class Lasting:
    """That what is predicted stays known once nobody takes part any more.

    Args:
        made_from: digest of the models and options of units of work; None = this prediction is none of theirs, and
            leaves what they have predicted as it is.
    """

    made_from: str | None


def lasting_cases(output: Path, made_from: str) -> frozenset[str]:
    """Names of the cases that units of work have predicted.

    Args:
        output: folder of the predictions.
        made_from: digest of the models and options of the units.
    """
    found = _read_lasting(output / FOLDER)
    if found is None or found[0] != made_from:
        return frozenset()
    with suppress(OSError):
        return frozenset(mark.name for mark in (output / FOLDER / "done" / found[1]).iterdir())
    return frozenset()


def forget(output: Path, cases: Collection[str]) -> None:
    """Let cases be predicted again that units of work have predicted, as where their images have changed since.

    Args:
        output: folder of the predictions.
        cases: names of the cases.
    """
    for mark in marks_of(output, cases):
        mark.unlink(missing_ok=True)


def marks_of(output: Path, cases: Collection[str]) -> tuple[Path, ...]:
    """The marks that are there of some cases; arguments as of `forget`."""
    # a name that leads to another folder is refused when its case is claimed: it has no mark
    names = [name for name in cases if why_unsafe(name) is None]
    marks = (done / name for done in (output / FOLDER / "done").glob("*") for name in names)
    return tuple(mark for mark in marks if mark.exists())


def _read_lasting(folder: Path) -> tuple[str, str] | None:
    """What units are made from, and the digest of the job that they do; None where nothing lasts."""
    found = _LASTING.fullmatch(read_small(folder / LASTING))
    return None if found is None else (found[1], found[2])


def done_folder(folder: Path, job: str) -> Path:
    """Folder of the marks of the cases that are predicted by a job."""
    return folder / "done" / digest_of(job)


def digest_of(text: str) -> str:
    """Digest of a text, as the name of a file."""
    # a path may hold bytes that are no text
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def refuse_links(folder: Path, job: str) -> None:
    """Refuse folders of marks that are links: what is written and removed in them would not be of these predictions.

    Args:
        folder: folder of marks, which need not exist.
        job: what decides a prediction beside its image.

    Raises:
        InputError: one of them is a link.
    """
    for place in (folder, folder / "cases", folder / "done", done_folder(folder, job)):
        if place.is_symlink():
            raise InputError(f"{place}: is a link where autoseg makes a folder; delete the link")


def begin(folder: Path, job: str, lasting: Lasting | None) -> None:
    """Forget what was predicted before, but for what lasts and was made by the same job."""
    found = _read_lasting(folder)
    if found is None or lasting is None or found != (lasting.made_from or found[0], digest_of(job)):
        move_away(folder)
        return
    # locks of processes that died on other machines, and marks of other jobs
    kept = (folder / LASTING, folder / "done", done_folder(folder, job))
    for entry in (*folder.iterdir(), *(folder / "done").glob("*")):
        if entry not in kept:
            move_away(entry, folder.parent)


def note_what_lasts(folder: Path, job: str, lasting: Lasting | None) -> None:
    """Write down that the marks of a job last, where it is that of units of work."""
    if lasting is not None and lasting.made_from is not None:
        write_text(folder / LASTING, f"{lasting.made_from} {digest_of(job)}")


def lasts(folder: Path) -> bool:
    """Whether marks last that are there."""
    return _read_lasting(folder) is not None


def move_away(folder: Path, output: Path | None = None) -> None:
    """Rename the folder of marks; it may hold so many that removing them takes longer than its lock may be held.

    Args:
        folder: folder that is moved.
        output: folder of the predictions; None = it lies in it.
    """
    try:
        folder.rename((output or folder.parent) / f"{MOVED}{secrets.token_hex(4)}")
    except FileNotFoundError:
        return
    except OSError:
        # Windows renames no folder in which a file is open
        shutil.rmtree(folder, ignore_errors=True)


def remove_moved(output: Path) -> None:
    """Remove what was moved away, also by a process that was killed since."""
    for folder in output.glob(f"{MOVED}*"):
        shutil.rmtree(folder, ignore_errors=True)


def read_small(path: Path) -> str:
    """Text of a small file; empty where there is none, it is not whole yet, or it is none that autoseg has written."""
    content = first_bytes(path, MOST_BYTES + 1)
    try:
        return "" if len(content) > MOST_BYTES else content.decode()
    except UnicodeDecodeError:
        return ""
