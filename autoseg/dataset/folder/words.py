"""Finds the words in file and folder names that tell a sequence or a label map, and what is left of the name."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

LABEL_FOLDERS = frozenset(
    (
        *("label", "labels", "labelstr", "mask", "masks", "seg", "segs", "segmentation", "segmentations", "annotation"),
        *("annotations", "gt", "groundtruth", "ground_truth", "ground-truth", "roi", "rois", "derivatives"),
    )
)
"""Names of folders, in lower case, that hold label maps."""

IMAGE_FOLDERS = frozenset(
    (
        *("image", "images", "imagestr", "img", "imgs", "scan", "scans", "volume", "volumes", "data", "raw", "input"),
        *("inputs", "photo", "photos", "picture", "pictures", "foto", "fotos", "nifti", "niftis", "mr", "mri"),
    )
)
"""Names of folders, in lower case, that hold images, which tells nothing more."""

_LABEL_WORDS = frozenset(
    (
        *("seg", "segmentation", "segmentations", "label", "labels", "labelmap", "mask", "masks", "gt", "groundtruth"),
        *("annotation", "annotations", "roi", "dseg", "segs", "segm"),
    )
)
_PERHAPS_LABELS = frozenset(
    (
        *("tumor", "tumors", "tumour", "lesion", "lesions", "contour", "contours", "prediction", "predictions", "pred"),
        *("msk", "segmented", "untitled", "maske", "masken", "segmentierung", "segmentierungen", "läsion", "läsionen"),
        *("label1", "seg1", "seg2", "masque", "masques", "contornos", "mascara", "máscara", "mascaras", "máscaras"),
        *("etiqueta", "etiquetas", "segmentacion", "segmentación", "lésion", "lésions", "truth", "manual"),
    )
)
_PLAIN_WORDS = frozenset(("image", "img", "scan", "volume", "vol", "orig"))
_SEQUENCES = {
    **dict.fromkeys(("t1", "t1w", "t1n", "t1wi"), "T1"),
    **dict.fromkeys(("t1ce", "t1c", "t1gd", "t1post", "t1km", "t1contrast"), "T1ce"),
    **dict.fromkeys(("t2", "t2w", "t2wi"), "T2"),
    **dict.fromkeys(("flair", "t2f", "t2flair"), "FLAIR"),
    **dict.fromkeys(("stir", "t2stir"), "STIR"),
    **dict.fromkeys(("tirm", "t2tirm"), "TIRM"),
    "spir": "SPIR",
    "t2star": "T2star",
    "swi": "SWI",
    "dwi": "DWI",
    "adc": "ADC",
    **dict.fromkeys(("pd", "pdw"), "PD"),
    "dce": "DCE",
    "ct": "CT",
    "cbct": "CBCT",
    "pet": "PET",
}
# two neighbouring words that make a sequence of their own
_PAIRS = {
    **{("T1", word): "T1ce" for word in ("ce", "gd", "post", "contrast", "km", "postcontrast")},
    **{(word, "T1"): "T1ce" for word in ("ce", "gd", "post", "contrast")},
    **{pair: name for name in ("FLAIR", "STIR", "TIRM") for pair in (("T2", name), (name, "T2"))},
}
_CONTRAST = frozenset(("ce", "gd", "post", "contrast", "km", "postcontrast", "gad", "gadolinium"))
ORDER = tuple(dict.fromkeys((*_SEQUENCES.values(),)))
"""Known sequences in the order in which they become channels; others follow by name."""

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Name:
    """What a name is made of.

    Args:
        rest: the name without the words below.
        sequence: known sequence in it; empty where there is none.
        is_label: whether its first or last word says that it is a label map.
        perhaps_label: word that makes it perhaps a label map, where it is not marked as one; empty where none does.
    """

    rest: str
    sequence: str
    is_label: bool
    perhaps_label: str = ""


def split_name(name: str) -> Name:
    """Split a name, without its ending, into a sequence, the mark of a label map, and the rest.

    Words are separated by anything that is no letter or digit; upper and lower case do not matter.
    """
    name = unicodedata.normalize("NFC", name)
    words = list(_WORD.finditer(name))
    lower = [word.group().lower() for word in words]
    used: set[int] = set()
    is_label = False
    for i in (0, len(words) - 1) if words else ():
        if lower[i] in _LABEL_WORDS:
            is_label = True
            used.add(i)
    sequences = _sequences(lower, used)
    used |= {i for i, word in enumerate(lower) if word in _PLAIN_WORDS}
    perhaps = next((word for word in lower if word in _LABEL_WORDS | _PERHAPS_LABELS), "")
    if sequences == ["T1"] and (contrast := {i for i, word in enumerate(lower) if word in _CONTRAST}):
        sequences, used = ["T1ce"], used | contrast
    rest = "" if len(used) == len(words) else _without(name, [words[i].span() for i in sorted(used)])
    return Name(rest, sequences[0] if len(sequences) == 1 else "", is_label, "" if is_label else perhaps)


def _sequences(lower: list[str], used: set[int]) -> list[str]:
    """Sequences among the words, without repetition; the places of their words are added to `used`."""
    found: list[str] = []
    i = 0
    while i < len(lower):
        known = _SEQUENCES.get(lower[i], lower[i])
        following = _SEQUENCES.get(lower[i + 1], lower[i + 1]) if i + 1 < len(lower) else ""
        pair = _PAIRS.get((known, following))
        if pair or (i not in used and lower[i] in _SEQUENCES):
            found.append(pair or known)
            used |= {i, i + 1} if pair else {i}
        i += 2 if pair else 1
    return list(dict.fromkeys(found))


def _without(name: str, spans: list[tuple[int, int]]) -> str:
    """The name without these words and the separator before each, or after the first word."""
    kept, at = [], 0
    for start, end in spans:
        kept.append(name[at:start].rstrip("_-. "))
        at = end
    kept.append(name[at:])
    return "".join(kept).strip("_-. ")


def in_order(sequences: set[str]) -> tuple[str, ...]:
    """Sequences in the order of the channels."""
    return tuple(sorted(sequences, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)))
