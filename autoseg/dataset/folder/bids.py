"""Reads names in the Brain Imaging Data Structure: `sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz`, labels in derivatives.

Source: Gorgolewski et al., Scientific Data 2016;3:160044; names of masks and segmentations as in the specification's
"Imaging data - derivative".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.dataset.folder.account import Entry
from autoseg.dataset.folder.words import split_name
from autoseg.dataset.names import split_ending
from autoseg.image.walk import LeftOut

_SUBJECT = re.compile(r"sub-[^_/]+")
_ENTITY = re.compile(r"([a-z]+)-([^_]+)", re.IGNORECASE)
_LABEL_SUFFIXES = ("dseg", "mask", "probseg", "seg", "roi", "msk")
_PROBABILITIES = "probseg"
# series in time, and maps of the field
_NO_ANATOMY = ("func", "fmap")
# they tell which image or label, but not another sequence
_NOT_A_SEQUENCE = ("sub", "ses", "space", "label", "desc", "res", "den", "hemi", "from", "to")


@dataclass(frozen=True)
class _Named:
    """An image, its case and subject, the entities that may tell its sequence, and its suffix."""

    image: Path
    case: str
    subject: str
    telling: str
    suffix: str


def is_bids(folder: Path, images: Sequence[Path]) -> bool:
    """Whether the images lie and are named as in BIDS."""
    named = [image for image in images if _SUBJECT.match(image.name) and len(image.relative_to(folder).parts) > 2]
    return len(named) > 0 and 2 * len(named) >= len(images)


def bids_entries(folder: Path, images: Sequence[Path]) -> tuple[list[Entry], list[LeftOut]]:
    """Return the entries of a BIDS data set, and what is left out.

    A case is a session of a subject. A sequence is the suffix (`T1w`, `FLAIR`); where a case has several images of one,
    the entities in which they differ belong to its name, as `acq-sag_T2w`.
    """
    left_out: list[LeftOut] = []
    entries: list[Entry] = []
    named: list[_Named] = []
    for image in images:
        entities, written = _split(image)
        suffix, words = written.lower(), split_name(written)
        # such as lesion-manual, which the specification does not have
        is_label = suffix in _LABEL_SUFFIXES or words.is_label or bool(words.perhaps_label)
        if "sub" not in entities:
            left_out.append(LeftOut(image, "its name has no sub-…"))
            continue
        subject = f"sub-{entities['sub']}"
        case = f"{subject}_ses-{entities['ses']}" if "ses" in entities else subject
        if suffix == _PROBABILITIES:
            left_out.append(LeftOut(image, "probabilities, no label map"))
        elif is_label and "brain" in (entities.get("desc"), entities.get("label")):
            left_out.append(LeftOut(image, "a mask of the whole brain"))
        elif is_label:
            entries.append(Entry(image, case, "", subject, is_label=True))
        elif (kind := image.parent.name.lower()) in _NO_ANATOMY:
            left_out.append(LeftOut(image, f"in the folder {kind}, which holds no anatomy"))
        elif "derivatives" in image.relative_to(folder).parts:
            left_out.append(LeftOut(image, "a processed image among the derivatives"))
        else:
            # sequences keep the spelling of BIDS, such as T1w
            suffix = written
            telling = "_".join(f"{key}-{value}" for key, value in entities.items() if key not in _NOT_A_SEQUENCE)
            named.append(_Named(image, case, subject, telling, suffix))
    entries += [Entry(one.image, one.case, name, one.subject, False) for one, name in _sequences(named)]
    return entries, left_out


def _split(image: Path) -> tuple[dict[str, str], str]:
    """Entities of a BIDS name by their key in lower case, and its suffix."""
    *entities, suffix = split_ending(image)[0].split("_")
    found = (_ENTITY.fullmatch(text) for text in entities)
    return {match[1].lower(): match[2] for match in found if match}, suffix


def _sequences(named: Sequence[_Named]) -> list[tuple[_Named, str]]:
    """Name the sequence of each image by its suffix, with its entities only where a case has the suffix twice."""
    kinds: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in named:
        kinds[one.suffix][one.case].add(one.telling)
    repeated = {suffix for suffix, cases in kinds.items() if any(len(found) > 1 for found in cases.values())}
    return [
        (one, f"{one.telling}_{one.suffix}" if one.telling and one.suffix in repeated else _plain(one.suffix))
        for one in named
    ]


def _plain(suffix: str) -> str:
    return split_name(suffix).sequence or suffix
