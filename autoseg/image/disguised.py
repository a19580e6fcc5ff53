"""Says what a file is by its first bytes, where it is not what its name says.

Downloads that failed, archives and pointers to files have names of images. Only what is certain is told.
"""

from __future__ import annotations

from pathlib import Path

FIRST_BYTES = 512
_DICOM_AT = 128


def what_file_is(path: Path) -> str | None:
    """As `what_it_is`, of a file that can be opened."""
    with path.open("rb") as file:
        return what_it_is(file.read(FIRST_BYTES))


def what_it_is(start: bytes) -> str | None:
    """Return what a file is instead of an image, and what to do, as the end of a sentence; None = that is not clear.

    Args:
        start: first bytes of the file, at least `FIRST_BYTES` if it has as many; unfolded where the reader does so.
    """
    if not start:
        return "is empty (0 bytes); copy or download it again"
    if not any(start):
        return "begins with zeros alone, as a file whose copy broke off; copy or download it again"
    if start.startswith(b"version https://git-lfs.github.com/spec"):
        return "is a pointer of Git LFS, and not the file itself; get it by `git lfs pull`"
    if start.startswith(b"/annex/objects/") or b"/annex/objects/" in start.split(b"\n")[0]:
        return "is a pointer of git-annex, and not the file itself; get it by `git annex get` or `datalad get`"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, as a download without signing in gives; download the file itself"
    if start.startswith(b"\x00\x05\x16\x07"):
        return "is what macOS stores beside a file (`._` before its name), and no image; delete it"
    if start.startswith((b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")):
        return "is an archive (ZIP, 7z or RAR); unpack it, and give what is inside"
    if start[_DICOM_AT : _DICOM_AT + 4] == b"DICM":
        return "is DICOM under another name; rename it to .dcm, or give the folder of its series"
    if start.startswith(b"\x1f\x8b"):
        return "holds a file that is compressed by gzip once more; unpack it (gunzip), and give what is inside"
    if start.startswith(b"\x93NUMPY"):
        return "is an array of NumPy, which has no place in the patient; save it as NIfTI or NRRD with its spacing"
    return None
