"""Checks before a command begins: of single options, and of the RUN folder that it works on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from autoseg.disk.leftovers import sweep
from autoseg.errors import InputError, RunFolderError
from autoseg.machine.passing_files import sweep_passing_files
from autoseg.plan.plan import Plan, default_configurations
from autoseg.run_folder.lock import remove_abandoned_locks
from autoseg.run_folder.lock_holder import Watch
from autoseg.run_folder.paths import RunFolder

# What a RUN folder may hold before its first plan: a person's own folds, what was asked for, and leftovers of an
# interrupted start.
_BEFORE_THE_PLAN = {
    "splits.json",
    "splits.as_made.json",
    "time_spent.json",
    "dataset.json",
    "fingerprint.json",
    "work",
}


def configurations_of(config: str | Sequence[str] | None, plan: Plan | None = None) -> tuple[str, ...]:
    """Return the names of the configurations, each once, from one name or several.

    Args:
        config: names that a person gave; None = the default.
        plan: plan whose default it is; None = there is none yet, and the default is returned as no name.

    Raises:
        InputError: no name is given.
    """
    if config is None:
        return () if plan is None else default_configurations(plan)
    names = (config,) if isinstance(config, str) else tuple(dict.fromkeys(config))
    if not names:
        raise InputError("--config: name at least one configuration, such as 3d")
    return names


def folder_for_results(path: Path | str) -> Path:
    """Return the folder that results go to, before any work is done for them.

    Raises:
        InputError: the path, or a part of it, is a file, or it may not be written to.
    """
    folder = Path(path)
    if found := _file_among(folder):
        raise InputError(f"--output {folder}: {found} is a file; give a folder, which may be new")
    require_writable(folder)
    return folder


def _file_among(folder: Path) -> Path | None:
    """The file that stands in place of a folder, or of one around it; None where there is none."""
    return next((part for part in (folder, *folder.parents) if part.exists() and not part.is_dir()), None)


def require_writable(folder: Path) -> None:
    """Refuse a folder in which nothing may be made, before any work is done for it.

    Args:
        folder: folder that will be written to; it need not exist yet.

    Raises:
        InputError: there is no permission to write there, or its file system is read-only.
    """
    there = next((part for part in (folder, *folder.absolute().parents) if part.is_dir()), None)
    if there is not None and not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: there is no permission to write in {there}; give another folder, or ask its owner")


def existing_run(path: Path | str, *, follow_links: bool = False) -> RunFolder:
    """Return the RUN folder at `path`, after what killed processes left behind in it was removed.

    Args:
        path: path of the RUN folder.
        follow_links: whether links in it may lead out of it.

    Raises:
        RunFolderError: `path` is no folder, it holds no plan, or a link in it leads out of it.
    """
    run = RunFolder(Path(path))
    if not run.path.is_dir():
        raise RunFolderError(
            f"{run.path}: is not a folder; give a RUN folder that plan-and-preprocess or run made. They make it once "
            "the data set is checked"
        )
    if not run.plan.exists() and not _is_begun(run):
        raise RunFolderError(
            f"{run.path}: is no RUN folder, since it holds no plan.yaml; give the folder that `autoseg run`, "
            "`autoseg plan-and-preprocess` or `autoseg copy` made"
        )
    run.require(run.plan, "autoseg plan-and-preprocess")
    refuse_unsafe_entries(run.path, follow_links=follow_links)
    _remove_leftovers(run)
    return run


def _is_begun(run: RunFolder) -> bool:
    """Whether a folder without a plan holds the beginning of a run; other programs' data sets have a `dataset.json`."""
    return run.time_spent.exists() or run.fingerprint.exists() or run.request.exists()


def require_requested_run(path: Path | str, *, follow_links: bool = False) -> RunFolder:
    """As `existing_run`, of a RUN folder that may hold no plan yet, but what was asked for.

    Raises:
        RunFolderError: `path` is no folder, it holds neither, or a link in it leads out of it.
    """
    run = RunFolder(Path(path))
    if not run.plan.exists() and not run.request.exists() and (holder := Watch().living(run.plan)) is not None:
        raise RunFolderError(
            f"{run.path}: {holder.told} plans it now; what there is to do is known once {run.plan.name} is there"
        )
    if run.path.is_dir() and not run.plan.exists() and (run.request.exists() or run.dataset.exists()):
        refuse_unsafe_entries(run.path, follow_links=follow_links)
        _remove_leftovers(run)
        return run
    return existing_run(path, follow_links=follow_links)


def _remove_leftovers(run: RunFolder) -> None:
    """Remove what killed processes left: half-written files, locks, sockets, and the state of finished folds."""
    remove_abandoned_locks(run.path)
    sweep(run.path)
    sweep_passing_files()
    for name in run.configurations_with_models():
        for fold, folder in run.folds(name):
            if run.is_finished(name, fold) and (folder / "checkpoint").exists():
                shutil.rmtree(folder / "checkpoint", ignore_errors=True)


def refuse_unsafe_entries(folder: Path, *, follow_links: bool = False) -> None:
    """Refuse a folder with an entry that leads out of it, is neither a file nor a folder, or may not be read.

    What is written or removed through a link would not be the run's, and reading from a pipe may never end. A second
    name of a file elsewhere (a hard link) cannot be told from a file.

    Args:
        folder: RUN folder, which is searched with all folders in it.
        follow_links: whether links in it may lead out of it.

    Raises:
        RunFolderError: there is such an entry; the message names it, and the target of a link.
    """
    root = Path(os.path.realpath(folder))
    waiting = [root]
    while waiting:
        # another process of the same run may rename a folder meanwhile
        with suppress(FileNotFoundError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    if not follow_links:
                        _refuse_link_out(Path(entry.path), root)
                elif entry.is_dir():
                    waiting.append(Path(entry.path))
                elif not entry.is_file() and os.path.lexists(entry.path):
                    raise RunFolderError(
                        f"{entry.path}: is neither a file nor a folder, but a pipe, a socket or a device; delete it"
                    )
                _refuse_unreadable(entry)


def _refuse_unreadable(entry: os.DirEntry[str]) -> None:
    """Refuse a file or folder of another user before work starts; hidden ones are locks and half-written files."""
    mode = os.R_OK | os.X_OK if entry.is_dir() else os.R_OK
    if not entry.name.startswith(".") and not os.access(entry.path, mode) and os.path.lexists(entry.path):
        raise RunFolderError(
            f"{entry.path}: there is no permission to read it; ask its owner for it (chmod -R a+rX of the RUN folder)"
        )


def _refuse_link_out(link: Path, root: Path) -> None:
    if not Path(os.path.realpath(link)).is_relative_to(root):
        raise RunFolderError(
            f"{link}: is a link to {link.readlink()}, outside of the RUN folder, where nothing is read or written; put "
            "the files themselves here, or add --follow-links if you made the link"
        )


def require_run_or_empty(run: RunFolder, *, follow_links: bool = False) -> None:
    """Refuse a folder that is neither a RUN folder nor empty, to protect a person's other files.

    What killed processes left behind in a RUN folder is removed.

    Args:
        run: RUN folder to make or to go on with.
        follow_links: whether links in it may lead out of it.

    Raises:
        RunFolderError: the path is a file, or a folder that holds other files, or a link in it leads out of it.
    """
    if found := _file_among(run.path):
        raise RunFolderError(f"{run.path}: {found} is a file; give a folder for the run")
    require_writable(run.path)
    if run.path.exists():
        refuse_unsafe_entries(run.path, follow_links=follow_links)
    if run.plan.exists() or run.dataset.exists():
        _remove_leftovers(run)
        return
    if not run.path.exists():
        return
    known = _BEFORE_THE_PLAN - (set() if _is_ours(run) else {run.work.name})
    others = sorted(p.name for p in run.path.iterdir() if not p.name.startswith(".") and p.name not in known)
    if others:
        raise RunFolderError(f"{run.path}: is no RUN folder and holds {others[0]}; give a new or an empty folder")


def _is_ours(run: RunFolder) -> bool:
    """Whether a folder `work` holds what was asked for, or nothing yet; a person may call a folder so too."""
    if run.request.exists():
        return True
    return run.work.is_dir() and all(path.name.startswith(".") for path in run.work.iterdir())


def trained_folds(run: RunFolder) -> tuple[str, ...]:
    """Return the folds that have weights or a checkpoint, each as a text like `3d fold 0`."""
    names = run.configurations_with_models()
    return tuple(f"{name} fold {fold}" for name in names for fold, _ in run.begun_folds(name))


def refuse_if_trained(run: RunFolder, why: str) -> None:
    """Refuse to make another plan where models are trained, since they would not fit it.

    Args:
        run: RUN folder that may hold models.
        why: beginning of the message: what would make another plan, such as `--replan makes another plan`.

    Raises:
        RunFolderError: a fold has weights or a checkpoint.
    """
    if folds := trained_folds(run):
        raise RunFolderError(
            f"{run.path}: {why}, which the trained models ({', '.join(folds)}) do not fit; "
            f"use a new RUN folder, or delete {run.path / 'models'}"
        )


def refuse_models_alone(run: RunFolder) -> None:
    """Refuse a copy made with `--models-only`, for commands that need folds and cases.

    Raises:
        RunFolderError: the folder holds models and no `splits.json`.
    """
    if trained_folds(run) and not run.splits.exists():
        raise RunFolderError(
            f"{run.path}: holds models alone, to predict with, and no cases to train on; "
            "train in the RUN folder that it was copied from"
        )
