"""Checksums by which a wrong byte in a file of a RUN folder is noticed: a bad disk, a broken copy.

They guard against accidents, not against a person who changes a file and its checksum. The list has the format of
`sha256sum`, so that `sha256sum -c checksums.sha256` tests it too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, model_validator

from autoseg.disk.text_files import MOST_LIST_BYTES, TextRefused, read_bounded

LIST_NAME = "checksums.sha256"

DAMAGED = "is damaged, it has changed since it was written (a bad disk, or a copy that broke off)"
"""What is said, after its name, of a file that does not agree with its checksum."""

SEAL = "content_sha256"
"""Field of a JSON file with the checksum of all its other fields."""


class SealedModel(BaseModel):
    """A model whose JSON file holds a checksum of its content; only autoseg writes such files.

    Files of earlier releases have no checksum and are read as they are.
    """

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, content: object) -> object:
        """Take the checksum from the content of a file.

        Raises:
            ValueError: the checksum is not that of the content.
        """
        if not isinstance(content, dict) or SEAL not in content:
            return content
        others = {name: value for name, value in content.items() if name != SEAL}
        if content[SEAL] != _digest_of_fields(others):
            raise ValueError(f"it {DAMAGED}")
        return others

    def sealed_json(self) -> str:
        """Return the text of the model's file, with the checksum as the last field."""
        fields = json.loads(self.model_dump_json())
        return json.dumps(fields | {SEAL: _digest_of_fields(fields)}, indent=1, ensure_ascii=False)


def _digest_of_fields(fields: dict[str, object]) -> str:
    """SHA-256 of the fields of a JSON file, whatever their order and the blanks between them."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(folder: Path, names: Sequence[str]) -> None:
    """Write the list of checksums of files in a folder, into the folder.

    Args:
        folder: folder whose files are complete.
        names: names of the files.
    """
    lines = [f"{digest_of(folder / name)}  {name}\n" for name in names]
    (folder / LIST_NAME).write_text("".join(lines), encoding="utf-8", newline="\n")


def changed_files(folder: Path) -> tuple[str, ...] | None:
    """Return the names of the files that differ from the folder's list of checksums.

    A name is taken from the list only as far as it names a file in the folder itself.

    Args:
        folder: folder with a list, or without one, as earlier releases wrote it.

    Returns:
        None where there is no list.
    """
    try:
        lines = read_bounded(folder / LIST_NAME, MOST_LIST_BYTES).decode(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    except TextRefused:
        # no list that autoseg writes, so it is a changed file itself
        return (LIST_NAME,)
    listed = [line.partition("  ") for line in lines]
    return tuple(name for digest, _, name in listed if not _is_intact(folder / Path(name).name, digest))


def _is_intact(path: Path, digest: str) -> bool:
    try:
        return digest_of(path) == digest
    except OSError:
        return False
