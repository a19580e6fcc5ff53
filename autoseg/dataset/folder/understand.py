"""Understands a folder that has neither a `dataset.json` nor a `cases.csv`, by the names in it alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autoseg.dataset.csv_rows import RESERVED
from autoseg.dataset.folder.account import Account, Entry, FoundCase
from autoseg.dataset.folder.bids import bids_entries, is_bids
from autoseg.dataset.folder.images import images_in
from autoseg.dataset.folder.pair import ONLY, doubtful_words, pair, same_names, unpaired
from autoseg.dataset.folder.parts import Part, parts_of
from autoseg.dataset.folder.patients import folders_are_patients, note_on_folders, with_visits
from autoseg.dataset.folder.pattern import entries_by_pattern
from autoseg.dataset.folder.spellings import names_that_differ
from autoseg.dataset.folder.suggest import suggested
from autoseg.dataset.folder.words import IMAGE_FOLDERS, LABEL_FOLDERS, in_order
from autoseg.errors import DatasetError
from autoseg.image.walk import LeftOut, told_by_reason
from autoseg.names import listed

_SHOWN = 6


def understand(folder: Path, images: str | None = None, label: str | None = None) -> Account:
    """Find the cases of a folder, their sequences and label maps; no image is opened.

    Args:
        folder: folder of images and label maps, at any depth.
        images: pattern of the images, such as `scans/{case}_{sequence}.nii.gz`; None = it is found by the names.
        label: pattern of the label maps; None = it is found by the names, or there are none where `images` is given.

    Raises:
        DatasetError: it holds no image, or the names can be understood in no way or in several; the message says what
            was seen and what to do.
        InputError: a pattern is malformed, or fits no file.
    """
    paths, left_out = images_in(folder)
    if not paths:
        beside = _told_left_out(folder, left_out)
        raise DatasetError(
            [f"{folder}: has neither a dataset.json nor a cases.csv, and holds no image{beside}; is the path right?"]
        )
    if images is None and (declared := [one.file for one in left_out if _declares(folder, one.file)]):
        names = ", ".join(_below(folder, file) for file in declared[:_SHOWN]) + _more(declared)
        raise DatasetError([f"{folder}: holds a data set in a folder inside, by its {names}; give that folder"])
    if images is not None:
        by_folders = False
        entries, others = entries_by_pattern(folder, paths, images, label)
        kind = "named by patterns"
    elif is_bids(folder, paths):
        by_folders = False
        entries, others = bids_entries(folder, paths)
        kind = "BIDS"
    else:
        parts = parts_of(folder, paths)
        others, by_folders = [], True
        if doubt := _doubt(folder, parts):
            raise DatasetError([_refusal(folder, doubt, left_out, paths)])
        if any(part.is_label for part in parts):
            entries, kind = pair(parts) or [], _kind(parts)
        else:
            entries, kind = unpaired(parts), "images without label maps"
        if not entries:
            masks = _masks_of_classes(parts)
            raise DatasetError(
                [f"{folder}: {masks}" if masks else _refusal(folder, _seen(folder, parts), left_out, paths)]
            )
    return _account(folder, kind, entries, [*left_out, *others], by_folders=by_folders)


def _declares(folder: Path, file: Path) -> bool:
    """Whether a file in a folder inside says what a data set holds, so that names alone would say something else."""
    inside = file.parent != folder and file.parent.name.lower() not in LABEL_FOLDERS | IMAGE_FOLDERS
    return inside and (
        file.name == "cases.csv" or (file.name == "dataset.json" and (file.parent / "imagesTr").is_dir())
    )


def _doubt(folder: Path, parts: Sequence[Part]) -> str:
    """What of the names has two meanings, as the end of a sentence; empty where nothing has."""
    if perhaps := [part for part in parts if part.perhaps_label]:
        shown = ", ".join(f"{_below(folder, part.path)} ({part.perhaps_label})" for part in perhaps[:_SHOWN])
        return f"these may be label maps or images: {shown}{_more(perhaps)}"
    if words := doubtful_words(parts):
        return f"{', '.join(sorted(words))} may be a sequence or a part of the names: no case has two sequences"
    if not any(part.is_label for part in parts) and (folders := same_names(parts)):
        return f"{folders[0]} and {folders[1]} hold images of the same names: one of them may hold the label maps"
    return ""


def understand_annotated(folder: Path) -> Account:
    """Find the cases of a folder to learn from, as `understand` does.

    Raises:
        DatasetError: as `understand` does, or there is no label map.
    """
    account = understand(folder)
    if all(case.label is None for case in account.cases):
        images = [path for case in account.cases for path in case.images.values()]
        shown = ", ".join(_below(folder, path) for path in images[:_SHOWN])
        seen = (
            f"holds {len(images)} images and no label map by its name ({shown}{_more(images)}); put the label maps "
            "into a folder labels/, under the names of their images, or tell which they are"
        )
        raise DatasetError([_refusal(folder, seen, account.left_out, images)])
    return account


def _kind(parts: Sequence[Part]) -> str:
    depths = Counter(len(part.folders) for part in parts)
    if depths.most_common(1)[0][0] > 0:
        return "a folder for each case"
    together = len({part.path.parent for part in parts}) == 1
    return "images and label maps side by side" if together else "folders of images and of label maps"


def _account(
    folder: Path, kind: str, entries: Sequence[Entry], left_out: list[LeftOut], *, by_folders: bool
) -> Account:
    """Make the account of the entries.

    Args:
        folder: path of the folder that was looked through.
        kind: what it is, in words.
        entries: its images and label maps.
        left_out: what is not used.
        by_folders: whether patients are folders above the cases, which may be something else.
    """
    images: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    labels: dict[str, Path] = {}
    patients: dict[str, str | None] = {}
    problems = []
    for entry in _only_one_sequence(entries):
        held, name = (labels, entry.case) if entry.is_label else (images[entry.case], entry.sequence)
        if name in held:
            what = "label maps" if entry.is_label else f"images of {entry.sequence}"
            problems.append(
                f"case {entry.case} has two {what}, {_below(folder, held[name])} and {_below(folder, entry.path)}"
            )
        held[name] = entry.path
        of_case = patients.setdefault(entry.case, entry.patient)
        if of_case is None:
            patients[entry.case] = entry.patient
        elif entry.patient not in (of_case, None) and not by_folders:
            problems.append(f"case {entry.case} is of two patients, {of_case} and {entry.patient}")
    sequences = in_order({name for of_case in images.values() for name in of_case})
    problems += [f"a sequence cannot be named {name}" for name in sequences if name.casefold() in RESERVED]
    without = [name for name in labels if name not in images]
    problems += [f"{_below(folder, labels[name])} is a label map without an image" for name in without]
    if problems:
        raise DatasetError(
            [_refusal(folder, "; ".join(problems[:_SHOWN]) + _more(problems), (), [entry.path for entry in entries])]
        )
    for name in images if labels else ():
        if name not in labels:
            left_out += [LeftOut(path, "has no label map") for path in images[name].values()]
    cases = tuple(FoundCase(name, images[name], labels.get(name), patients[name]) for name in sorted(labels or images))
    cases, notes = _patients(cases) if by_folders else (cases, ())
    notes = (*notes, *names_that_differ(cases))
    used = in_order({name for case in cases for name in case.images})
    return Account(folder, kind, used, cases, tuple(left_out), notes)


def _patients(cases: tuple[FoundCase, ...]) -> tuple[tuple[FoundCase, ...], tuple[str, ...]]:
    """Decide which folders above the cases are patients, and say so."""
    if all(case.patient is None for case in cases):
        return with_visits(cases)
    are_patients = folders_are_patients(cases)
    told = note_on_folders(cases, are_patients=are_patients)
    return cases if are_patients else tuple(replace(case, patient=None) for case in cases), (told,)


def _only_one_sequence(entries: Sequence[Entry]) -> list[Entry]:
    """Call the sequence `image` where there is one alone and its name is a mere number of a channel."""
    names = {entry.sequence for entry in entries if not entry.is_label}
    if len(names) > 1 or not next(iter(names), "").startswith("channel "):
        return list(entries)
    return [entry if entry.is_label else replace(entry, sequence=ONLY) for entry in entries]


def _seen(folder: Path, parts: Sequence[Part]) -> str:
    images, labels = ([part for part in parts if part.is_label is role] for role in (False, True))
    of_image, of_label = {part.key for part in images}, {part.key for part in labels}
    alone = [part for part in labels if part.key not in of_image] + [p for p in images if p.key not in of_label]
    shown = ", ".join(_below(folder, part.path) for part in alone[:_SHOWN]) or "none stands alone"
    return (
        f"holds {len(labels)} label maps and {len(images)} images, and their names do not tell which belong together; "
        f"without a partner of the same name: {shown}{_more(alone)}"
    )


def _masks_of_classes(parts: Sequence[Part]) -> str:
    """What is wrong where each case has a mask for each class, as the end of a sentence; empty where it has not."""
    names: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for part in parts:
        if part.is_label:
            names[part.folders].add(part.rest)
    shared = set.intersection(*names.values()) if len(names) > 1 else set()
    images = [part for part in parts if not part.is_label]
    if len(shared) < 2:
        return ""
    if names.keys() <= {part.folders for part in images}:
        # p01/ct.nii.gz, p01/segmentations/liver.nii.gz, p01/segmentations/spleen.nii.gz
        classes = sorted(shared)
    elif shared <= {part.rest for part in images}:
        # images/p01.nii.gz, labels/liver/p01.nii.gz, labels/spleen/p01.nii.gz
        classes = sorted("_".join(folders) for folders in names)
    else:
        return ""
    return (
        f"holds several label maps for each case ({listed(classes, _SHOWN)}), and one is read: if each is the mask of "
        "a class, save them as one, with another value for each class, or as segments of one .seg.nrrd of 3D Slicer; "
        "if several people drew the same, leave one folder"
    )


def _refusal(folder: Path, seen: str, left_out: Sequence[LeftOut], paths: Sequence[Path]) -> str:
    if 2 * sum(path.is_dir() for path in paths) > len(paths):
        return (
            f"{folder}: has neither a dataset.json nor a cases.csv, and holds folders of DICOM slices. Write a table "
            "by the descriptions of their series, and correct it: "
            f"autoseg table {folder} -o cases.csv --sequence T1='*t1*' T2='*t2*'; "
            "the command lists the descriptions that fit no pattern"
        )
    images, label = suggested(folder, paths)
    return (
        f"{folder}: has neither a dataset.json nor a cases.csv, and {seen}{_told_left_out(folder, left_out)}. Write a "
        f"table by patterns of the names, such as these, and correct it: autoseg table {folder} -o cases.csv --images "
        f"'{images}' --label '{label}'"
    )


def _told_left_out(folder: Path, left_out: Sequence[LeftOut]) -> str:
    told = told_by_reason(folder, left_out)
    return f" (left out: {'; '.join(told[:_SHOWN])}{_more(told)})" if told else ""


def _below(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _more(things: Sequence[object]) -> str:
    return f" and {len(things) - _SHOWN} more" if len(things) > _SHOWN else ""
