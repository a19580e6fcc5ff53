"""Says what the text header of a MetaImage or NRRD file leaves open about the place of its voxels.

ITK reads such a file with voxels of 1 mm, at the origin, or along the patient's axes, without a word.
"""

from __future__ import annotations

from pathlib import Path

from autoseg.image.text_headers import META_ENDINGS, NRRD_ENDINGS, header_fields

_ANATOMICAL = frozenset(
    (
        *("rightanteriorsuperior", "ras", "leftanteriorsuperior", "las", "leftposteriorsuperior", "lps"),
        *("rightanteriorsuperiortime", "rast", "leftanteriorsuperiortime", "last"),
        *("leftposteriorsuperiortime", "lpst"),
    )
)
_SEPARATORS = str.maketrans("", "", " -_")
"""NRRD writes its words with hyphens, with blanks, or together."""
_NO_SIZE = "states no size of its voxels: 1 mm is taken, in all directions"
_EXPORT = "export it again from its source if you have it, with a program that writes its place"


def left_open(path: Path) -> tuple[str, ...]:
    """Return what the header of a file does not say of the place of its voxels, and what is taken, in sentences.

    Args:
        path: path of the file; of other formats nothing is told.
    """
    name = path.name.lower()
    if name.endswith(META_ENDINGS):
        fields = header_fields(path)
        return () if {"elementspacing", "elementsize"} & fields.keys() else (f"{path}: {_NO_SIZE}; {_EXPORT}",)
    if name.endswith(NRRD_ENDINGS):
        return tuple(f"{path}: {text}; {_EXPORT}" for text in _of_nrrd(header_fields(path)))
    return ()


def _of_nrrd(fields: dict[str, str]) -> tuple[str, ...]:
    # either way of writing is legal
    fields = {name.replace(" ", ""): value for name, value in fields.items()}
    if "spacedirections" not in fields:
        spacings = fields.get("spacings", "").lower().split()
        if not spacings or all(number == "nan" for number in spacings):
            return (_NO_SIZE,)
        return ("states no directions: taken are x to the left, y to posterior and z to superior",)
    space = fields.get("space", "")
    # no name exists for other dimensions: ITK writes slices and series of volumes so, along the axes that it reads
    if space.lower().translate(_SEPARATORS) in _ANATOMICAL or fields.get("spacedimension", "3") != "3":
        return ()
    named = f"its space {space!r:.40}" if space else "its header names no space, which"
    return (f"{named} does not say how the patient lies in it: taken are x to the left, y to posterior, z to superior",)
