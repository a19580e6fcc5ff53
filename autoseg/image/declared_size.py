"""Refuses an image whose header declares more than its file can contain, or more than the memory can hold.

Both are known from the header and the sizes of files, before memory is taken for voxels. Compressed voxels that are
improbably small for what is declared are unfolded once in small parts, and counted.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoseg.errors import ImageError
from autoseg.image.integrity import MOST_EXPANSION, require_bytes
from autoseg.image.text_headers import META_ENDINGS, VoxelStorage
from autoseg.memory import free_memory, readable_bytes

BYTES_NOT_JUDGED = 128 * 2**20
"""Compressed images that unfold to at most this are read without a look at how far they were compressed."""

_PROBABLE_EXPANSION = 32
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Declared:
    """What the header of an image declares.

    Args:
        size: numbers of voxels (x, y, z …), as ITK orders them.
        components: number of values of one voxel.
        width: bytes of one value in memory.
        stored_width: bytes of one value in an uncompressed file.
    """

    size: tuple[int, ...]
    components: int
    width: int
    stored_width: int

    @property
    def values(self) -> int:
        """Number of values, over all voxels and channels."""
        return math.prod(self.size) * self.components

    def __str__(self) -> str:
        several = f" with {self.components} values each" if self.components > 1 else ""
        return f"{' × '.join(map(str, self.size))} voxels{several} ({readable_bytes(self.values * self.width)})"


def require_memory(path: Path, declared: Declared) -> None:
    """Refuse an image that takes more memory than is free.

    Raises:
        ImageError: ITK's voxels, their copy and the same as float32 do not fit together.
    """
    needed = declared.values * (2 * declared.width + 4)
    if needed > BYTES_NOT_JUDGED and needed > (free := free_memory()):
        raise ImageError(
            f"{path}: its header declares {declared}, which take {readable_bytes(needed)} of memory to read, and "
            f"{readable_bytes(free)} are free; export the image again if the header is wrong, else crop it, or use a "
            "machine with more memory"
        )


def require_contained(
    path: Path, declared: Declared, files: Sequence[Path], encoding: Literal["compressed", "text", "hex"]
) -> None:
    """Refuse an image whose files are too small for what its header declares, however they are compressed.

    Args:
        path: path of the image, for the message.
        declared: what the header declares.
        files: files that hold the voxels.
        encoding: whether the values are compressed, written as text with a space between, or as hexadecimal digits.
    """
    held = sum(file.stat().st_size for file in files)
    if encoding == "compressed":
        # no other compression does better than deflate at its best, on images that scanners make
        unfolded = declared.values * declared.stored_width
        fits = unfolded <= BYTES_NOT_JUDGED or unfolded <= MOST_EXPANSION * held
    else:
        fits = 2 * declared.values * (declared.stored_width if encoding == "hex" else 1) - 1 <= held
    if not fits:
        raise _too_small(path, declared, f"{readable_bytes(held)} of {encoding} voxels")


def require_contained_as(path: Path, declared: Declared, storage: VoxelStorage) -> None:
    """Refuse a MetaImage or NRRD file whose voxel files are too small for what its header declares.

    Raises:
        ImageError: they are too small, truncated, or their compressed data are damaged.
    """
    if storage.encoding in ("text", "hex"):
        encoding: Literal["text", "hex"] = "hex" if storage.encoding == "hex" else "text"
        require_contained(path, declared, storage.files, encoding)
        return
    expected = declared.values * declared.stored_width
    held = sum(file.stat().st_size for file in storage.files)
    if storage.encoding == "raw":
        require_bytes(path, held, expected + len(storage.files) * storage.offset)
        return
    require_contained(path, declared, storage.files, "compressed")
    improbable = expected > BYTES_NOT_JUDGED and expected > _PROBABLE_EXPANSION * held
    # ITK reads a truncated MetaImage file without a word, but notices it in NRRD
    if storage.offset and len(storage.files) == 1 and (improbable or path.name.lower().endswith(META_ENDINGS)):
        found = _unfolded_bytes(path, storage.files[0], storage.offset, expected)
        if found < expected:
            raise _too_small(path, declared, f"voxels that unfold to {readable_bytes(found)}")


def _too_small(path: Path, declared: Declared, held: str) -> ImageError:
    return ImageError(
        f"{path}: truncated or damaged, its header declares {declared}, and the file holds {held}; copy or download it "
        "again"
    )


def _unfolded_bytes(path: Path, file: Path, offset: int, most: int) -> int:
    """Number of bytes that zlib or gzip data unfold to, counted up to `most` in parts of a megabyte."""
    unfolding, found = zlib.decompressobj(wbits=47), 0
    try:
        with file.open("rb") as opened:
            opened.seek(offset)
            while found < most and not unfolding.eof and (part := opened.read(_BLOCK_BYTES)):
                while part and found < most:
                    found += len(unfolding.decompress(part, _BLOCK_BYTES))
                    part = unfolding.unconsumed_tail
    except zlib.error as error:
        raise ImageError(f"{path}: damaged, its compressed voxels are wrong ({error}); copy it again") from None
    return found
