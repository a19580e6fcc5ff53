"""Lists the files of a folder and of all folders in it, within bounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.image.file_kind import require_readable, why_unreadable
from autoseg.names import listed

MOST_FILES, DEEPEST = 200_000, 12
"""A folder with more files, or deeper ones, is the top of a disk rather than a folder of images."""

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


def files_inside(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """List the files at any depth, those of a folder together and sorted, and what can be no file of an image.

    Hidden entries, such as macOS's `._` files, are not looked at. Links are followed, each folder once: a link to a
    folder that lies inside `folder` is left out, since that is read where it lies.

    Args:
        folder: folder to look into.

    Raises:
        ImageError: there is no permission to read the folder, or it holds more than `MOST_FILES` files.
    """
    require_readable(folder)
    files: list[Path] = []
    left_out: list[LeftOut] = []
    root, seen = folder.resolve(), {folder.resolve()}
    waiting = [(folder, 0)]
    while waiting:
        inside, depth = waiting.pop()
        folders = []
        for entry in sorted(inside.iterdir()):
            if entry.name.startswith("."):
                continue
            if why := why_unreadable(entry):
                left_out.append(LeftOut(entry, _as_end_of_is(why)))
            elif not entry.is_dir():
                files.append(entry)
            elif why := _why_not_entered(entry, depth, root, seen):
                left_out.append(LeftOut(entry, why))
            else:
                folders.append((entry, depth + 1))
            if len(files) + len(left_out) > MOST_FILES:
                raise ImageError(
                    f"{folder}: holds more than {MOST_FILES:,} files at all depths; give the folder of the images"
                )
        # the last one is taken first
        waiting += reversed(folders)
    return files, left_out


def _why_not_entered(entry: Path, depth: int, root: Path, seen: set[Path]) -> str:
    """Why a folder is not looked into; empty where it is, and then it is among those that were seen."""
    if depth >= DEEPEST:
        return f"a folder more than {DEEPEST} folders deep; give a folder further inside"
    real = entry.resolve()
    if entry.is_symlink() and real.is_relative_to(root):
        return f"a link to {real}, which is read where it lies"
    if real in seen:
        return f"a link to {real}, which is read under another name"
    seen.add(real)
    return ""


def _as_end_of_is(why: str) -> str:
    return why.removeprefix("is ") if why.startswith("is ") else f"not read: {why}"


def told_by_reason(folder: Path, left_out: Iterable[LeftOut]) -> list[str]:
    """One sentence for each reason, which names the first files that are left out for it."""
    by_why: defaultdict[str, list[str]] = defaultdict(list)
    for one in left_out:
        inside = one.file.is_relative_to(folder) and one.file != folder
        by_why[one.why].append(str(one.file.relative_to(folder) if inside else one.file))
    return [f"{listed(files, _NAMED)}: {why}" for why, files in by_why.items()]
