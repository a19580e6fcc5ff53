"""Copying a RUN folder: the whole folder, or only the models that prediction needs, without the patients' images."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from autoseg.dataset.fingerprint import Fingerprint, read_fingerprint, write_fingerprint
from autoseg.errors import RunFolderError
from autoseg.files import folder_replaced_when_done
from autoseg.plan.plan import read_plan
from autoseg.run_folder.dataset_record import read_record, write_record
from autoseg.run_folder.finished_fold import read_finished, write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.selection import read_selection, write_selection


def copy_run(source: RunFolder, target: Path, *, models_only: bool) -> None:
    """Copy a RUN folder; the copy appears whole or not at all.

    Args:
        source: RUN folder that is copied.
        target: folder that is made; it may exist if it is empty.
        models_only: copy the plan, the selection, the weights and summary of each fold, and `dataset.json` and
            `fingerprint.json` without names of cases, patients and files; copy no image, no label map,
            no prediction and no training state.

    Raises:
        RunFolderError: `source` holds no plan, or no trained fold although `models_only` is set; or `target` is
            not an empty folder, or lies inside `source`.
    """
    source.require(source.plan, "autoseg plan-and-preprocess")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RunFolderError(f"{target}: exists and is not empty; choose a new folder to copy to")
    if target.resolve().is_relative_to(source.path.resolve()):
        raise RunFolderError(f"{target}: lies inside {source.path}; choose a folder outside it")
    with folder_replaced_when_done(target) as temporary:
        if models_only:
            _copy_models(source, RunFolder(temporary))
        else:
            _copy_everything(source.path, temporary)


def _copy_everything(source: Path, target: Path) -> None:
    """Copy a folder without its passing files; a link that stays inside of it becomes the same link in the copy.

    Were such links followed, two folders that link to each other would be copied without end.
    """
    root, inside = Path(os.path.realpath(source)), list[tuple[Path, Path]]()

    def left_out(folder: str, names: list[str]) -> set[str]:
        left = {name for name in names if name.startswith(".")}
        for name in set(names) - left:
            entry = Path(folder, name)
            place = Path(os.path.realpath(entry))
            if entry.is_symlink() and place.is_relative_to(root):
                inside.append((entry.relative_to(source), place.relative_to(root)))
                left.add(name)
        return left

    shutil.copytree(source, target, dirs_exist_ok=True, ignore=left_out)
    for link, place in inside:
        # relative, so that it leads into the copy
        (target / link).symlink_to(os.path.relpath(target / place, (target / link).parent))


def _copy_models(source: RunFolder, target: RunFolder) -> None:
    names = source.configurations_with_models()
    trained = [(name, fold) for name in names for fold, _ in source.folds(name) if source.weights(name, fold).exists()]
    if not trained:
        raise RunFolderError(f"{source.path}: holds no trained fold; `autoseg train` makes them")
    of_folds = [path(name, fold) for name, fold in trained for path in (source.weights, source.trained_by)]
    for file in (*of_folds, source.plan, source.planned, source.reference_plan):
        if file.exists():
            copied = target.path / file.relative_to(source.path)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copied)
    for name, fold in trained:
        if (finished := read_finished(source, name, fold)) is not None:
            write_finished(target, name, fold, finished.without_names())
    plan = read_plan(target.plan)
    if (selection := read_selection(source, plan)) is not None:
        write_selection(target, selection)
    write_record(target, read_record(source).changed(cases=(), description=""))
    write_fingerprint(target.fingerprint, _without_names(read_fingerprint(source.fingerprint)))


def _without_names(fingerprint: Fingerprint) -> Fingerprint:
    """Return the same measurements with numbered cases instead of named ones."""
    cases = [case.changed(case=f"case_{i:04d}") for i, case in enumerate(fingerprint.cases)]
    return fingerprint.changed(cases=tuple(cases))
