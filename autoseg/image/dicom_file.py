"""Whether a file is DICOM, and which DICOM files must not be given to pydicom or GDCM.

Both follow nested sequences by recursion; in GDCM 17,000 levels use up the stack, which ends the whole process. Real
files have fewer than ten.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import ImageError

MOST_LEVELS = 100
MOST_ITEMS = 500_000
"""Items of sequences in a file. A file of many frames has some ten for each; pydicom takes a kilobyte for one."""

_DEFLATED, _BIG_ENDIAN = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"
# elements of group 2
_SYNTAX, _MEDIA_CLASS = b"\x10\x00", b"\x02\x00"
_PIXEL_GROUP, _PIXEL_ELEMENTS = 0x7FE0, (0x08, 0x09, 0x10)
_PIXELS, _ITEM, _ITEM_END, _SEQUENCE_END = 0x7FE00010, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
"""Transfer syntaxes that store voxels uncompressed."""

# groups of the first element of a file without a preamble, in either byte order
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
# the first element of such a file has a number up to that of the SOP instance, and a short value
_LAST_FIRST_ELEMENT, _LONGEST_FIRST_VALUE = 0x18, 128
DICOM_ENDINGS = (".dcm", ".ima")
UNDEFINED = 0xFFFFFFFF
"""Length of a value that ends with a mark."""

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


@dataclass(frozen=True)
class Element:
    """Where an element of a file is that lies in no sequence.

    Args:
        value_type: letters of its value representation; empty where the file does not tell it.
        begin: place of its first byte.
        start: place of the first byte of its value.
        length: length of its value in bytes; `UNDEFINED` where that ends with a mark.
        nested: whether the value is a sequence of items.
    """

    value_type: bytes
    begin: int
    start: int
    length: int
    nested: bool


def require_shallow_content(path: Path, content: mmap.mmap) -> dict[int, Element] | None:
    """As `require_shallow`, of a file whose content is mapped already.

    Args:
        path: path of the file, for messages.
        content: bytes of the whole file.

    Returns:
        The elements of a little-endian file up to its voxels, keyed by tag (group and element in one number); None
        where they are not told so surely that the file need not be parsed again.

    Raises:
        ImageError: in the cases of `require_shallow`.
    """
    if not _may_be_taken_for_dicom(content[:132]):
        return None
    meta = file_meta(content)
    syntax, begin = meta.syntax, meta.end
    if begin > len(content):
        # GDCM would search for another meaning of these bytes, and take gigabytes for what it finds
        raise ImageError(f"{path}: damaged or truncated, the elements of its file header are wrong; copy it again")
    if syntax == _DEFLATED:
        raise ImageError(
            f"{path}: its elements are compressed as a whole (deflated), which is not read; convert it, for "
            "example by `dcmconv +te OLD NEW` of dcmtk"
        )
    elements: dict[int, Element] = {}
    levels, items, is_sure = (0, 0, True) if _is_flat(content, begin, elements) else _nesting(content, elements)
    if levels > MOST_LEVELS or items > MOST_ITEMS:
        what = f"nested more than {MOST_LEVELS} levels deep" if levels > MOST_LEVELS else f"of over {MOST_ITEMS} items"
        raise ImageError(
            f"{path}: its sequences are {what}, so that it is no DICOM file that a scanner made; copy or export it "
            "again"
        )
    # the first group is 2 or 8; in the other byte order its first byte is 0
    is_sure = is_sure and syntax != _BIG_ENDIAN and content[begin : begin + 1] != b"\0"
    return elements if is_sure else None


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


def _is_flat(content: mmap.mmap, at: int, found: dict[int, Element]) -> bool:
    """Whether no element from `at` on is a sequence; False too where that is not seen at a glance.

    The elements up to the voxels are added to `found`.
    """
    explicit, size, pixels = _has_value_type(content, at), len(content), False
    while at + 8 <= size:
        begin = at
        group, element, letters, length = _HEAD.unpack_from(content, at)
        if explicit and letters in _SHORT_LENGTHS:
            at += 8
        else:
            if explicit and letters not in _LONG_LENGTHS:
                # pydicom knows what is meant by such
                return False
            at += 12 if explicit else 8
            length = int.from_bytes(content[at - 4 : at], "little")
            if group == 0xFFFE or length == UNDEFINED or content[at : at + 4] == _ITEM_MARK:
                return False
        if not pixels:
            found[group << 16 | element] = Element(letters if explicit else b"", begin, at, length, False)
            pixels = group == _PIXEL_GROUP and element in _PIXEL_ELEMENTS
        at += length
    return True


def _nesting(content: mmap.mmap, found: dict[int, Element]) -> tuple[int, int, bool]:
    """Largest depth of nesting, the number of items, and whether `found` has surely all elements outside of sequences.

    The walk ends soon after `MOST_LEVELS` or `MOST_ITEMS`. The elements up to the voxels are put into `found`.
    """
    found.clear()
    is_sure, pixels = True, False
    meta = file_meta(content)
    syntax, at = meta.syntax, meta.end
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
        nested = length == UNDEFINED or content[start : start + 4] == item_mark
        if not ends and not pixels:
            letters = content[at + 4 : at + 6] if explicit else b""
            # an element of a kind that is not known, or a mark without a sequence, is left to pydicom
            is_sure = is_sure and group != 0xFFFE and (not explicit or letters in _SHORT_LENGTHS | _LONG_LENGTHS)
            found[tag] = Element(letters, at, start, length, nested)
        if group == _PIXEL_GROUP and element in _PIXEL_ELEMENTS and not pixels:
            pixels, is_sure = True, is_sure and not ends
        if tag in (_ITEM_END, _SEQUENCE_END):
            del ends[-1:]
            at = start
        elif tag == _PIXELS:
            at = _after_fragments(content, start, order) if length == UNDEFINED else start + length
        elif tag == _ITEM or nested:
            ends.append(len(content) if length == UNDEFINED else start + length)
            at = start
            items += tag == _ITEM
        else:
            at = start + length
        deepest = max(deepest, len(ends))
    # sequences without an end hide what comes after them
    return deepest // 2, items, is_sure and (pixels or not any(end >= len(content) for end in ends))


def _after_fragments(content: mmap.mmap, at: int, order: str) -> int:
    """Where the fragments of compressed voxels end, which are items without elements."""
    while at + 8 <= len(content):
        group, element, length = struct.unpack_from(order + "HHI", content, at)
        at += 8
        if group << 16 | element != _ITEM:
            break
        at += length
    return at


@dataclass(frozen=True)
class FileMeta:
    """What a file's own header says, which comes before its elements.

    Args:
        syntax: identifier of the transfer syntax; empty where none is given.
        media_class: identifier of the SOP class; empty where none is given.
        end: where the elements begin; beyond the end of the file where the header is damaged.
    """

    syntax: bytes
    media_class: bytes
    end: int


def file_meta(content: mmap.mmap) -> FileMeta:
    """Read a file's own header."""
    at = 132 if content[128:132] == b"DICM" else 0
    values: dict[bytes, bytes] = {}
    while content[at : at + 2] == b"\x02\x00" and at + 8 <= len(content):
        if content[at + 4 : at + 6] not in _SHORT_LENGTHS | _LONG_LENGTHS:
            at = len(content) + 1
            break
        length, start = _length(content, at, "<", True)
        element = content[at + 2 : at + 4]
        if element in (_SYNTAX, _MEDIA_CLASS):
            values[element] = content[start : start + length].rstrip(b"\0 ")
        at = start + length
    return FileMeta(values.get(_SYNTAX, b""), values.get(_MEDIA_CLASS, b""), at)


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
