"""Whether a file is DICOM, and which DICOM files must not be given to pydicom or GDCM.

Both follow nested sequences by recursion; in GDCM 17,000 levels use up the stack, which ends the whole process. Real
files have fewer than ten.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from autoseg.errors import ImageError

MOST_LEVELS = 100
MOST_ITEMS = 500_000
"""Items of sequences in a file. A file of many frames has some ten for each; pydicom takes a kilobyte for one."""

_DEFLATED, _BIG_ENDIAN = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"
_PIXELS, _ITEM, _ITEM_END, _SEQUENCE_END = 0x7FE00010, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
"""Transfer syntaxes that store voxels uncompressed."""

# groups of the first element of a file without a preamble, in either byte order
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
# the first element of such a file has a number up to that of the SOP instance, and a short value
_LAST_FIRST_ELEMENT, _LONGEST_FIRST_VALUE = 0x18, 128
DICOM_ENDINGS = (".dcm", ".ima")
_UNDEFINED = 0xFFFFFFFF
_HEAD = struct.Struct("<HH2sH")
_ITEM_MARK = b"\xfe\xff\x00\xe0"
_SHORT_LENGTHS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_LENGTHS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


def require_shallow(path: Path) -> None:
    """Refuse a DICOM file whose sequences are nested deeply, or whose elements are deflated as a whole.

    Raises:
        ImageError: it is such a file.
    """
    with path.open("rb") as file:
        # an empty file cannot be mapped
        if _may_be_taken_for_dicom(file.read(132)):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                require_shallow_content(path, content)


def require_shallow_content(path: Path, content: mmap.mmap) -> None:
    """As `require_shallow`, of a file whose content is mapped already.

    Args:
        path: path of the file, for messages.
        content: its content.

    Raises:
        ImageError: in the cases of `require_shallow`.
    """
    if not _may_be_taken_for_dicom(content[:132]):
        return
    syntax, begin = _syntax(content)
    if begin > len(content):
        # GDCM would search for another meaning of these bytes, and take gigabytes for what it finds
        raise ImageError(f"{path}: damaged or truncated, the elements of its file header are wrong; copy it again")
    if syntax == _DEFLATED:
        raise ImageError(
            f"{path}: its elements are compressed as a whole (deflated), which is not read; convert it, for "
            "example by `dcmconv +te OLD NEW` of dcmtk"
        )
    levels, items = (0, 0) if _is_flat(content, begin) else _nesting(content)
    if levels > MOST_LEVELS or items > MOST_ITEMS:
        what = f"nested more than {MOST_LEVELS} levels deep" if levels > MOST_LEVELS else f"of over {MOST_ITEMS} items"
        raise ImageError(
            f"{path}: its sequences are {what}, so that it is no DICOM file that a scanner made; copy or export it "
            "again"
        )


def is_dicom_file(path: Path) -> bool:
    """Whether a file is DICOM, by its ending, the letters `DICM` at byte 128, or the first element of one without them.

    A file that may not be opened counts as one, so that it is told when it is read.
    """
    if path.suffix.lower() in DICOM_ENDINGS:
        return True
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except PermissionError:
        return True
    # sizes at the beginning of other formats can look like an element; numbers after a dot are parts of identifiers
    return start[128:] == b"DICM" or (not path.suffix[1:].isalpha() and _begins_as_data_set(start))


def _begins_as_data_set(start: bytes) -> bool:
    """Whether bytes begin with an element of group 2 or 8, as files without a preamble do."""
    if len(start) < 132 or start[:2] not in _FIRST_GROUPS:
        return False
    if start[4:6] in _SHORT_LENGTHS | _LONG_LENGTHS:
        return True
    # an implicit value type: the first elements of these groups are short
    order = "<" if start[1] == 0 else ">"
    _, element, length = struct.unpack_from(order + "HHI", start)
    return element <= _LAST_FIRST_ELEMENT and length % 2 == 0 and length <= _LONGEST_FIRST_VALUE


def _may_be_taken_for_dicom(start: bytes) -> bool:
    """Whether GDCM may take a file for DICOM by its first 132 bytes."""
    return start[128:] == b"DICM" or start[:2] in _FIRST_GROUPS


def _is_flat(content: mmap.mmap, at: int) -> bool:
    """Whether no element from `at` on is a sequence; False too where that is not seen at a glance."""
    explicit, size = _has_value_type(content, at), len(content)
    while at + 8 <= size:
        group, _, letters, length = _HEAD.unpack_from(content, at)
        if explicit and letters in _SHORT_LENGTHS:
            at += 8 + length
            continue
        wide = explicit and letters in _LONG_LENGTHS
        at += 12 if wide else 8
        length = int.from_bytes(content[at - 4 : at], "little")
        if group == 0xFFFE or length == _UNDEFINED or content[at : at + 4] == _ITEM_MARK:
            return False
        at += length
    return True


def _nesting(content: mmap.mmap) -> tuple[int, int]:
    """Largest depth of nesting, and the number of items; the walk ends soon after `MOST_LEVELS` or `MOST_ITEMS`."""
    syntax, at = _syntax(content)
    order, explicit = ">" if syntax == _BIG_ENDIAN else "<", _has_value_type(content, at)
    item_mark = struct.pack(order + "HH", _ITEM >> 16, _ITEM & 0xFFFF)
    # where each sequence and each item ends that the walk is inside of
    ends: list[int] = []
    deepest = items = 0
    while at + 8 <= len(content) and deepest <= 2 * MOST_LEVELS + 1 and items <= MOST_ITEMS:
        while ends and ends[-1] <= at:
            ends.pop()
        group, element = struct.unpack_from(order + "HH", content, at)
        tag = group << 16 | element
        length, start = _length(content, at, order, explicit and group != 0xFFFE)
        if tag in (_ITEM_END, _SEQUENCE_END):
            del ends[-1:]
            at = start
        elif tag == _PIXELS:
            at = _after_fragments(content, start, order) if length == _UNDEFINED else start + length
        elif tag == _ITEM or length == _UNDEFINED or content[start : start + 4] == item_mark:
            ends.append(len(content) if length == _UNDEFINED else start + length)
            at = start
            items += tag == _ITEM
        else:
            at = start + length
        deepest = max(deepest, len(ends))
    return deepest // 2, items


def _after_fragments(content: mmap.mmap, at: int, order: str) -> int:
    """Where the fragments of compressed voxels end, which are items without elements."""
    while at + 8 <= len(content):
        group, element, length = struct.unpack_from(order + "HHI", content, at)
        at += 8
        if group << 16 | element != _ITEM:
            break
        at += length
    return at


def _syntax(content: mmap.mmap) -> tuple[bytes, int]:
    """The transfer syntax, empty where none is given, and where the elements after the file's own header begin.

    That place is beyond the end where the file's own header is damaged.
    """
    at = 132 if content[128:132] == b"DICM" else 0
    syntax = b""
    while content[at : at + 2] == b"\x02\x00" and at + 8 <= len(content):
        if content[at + 4 : at + 6] not in _SHORT_LENGTHS | _LONG_LENGTHS:
            return syntax, len(content) + 1
        length, start = _length(content, at, "<", True)
        if content[at + 2 : at + 4] == b"\x10\x00":
            syntax = content[start : start + length].rstrip(b"\0 ")
        at = start + length
    return syntax, at


def _has_value_type(content: mmap.mmap, at: int) -> bool:
    """Whether the element at `at` tells its value type, by two capital letters after its tag."""
    letters = content[at + 4 : at + 6]
    return letters.isalpha() and letters.isupper()


def _length(content: mmap.mmap, at: int, order: str, explicit: bool) -> tuple[int, int]:
    """Length of the value of the element at `at`, and where that value begins."""
    if not (explicit and _has_value_type(content, at)):
        return struct.unpack_from(order + "I", content, at + 4)[0], at + 8
    if content[at + 4 : at + 6] in _LONG_LENGTHS:
        if at + 12 > len(content):
            return 0, len(content)
        return struct.unpack_from(order + "I", content, at + 8)[0], at + 12
    return struct.unpack_from(order + "H", content, at + 6)[0], at + 8
