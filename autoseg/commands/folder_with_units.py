"""Finds out in which kind of folder units of work are done: a RUN folder, or one of predictions."""

from __future__ import annotations

from pathlib import Path

from autoseg.commands.guards import refuse_unsafe_entries, require_requested_run
from autoseg.disk.leftovers import sweep
from autoseg.errors import RunFolderError
from autoseg.run_folder.lock import remove_abandoned_locks
from autoseg.run_folder.predictions_folder import PredictionsFolder, WorkFolder


def folder_with_units(path: Path | str, *, follow_links: bool = False) -> WorkFolder:
    """Return the folder at a path, after what killed processes left behind in it was removed.

    Args:
        path: path of the folder.
        follow_links: whether links in it may lead out of it.

    Raises:
        RunFolderError: it is neither a RUN folder nor one of predictions that units of work make, or a link in it leads
            out of it.
    """
    predictions = PredictionsFolder(Path(path))
    if not predictions.request.exists():
        return require_requested_run(path, follow_links=follow_links)
    refuse_unsafe_work(predictions, follow_links=follow_links)
    remove_abandoned_locks(predictions.work)
    sweep(predictions.work)
    return predictions


def refuse_unsafe_work(folder: PredictionsFolder, *, follow_links: bool) -> None:
    """Refuse links that lead out, pipes and the like, where what was asked for is read and written.

    Args:
        folder: folder of predictions, which need not exist.
        follow_links: whether links in it may lead out of it.

    Raises:
        RunFolderError: there is such an entry; the message names it.
    """
    if folder.work.is_symlink() and not follow_links:
        raise RunFolderError(f"{folder.work}: is a link; add --follow-links if you made it")
    refuse_unsafe_entries(folder.work, follow_links=follow_links)
