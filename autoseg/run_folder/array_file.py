"""Opens the Blosc2 arrays of a RUN folder: plain arrays alone, whatever else a Blosc2 file can hold.

A Blosc2 file can also be an expression or a function that is evaluated, a reference to another file or to a server, and
its chunks can name a codec of a plugin, for which the library starts `python` in the current folder. A RUN folder may
come from a stranger, so none of these is followed: the file is opened by the library's lowest function, which makes
nothing but an array of it, after its chunks are seen to need no plugin. The layout of the bytes is that of
`README_CFRAME_FORMAT.rst` and `README_CHUNK_FORMAT.rst` of the library C-Blosc2.
"""

from __future__ import annotations

import os
import stat
import struct
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import blosc2

_MAGIC = b"b2frame\x00"
_FRAME_HEADER = struct.Struct(">2x8sxixqx4sxqxq")
"""Magic, bytes of the header and of the file, flags, bytes of the data, and bytes of all chunks together."""

_CHUNK_HEADER_BYTES = 32
_BUILT_IN_CODECS = frozenset((0, 1, 3, 4))
"""Formats that the library itself decodes, by the number in a chunk: BloscLZ, LZ4, ZLIB, ZSTD."""

_FIRST_FILTER_OF_PLUGINS = 32
_FILES_KNOWN = 100_000


class NotAPlainArray(ValueError):
    """A file is no plain Blosc2 array."""


def open_array(path: Path) -> blosc2.NDArray:
    """Open a Blosc2 array for reading; slicing it reads only that part from disk.

    Args:
        path: file with the array.

    Raises:
        NotAPlainArray: the file holds an expression, a function, a reference, metadata of its own, or chunks that need
            a plugin, or it is no file.
        OSError, RuntimeError: the file is missing or damaged.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise NotAPlainArray(f"{path.name} is no file")
    _require_plain(os.fspath(path), facts.st_size, facts.st_mtime_ns)
    return _opened(os.fspath(path))


def _opened(path: str) -> Any:
    # imported where it is used, since it takes long to import and many commands open no array
    import blosc2

    # blosc2.open would follow what the file says of itself
    return blosc2.blosc2_ext.open(path, "r", 0, dparams=blosc2.DParams(nthreads=1))


@lru_cache(maxsize=_FILES_KNOWN)
def _require_plain(path: str, size: int, modified: int) -> None:
    """Refuse all but a plain array; a file is looked at once, as long as its size and time stay."""
    import blosc2

    name = Path(path).name
    _require_codec(_offsets_chunk(path), name)
    array = _opened(path)
    if not isinstance(array, blosc2.NDArray):
        raise NotAPlainArray(f"{name} is a Blosc2 file, but no array")
    if others := sorted(set(array.schunk.meta.keys()) - {"b2nd"}):
        raise NotAPlainArray(f"{name} is no plain array, it holds {', '.join(map(repr, others))}")
    if array.schunk.vlmeta.nvlmetalayers():
        raise NotAPlainArray(f"{name} is no plain array, it holds metadata of its own")
    for chunk in range(array.schunk.nchunks):
        _require_codec(array.schunk.get_lazychunk(chunk), name)


def _offsets_chunk(path: str) -> bytes:
    """Header of the chunk that lists the places of all others; the library decodes it before any of them."""
    with Path(path).open("rb") as file:
        header = file.read(_FRAME_HEADER.size)
        if len(header) < _FRAME_HEADER.size:
            raise NotAPlainArray(f"{Path(path).name} is truncated")
        magic, header_bytes, _, _, _, chunk_bytes = _FRAME_HEADER.unpack(header)
        if magic != _MAGIC or header_bytes < 0 or chunk_bytes < 0:
            raise NotAPlainArray(f"{Path(path).name} is no Blosc2 file")
        file.seek(header_bytes + chunk_bytes)
        return file.read(_CHUNK_HEADER_BYTES)


def _require_codec(chunk: bytes, name: str) -> None:
    """Refuse a chunk, given by its header, that the library cannot decode by itself."""
    if len(chunk) < _CHUNK_HEADER_BYTES:
        raise NotAPlainArray(f"{name} is truncated")
    if chunk[2] >> 5 not in _BUILT_IN_CODECS or max(chunk[16:22]) >= _FIRST_FILTER_OF_PLUGINS:
        raise NotAPlainArray(f"{name} needs a codec or a filter that Blosc2 itself does not have")
