"""Lists the files of a folder and of all folders in it, within bounds."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import AutosegError, ImageError
from autoseg.image.file_kind import require_readable, why_unreadable
from autoseg.names import listed

MOST_ENTRIES, DEEPEST = 200_000, 12
"""A folder with more files and folders, or deeper ones, is the top of a disk rather than a folder of images."""

_NAMED = 4


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not read.

    Args:
        file: path of the file or folder.
        why: what it is, as the end of a sentence that begins with its name and "is", or the whole reason.
    """

    file: Path
    why: str

    def __str__(self) -> str:
        return f"{self.file.name} is {self.why}"


@dataclass(frozen=True)
class Walked:
    """One folder that was looked into.

    Args:
        folder: path of the folder.
        files: its entries that are no folders, sorted; nothing is known of them but their names.
        left_out: folders in it that are not looked into.
        too_deep: folders in it that lie too deep to be looked into.
    """

    folder: Path
    files: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]
    too_deep: tuple[Path, ...]


def walk(
    folder: Path, too_large: Callable[[str], AutosegError], why_not: Callable[[Path], str | None] = lambda _: None
) -> Iterator[Walked]:
    """Look into a folder and all folders in it, one after the other; each comes before those inside of it.

    Entries are counted while they are listed, hidden ones too, so that a disk is given up before it fills the memory.
    Hidden entries, such as macOS's `._` files, are not returned. Links to folders are followed, each folder once: a
    link to a folder that lies inside `folder` is left out, since that is read where it lies.

    Args:
        folder: folder to look into.
        too_large: makes the error of a folder that holds too much, from what it holds.
        why_not: why a folder inside is not looked into, of its path; None where it is.

    Raises:
        ImageError: there is no permission to read the folder.
    """
    require_readable(folder)
    root = folder.resolve()
    seen, waiting, count = {root}, [(folder, 0)], 0
    while waiting:
        inside, depth = waiting.pop()
        names = []
        with os.scandir(inside) as entries:
            for entry in entries:
                count += 1
                if count > MOST_ENTRIES:
                    raise too_large(f"more than {MOST_ENTRIES:,} files and folders")
                if not entry.name.startswith("."):
                    names.append(entry.name)
        files: list[Path] = []
        left_out: list[LeftOut] = []
        further: list[Path] = []
        for path in sorted(inside / name for name in names):
            if not _is_folder(path):
                files.append(path)
            elif why := why_unreadable(path):
                left_out.append(LeftOut(path, _as_end_of_is(why)))
            elif why := why_not(path) or _why_not_followed(path, root, seen):
                left_out.append(LeftOut(path, why))
            else:
                further.append(path)
        too_deep = further if depth == DEEPEST else []
        yield Walked(inside, tuple(files), tuple(left_out), tuple(too_deep))
        # the last one is taken first
        waiting += [] if too_deep else [(path, depth + 1) for path in reversed(further)]


def files_inside(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """List the files at any depth, those of a folder together and sorted, and what can be no file of an image.

    Hidden entries are not looked at, and links are followed, as in `walk`.

    Args:
        folder: folder to look into.

    Raises:
        ImageError: there is no permission to read the folder, or it holds more than `MOST_ENTRIES` files and folders.
    """
    files: list[Path] = []
    left_out: list[LeftOut] = []
    deep = f"a folder more than {DEEPEST} folders deep; give a folder further inside"
    for found in walk(folder, lambda what: ImageError(f"{folder}: holds {what}; give the folder of the images")):
        left_out += [*found.left_out, *(LeftOut(path, deep) for path in found.too_deep)]
        for file in found.files:
            if why := why_unreadable(file):
                left_out.append(LeftOut(file, _as_end_of_is(why)))
            else:
                files.append(file)
    return files, left_out


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # a link into a folder that must not be read; it is told where the file is read
        return False


def _why_not_followed(entry: Path, root: Path, seen: set[Path]) -> str:
    """Why a folder is not looked into; empty where it is, and then it is among those that were seen."""
    real = entry.resolve()
    if entry.is_symlink() and real.is_relative_to(root) and not _is_hidden(real.relative_to(root)):
        return f"a link to {real}, which is read where it lies"
    if real in seen:
        return f"a link to {real}, which is read under another name"
    seen.add(real)
    return ""


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _as_end_of_is(why: str) -> str:
    """A reason of `why_unreadable` as the end of a sentence that begins with a name and "is"."""
    return why.removeprefix("is ") if why.startswith("is ") else f"not read: {why}"


def told_by_reason(folder: Path, left_out: Iterable[LeftOut]) -> list[str]:
    """One sentence for each reason, which names the first files that are left out for it."""
    by_why: defaultdict[str, list[str]] = defaultdict(list)
    for one in left_out:
        inside = one.file.is_relative_to(folder) and one.file != folder
        by_why[one.why].append(str(one.file.relative_to(folder) if inside else one.file))
    return [f"{listed(files, _NAMED)}: {why}" for why, files in by_why.items()]
