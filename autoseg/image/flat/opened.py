"""Opens a picture by Pillow, and refuses what is too large for its file or the memory, and what has several pages.

In: a PNG, TIFF, JPEG or BMP file. Out: Pillow's image, none of whose pixels is decoded yet. The format follows from the
first bytes of the file, so that none of Pillow's many other readers sees it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin
from PIL.ImageFile import ImageFile

from autoseg.errors import ImageError
from autoseg.image.declared_size import Declared, require_contained, require_memory
from autoseg.image.file_kind import require_readable
from autoseg.image.flat.kind import Kind
from autoseg.memory import lacks_memory

_SIZE_OF_MODE = {"I": (1, 4), "F": (1, 4), "I;16": (1, 2), "I;16B": (1, 2), "LA": (2, 1), "PA": (2, 1)}
_READ_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I", "F", "I;16", "I;16B")
_ORIENTATION, _REDUCED, _BITS, _SUBFILE, _PHOTOMETRIC, _FORMAT = 0x0112, 1, 258, 254, 262, 339
# TIFF's sample formats: unsigned, signed, floating
_WHOLE, _SIGNED, _FLOAT = 1, 2, 3
_SIDEWAYS = (5, 6, 7, 8)
_MOST_PAGES_SEEN = 32
_FIRST_PIXELS_OF_PNG = 33


@dataclass(frozen=True)
class Opened:
    """A picture whose pixels are not decoded yet.

    Args:
        image: file as Pillow has opened it; its header is read.
        kind: format by its content, whatever its name is.
        bits: bits of one value in the file.
        orientation: EXIF orientation; 1 where pixels are stored as they are seen.
        white_is_zero: whether its smallest value is white.
    """

    image: ImageFile
    kind: Kind
    bits: int
    orientation: int
    white_is_zero: bool

    @property
    def sideways(self) -> bool:
        """Whether stored rows are seen as columns."""
        return self.orientation in _SIDEWAYS

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, as the picture is seen."""
        width, height = self.image.size
        # Pillow turns TIFF itself
        turned = self.sideways and self.kind != "TIFF"
        return (width, height) if turned else (height, width)


@contextmanager
def opened(path: Path, kind: Kind) -> Iterator[Opened]:
    """Open a picture.

    Args:
        path: path of the file.
        kind: its format, as `kind_of` tells it.

    Raises:
        ImageError: it is damaged, has several pages or values of a kind that is not read, or declares more than it or
            the memory can hold. So is every error of Pillow inside of the block.
    """
    require_readable(path)
    with _errors_told(path), path.open("rb") as file:
        image = _image(file, kind)
        found = Opened(image, kind, _bits(path, image, kind), _orientation(image), _white_is_zero(image, kind))
        _require_mode(path, found)
        _require_possible(path, found)
        _require_one_page(path, found)
        yield found


def require_intact(path: Path, kind: Kind) -> None:
    """Refuse a PNG file whose pixels have another checksum than it states; the other formats state none.

    Raises:
        ImageError: they have, or the file is cut off.
    """
    if kind == "PNG":
        with _errors_told(path), path.open("rb") as file:
            PngImagePlugin.PngImageFile(file).verify()


@contextmanager
def _errors_told(path: Path) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    # a damaged header makes Pillow raise whatever its parts raise, down to AssertionError and struct.error
    except Exception as error:
        if lacks_memory(error):
            raise ImageError(f"{path}: it takes more memory than is free; free some") from None
        why = " ".join(str(error).split()) or type(error).__name__
        if why == "unknown pixel mode":
            raise ImageError(
                f"{path}: its values are of a kind that is not read, such as 64-bit numbers; save it with 8 or 16 "
                "bits, or as 32-bit floating point numbers"
            ) from None
        raise ImageError(
            f"{path}: damaged or truncated, cannot be read as an image ({why:.200}); copy it again"
        ) from None


def _image(file: BinaryIO, kind: Kind) -> ImageFile:
    if kind == "PNG":
        return PngImagePlugin.PngImageFile(file)
    if kind == "JPEG":
        return JpegImagePlugin.JpegImageFile(file)
    return TiffImagePlugin.TiffImageFile(file) if kind == "TIFF" else BmpImagePlugin.BmpImageFile(file)


def _bits(path: Path, image: ImageFile, kind: Kind) -> int:
    """Bits of one value in the file; values of different widths are refused."""
    if kind == "PNG":
        with path.open("rb") as file:
            return file.read(_FIRST_PIXELS_OF_PNG)[24]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        stated = image.tag_v2.get(_BITS, (1,))
        widths = set(stated if isinstance(stated, tuple) else (stated,))
        if len(widths) != 1:
            raise ImageError(f"{path}: its colours have different numbers of bits; save it as 8-bit RGB")
        return int(widths.pop())
    return 1 if image.mode == "1" else 8


def _orientation(image: ImageFile) -> int:
    if isinstance(image, PngImagePlugin.PngImageFile) and "exif" not in image.info:
        # Pillow would decode the pixels to look for it behind them
        return 1
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _white_is_zero(image: ImageFile, kind: Kind) -> bool:
    return isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == 0


def _require_mode(path: Path, found: Opened) -> None:
    mode, bits = found.image.mode, found.bits
    several = mode not in ("1", "L", "P", "I", "F", "I;16", "I;16B")
    if mode not in _READ_MODES:
        raise ImageError(f"{path}: its colours are stored as {mode}, which is not read; save it as 8-bit RGB or grey")
    if several and bits > 8:
        raise ImageError(
            f"{path}: has {bits} bits for each colour, and 8 are read; save it as 8-bit RGB, or each colour as a grey "
            "image of 16 bits, listed as a sequence of its own"
        )
    if found.white_is_zero and bits > 8:
        # Pillow inverts such values of 8 bits and fewer alone
        raise ImageError(
            f"{path}: stores white as 0 with {bits} bits, which is read up to 8 bits; save it with black as 0"
        )
    if isinstance(found.image, TiffImagePlugin.TiffImageFile):
        stated = found.image.tag_v2.get(_FORMAT, (_WHOLE,))
        formats = set(stated if isinstance(stated, tuple) else (stated,))
        read = {_WHOLE: bits <= 16, _SIGNED: bits in (16, 32) and mode == "I", _FLOAT: bits == 32 and mode == "F"}
        if not all(read.get(one, False) for one in formats):
            raise ImageError(
                f"{path}: its values have {bits} bits of a kind that is not read exactly; save it with 8 or 16 bits "
                "without a sign, or as 32-bit floating point numbers"
            )


def _require_possible(path: Path, found: Opened) -> None:
    width, height = found.image.size
    values, stored = _SIZE_OF_MODE.get(found.image.mode, (len(found.image.getbands()), 1))
    row = math.ceil(width * values * min(found.bits, 8 * stored) / 8)
    require_contained(path, Declared((row, height), 1, 1, 1), [path], "compressed")
    require_memory(path, Declared((width, height), values, stored, stored))


def _require_one_page(path: Path, found: Opened) -> None:
    """Refuse a file of several images; smaller copies of the first one in a TIFF file are none."""
    image = found.image
    if found.kind == "PNG" and getattr(image, "n_frames", 1) > 1:
        raise ImageError(f"{path}: is animated, and one picture is read; save the one that is meant")
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    for page in range(1, _MOST_PAGES_SEEN):
        try:
            image.seek(page)
        except EOFError:
            break
        if not int(image.tag_v2.get(_SUBFILE, 0)) & _REDUCED:
            raise ImageError(
                f"{path}: has several pages, so it is a volume or a series in time, whose spacing TIFF does not state; "
                "save a volume as NIfTI or NRRD with its spacing, or each page as a picture of its own"
            )
    image.seek(0)
