"""Blosc2 files that are no plain arrays: expressions, functions, references, stores, and chunks that need a plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import blosc2
import numpy as np

SHAPE = (4, 8, 8)
GROK, FILTER_OF_A_PLUGIN, USER_DEFINED_FORMAT = 37, 34, 6


def plain(path: Path, **options: object) -> blosc2.NDArray:
    """Write an array of noise as the program writes it."""
    values = np.random.default_rng(0).integers(0, 9, SHAPE).astype(np.float32)
    parameters = blosc2.CParams(codec=blosc2.Codec.ZSTD, clevel=3, nthreads=1)
    return blosc2.asarray(values, urlpath=str(path), mode="w", chunks=SHAPE, cparams=parameters, **options)


def lazy_expression(path: Path) -> None:
    """An expression over another file, which is evaluated where it is read."""
    operand = plain(path.with_name("operand.b2nd"))
    (operand + operand).save(str(path), mode="w")


def lazy_function(path: Path) -> None:
    """A function, stored as source, which would leave a file `ran` behind."""
    operand = plain(path.with_name("operand.b2nd"))
    blosc2.lazyudf(leave_a_mark, (operand,), dtype=operand.dtype, shape=operand.shape).save(str(path), mode="w")


def leave_a_mark(inputs, output, offset):
    open("ran", "w").close()  # noqa: PTH123
    output[:] = inputs[0]


def reference(kind: str) -> Callable[[Path], None]:
    """An array whose metadata say that it stands for something else."""
    stands_for = {"version": 1, "kind": kind, "urlpath": "http://127.0.0.1:9/x", "local_abspath": "/etc/passwd"}
    stands_for |= {"caterva2_env": False, "source_kind": "fsspec"}
    names = {"proxy": "proxy-source", "store": "b2remote_store", "embed": "b2embed", "tree": "b2tree"}

    def write(path: Path) -> None:
        plain(path, meta={names.get(kind, "b2o"): stands_for})

    return write


def own_metadata(path: Path) -> None:
    """An array with metadata of its own, in which the library looks for the files of its indexes."""
    array = plain(path)
    array.schunk.vlmeta["index"] = {"path": "/etc/passwd"}


def no_array(path: Path) -> None:
    """Chunks of bytes that are no array."""
    blosc2.SChunk(chunksize=64, data=bytes(128), urlpath=str(path), mode="w")


def folder_of_chunks(path: Path) -> None:
    """The same array as a folder with a file for each chunk."""
    plain(path, contiguous=False)


def with_plugin(place: str) -> Callable[[Path], None]:
    """An array with a chunk for which the library starts `python -c "import blosc2_grok; …"` in the current folder."""

    def write(path: Path) -> None:
        array = plain(path)
        content = bytearray(path.read_bytes())
        header, chunks = int.from_bytes(content[11:15], "big"), int.from_bytes(content[39:47], "big")
        first = header + chunks if place == "codec of the offsets" else header
        assert bytes(content[header : header + 32]) == array.schunk.get_chunk(0)[:32]
        if place == "filter":
            content[first + 16] = FILTER_OF_A_PLUGIN
        else:
            content[first + 2] = (content[first + 2] & 0x1F) | USER_DEFINED_FORMAT << 5
            content[first + 22] = GROK
        path.write_bytes(bytes(content))

    return write


HOSTILE = {
    "expression": lazy_expression,
    "function": lazy_function,
    "remote array": reference("c2array"),
    "stored expression": reference("lazyexpr"),
    "stored function": reference("lazyudf"),
    "proxy": reference("proxy"),
    "remote store": reference("store"),
    "embedded store": reference("embed"),
    "tree": reference("tree"),
    "own metadata": own_metadata,
    "no array": no_array,
    "folder": folder_of_chunks,
    "codec": with_plugin("codec"),
    "codec of the offsets": with_plugin("codec of the offsets"),
    "filter": with_plugin("filter"),
}
"""Each writes a hostile file to the path that it is given."""
