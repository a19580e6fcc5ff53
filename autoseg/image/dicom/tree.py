"""Lists every DICOM series of a folder of any depth, and what is left out, with its reason.

Each header is read once. An image is a series in a folder: the same series in two folders is two images, such as echoes
that a person has sorted, unless the folders hold the parts of one volume.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.image.dicom.choice import Choice
from autoseg.image.dicom.described import described
from autoseg.image.dicom.frame import Series
from autoseg.image.dicom.sources import INDEX
from autoseg.image.dicom.stacks import patients_stated, stacks_of, why_no_volume
from autoseg.image.dicom_file import is_dicom_file
from autoseg.image.walk import LeftOut, files_inside

SCOUT_BY_DESCRIPTION = "a localiser by its description"
"""Begin of the reason why a series is left out that its description alone makes a localiser."""

# headers are read in portions of so many files, each by one worker
_FILES_AT_ONCE = 100
# descriptions that localisers have whose image type does not say so
_SCOUT = re.compile(r"(?<![a-z])(locali[sz]ers?|scouts?|surveys?|topograms?|scanograms?)(?![a-z])")


@dataclass(frozen=True)
class FoundSeries:
    """A series in a folder, which is one image.

    Args:
        about: its identifiers, number, description and modality, and its study and patient.
        patient: a name for its patient that does not tell the patient's id, such as `patient_02`.
        folder: folder of its files; where these lie in several folders, the one that holds all of them.
        files: paths of all its files, which may lie in several folders.
        frames: number of its frames over all files.
        path: shortest path that reads it: the folder, where that holds no other series.
        path_by_series: path that reads it and names the series, or its only file.
    """

    about: Series
    patient: str
    folder: Path
    files: tuple[Path, ...]
    frames: int
    path: Path
    path_by_series: Path

    def __str__(self) -> str:
        return f"{self.about} in {self.folder}"


@dataclass(frozen=True)
class DicomTree:
    """The DICOM series of a folder, and what else it holds.

    Args:
        folder: path of the folder that was looked through, at any depth.
        series: its series, in the order of their files.
        left_out: DICOM files that hold no image of a series, and entries that cannot be read.
        damaged: DICOM files that are too damaged to tell their series; no image of their folders can be read.
        others: files that are not DICOM.
        notes: what a person should know of patients and folders, one sentence each.
    """

    folder: Path
    series: tuple[FoundSeries, ...]
    left_out: tuple[LeftOut, ...]
    damaged: tuple[LeftOut, ...]
    others: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class FileFacts:
    """What counts of a DICOM file for the list of series.

    Args:
        file: path of the file.
        series: its series; None where it cannot be told.
        frames: number of its frames; 0 where they cannot be read.
        is_scout: whether all of them are localisers.
        left_out: why it is no image of slices, as the end of a sentence that begins with "is"; empty where it is one.
    """

    file: Path
    series: Series | None
    frames: int
    is_scout: bool
    left_out: str


Apply = Callable[[Callable[[Sequence[Path]], list[FileFacts]], Sequence[Sequence[Path]]], Iterable[list[FileFacts]]]


def read_tree(folder: Path, apply: Apply = map) -> DicomTree:
    """List the DICOM series of a folder and of all folders in it.

    Args:
        folder: folder of patients, studies or series, with or without `DICOMDIR` and endings of files.
        apply: applies a function to portions of files, as `map` does; it may use several processes.

    Raises:
        ImageError: the folder cannot be read, or holds too many files.
    """
    files, left_out = files_inside(folder)
    left_out += [LeftOut(file, "an index of a folder (DICOMDIR)") for file in files if file.name.upper() == INDEX]
    files = [file for file in files if file.name.upper() != INDEX]
    dicom = [file for file in files if is_dicom_file(file)]
    held = set(dicom)
    portions = [dicom[i : i + _FILES_AT_ONCE] for i in range(0, len(dicom), _FILES_AT_ONCE)]
    facts = list(chain.from_iterable(apply(facts_of, portions)))
    damaged = [LeftOut(one.file, f"damaged: {one.left_out}") for one in facts if one.series is None]
    told = [one for one in facts if one.series is not None]
    left_out += [LeftOut(one.file, one.left_out) for one in told if one.left_out]
    parts = _parts([one for one in told if not one.left_out])
    images, not_images = _images(parts)
    left_out += not_images
    images, notes = _joined(images)
    return DicomTree(
        folder=folder,
        series=_named(images, parts),
        left_out=tuple(sorted(left_out, key=lambda one: one.file)),
        damaged=tuple(damaged),
        others=tuple(file for file in files if file not in held),
        notes=(*notes, *_notes_on_patients(folder, images)),
    )


def facts_of(files: Sequence[Path]) -> list[FileFacts]:
    """Read the headers of files; a damaged file is told as such."""
    return [_facts(file) for file in files]


def _facts(file: Path) -> FileFacts:
    try:
        found = described(file)
    except ImageError as error:
        return FileFacts(file, None, 0, False, str(error).removeprefix(f"{file}: "))
    if found.damage:
        # a file whose series is known belongs to it, so that reading the series tells of the damage
        why = "" if found.series else found.damage.removeprefix(f"{file}: ")
        return FileFacts(file, found.series, 0, False, why)
    why = found.left_out.why if found.left_out else ""
    return FileFacts(file, found.series or Series(""), len(found.frames), all(f.is_scout for f in found.frames), why)


@dataclass(frozen=True)
class _Part:
    """The files of a series in one folder, or in several that hold the parts of one volume."""

    about: Series
    folder: Path
    files: tuple[Path, ...]
    frames: int
    is_scout: bool

    @property
    def key(self) -> tuple[str, str, str]:
        return self.about.patient, self.about.study, self.about.uid

    @property
    def patient(self) -> tuple[str, str]:
        """What tells its patient; without an id each study counts as a patient."""
        return (self.about.patient, "") if self.about.patient else ("", self.about.study)


def _parts(facts: Sequence[FileFacts]) -> list[_Part]:
    """Group files by folder and series, in the order of their first files."""
    patients = patients_stated(one.series for one in facts if one.series is not None)
    grouped: defaultdict[tuple[Path, str, str, str], list[FileFacts]] = defaultdict(list)
    for one in facts:
        assert one.series is not None
        patient = patients.get(one.series.uid, one.series.patient)
        grouped[one.file.parent, patient, one.series.study, one.series.uid].append(one)
    parts = []
    for (_, patient, _, _), same in grouped.items():
        assert same[0].series is not None
        about = replace(same[0].series, patient=patient)
        frames, scouts = sum(one.frames for one in same), all(one.is_scout for one in same)
        parts.append(_Part(about, same[0].file.parent, tuple(one.file for one in same), frames, scouts))
    return parts


def _images(parts: Sequence[_Part]) -> tuple[list[_Part], list[LeftOut]]:
    """The parts that are images; localisers, and single slices beside a volume, are not."""
    images, left_out = [], []
    with_volume = {part.folder for part in parts if not part.is_scout and part.frames > 1}
    for part in parts:
        if part.is_scout and part.frames:
            why = "a localiser"
        elif _SCOUT.search(part.about.description.casefold()):
            why = f"{SCOUT_BY_DESCRIPTION} ({part.about.description})"
        elif part.frames == 1 and part.folder in with_volume:
            why = "a single slice beside a volume of another series"
        else:
            images.append(part)
            continue
        left_out += [LeftOut(file, why) for file in part.files]
    return images, left_out


def _joined(images: Sequence[_Part]) -> tuple[list[_Part], list[str]]:
    """Join the parts of one volume that lie in several folders; where a series is not one, a sentence tells it."""
    same: defaultdict[tuple[str, str, str], list[_Part]] = defaultdict(list)
    for part in images:
        same[part.key].append(part)
    joined: list[_Part] = []
    notes = []
    for parts in same.values():
        whole = _whole(parts) if len(parts) > 1 and parts[0].about.uid else None
        joined += parts if whole is None else [whole]
        if whole is None and len(parts) > 1:
            folders = ", ".join(str(part.folder) for part in parts[:3]) + (", …" if len(parts) > 3 else "")
            notes.append(f"{parts[0].about} lies in {len(parts)} folders, and each counts as an image: {folders}")
    return sorted(joined, key=lambda part: part.files[0]), notes


def _whole(parts: Sequence[_Part]) -> _Part | None:
    """The volume whose parts these are; None where they make no volume, as copies and sorted echoes do."""
    files = tuple(sorted(file for part in parts for file in part.files))
    around = Path(os.path.commonpath([part.folder for part in parts]))
    frames = [frame for file in files for frame in described(file).frames]
    if any(part.folder == around for part in parts) or len(frames) < sum(part.frames for part in parts):
        return None
    try:
        stacks = stacks_of(frames)
    except ImageError:
        return None
    if len(stacks) != 1 or why_no_volume(stacks[0]):
        return None
    return _Part(parts[0].about, around, files, len(frames), False)


def _named(images: Sequence[_Part], parts: Sequence[_Part]) -> tuple[FoundSeries, ...]:
    """Give every image its paths, and its patient a name.

    Args:
        images: the parts that are images.
        parts: all parts; reading a folder meets those of them too that are no image by their description alone.
    """
    patients = list(dict.fromkeys(part.patient for part in images))
    names = {patient: f"patient_{i + 1:0{len(str(len(patients)))}d}" for i, patient in enumerate(patients)}
    beside: defaultdict[Path, list[_Part]] = defaultdict(list)
    of_image = {file for part in images for file in part.files}
    # reading a folder leaves out what is a localiser by its image type, and single slices
    met = [part for part in parts if part.files[0] not in of_image and not part.is_scout and part.frames > 1]
    for part in (*images, *met):
        beside[part.folder].append(part)
    around = {folder for held in beside for folder in held.parents}
    found = []
    for part in images:
        same = beside[part.folder]
        by_series = part.files[0] if len(part.files) == 1 else _choice_of(part, same).of(part.folder)
        alone = len(same) == 1 and part.folder not in around and part.files[0].parent == part.folder
        path = part.folder if alone else by_series
        found.append(
            FoundSeries(part.about, names[part.patient], part.folder, part.files, part.frames, path, by_series)
        )
    return tuple(found)


def _choice_of(part: _Part, beside: Sequence[_Part]) -> Choice:
    """The shortest choice that fits this series alone among those of its folder."""
    about = part.about
    # one that is sought in the folders inside may meet any number there
    texts = (about.number, about.uid) if part.files[0].parent == part.folder else (about.uid,)
    for text in texts:
        if text and [other for other in beside if Choice(series=text).fits_series(other.about)] == [part]:
            return Choice(series=text)
    return Choice(series=about.uid or about.number or about.description or None)


def _notes_on_patients(folder: Path, images: Sequence[_Part]) -> list[str]:
    notes = []
    if nameless := {part.about.study for part in images if not part.about.patient}:
        states = "study states" if len(nameless) == 1 else "studies state"
        notes.append(f"{folder}: {len(nameless)} {states} no patient's id; each counts as a patient of its own")
    patients = {part.about.patient for part in images}
    tops = {part.folder.relative_to(folder).parts[:1] for part in images}
    if len(patients) == 1 and "" not in patients and min(len(tops), len({part.about.study for part in images})) > 1:
        notes.append(
            f"{folder}: all series in its {len(tops)} folders state one patient's id; "
            "if they were made anonymous alike, correct the patients by hand"
        )
    return notes
