"""Opens files that may be gzipped, whatever their names say, and reads them in parts up to a bound."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from autoseg.errors import ImageError

BLOCK_BYTES = 1 << 22
"""Files are read in parts of this size, which is a multiple of the size of every dtype."""

_MAGIC = b"\x1f\x8b"
# a file that unfolds to so much more than its header declares is refused instead of being followed to its end
_MOST_BYTES_BEHIND = 64 * 2**20


def is_gzipped(file: Path) -> bool:
    """Whether a file's content is gzipped."""
    with file.open("rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC


@contextmanager
def unfolded(file: Path) -> Iterator[BinaryIO]:
    """Open a file, which is decompressed on the way where its content is gzipped.

    Raises:
        ImageError: the block reads compressed data that break off or are damaged, or the system cannot read the file.
    """
    packed = False
    try:
        packed = is_gzipped(file)
        with cast(BinaryIO, gzip.open(file)) if packed else file.open("rb") as opened:
            yield opened
    except EOFError:
        raise ImageError(f"{file}: truncated, its compressed data break off; copy or download it again") from None
    except (OSError, zlib.error) as error:
        if not packed and isinstance(error, OSError):
            raise ImageError(f"{file}: cannot be read ({error.strerror or error})") from None
        raise ImageError(f"{file}: damaged, its compressed data are wrong ({error}); copy it again") from None


def skip(opened: BinaryIO, count: int) -> int:
    """Read `count` bytes, or up to the end, and return how many there were."""
    left = count
    while left and (block := opened.read(min(left, BLOCK_BYTES))):
        left -= len(block)
    return count - left


def fill(opened: BinaryIO, buffer: memoryview) -> int:
    """Read bytes into a buffer, and return how many there were."""
    found = 0
    while found < len(buffer) and (count := opened.readinto(buffer[found : found + BLOCK_BYTES])):  # type: ignore[attr-defined]
        found += count
    return found


def count_rest(opened: BinaryIO, file: Path, expected: int) -> int:
    """Count the bytes from here to the end; that verifies a gzip file's checksum.

    Args:
        opened: file opened by `unfolded`.
        file: path of the file, for the message.
        expected: number of bytes of the whole file that its header declares, for the message.

    Raises:
        ImageError: 64 MiB are there and no end.
    """
    count = 0
    while block := opened.read(BLOCK_BYTES):
        count += len(block)
        if count > _MOST_BYTES_BEHIND:
            raise ImageError(
                f"{file}: holds more than {_MOST_BYTES_BEHIND >> 20} MiB beyond the {expected} bytes of header and "
                "voxels that its header declares; its header is wrong, or the file is no image; export it again"
            )
    return count
