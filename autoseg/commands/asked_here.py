"""What `autoseg run` and `autoseg study` write down of what was asked, so that other processes can do units of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from autoseg.commands.guards import require_run_or_empty
from autoseg.commands.plan_options import PlanOptions
from autoseg.names import is_text
from autoseg.run_folder.paths import RunFolder
from autoseg.work.at_work import AskedBefore, asked_before, refuse_other_request, write_down_here
from autoseg.work.request import Request


def told_to_others(dataset: object) -> str | None:
    """The whole path of a data set; None for a table in memory, or where bytes of the path are no text."""
    path = str(Path(dataset).absolute()) if isinstance(dataset, (str, Path)) else None
    return path if path is not None and is_text(path) else None


def names_of_devices(devices: Sequence[str | int] | str | int | None) -> tuple[str, ...] | None:
    """The names of one device or several, as a person gave them; None where none was given."""
    if devices is None:
        return None
    return tuple(map(str, (devices,) if isinstance(devices, str | int) else devices))


def written_once_planned(run: RunFolder, request: Request, wanted: PlanOptions) -> Callable[[], None]:
    """Return what writes down a request that this process carries out itself; `prepare` calls it when it plans.

    Args:
        run: RUN folder; it need not exist yet.
        request: what was asked for.
        wanted: options of the plan, of which the number of devices is used here.

    Raises:
        RunFolderError: the folder holds other files, or units of another request or engine wait or run.
    """
    request, before = request.changed(at_once=wanted.count), AskedBefore()
    if run.work.exists():
        require_run_or_empty(run, follow_links=request.follow_links)
        refuse_other_request(run, request, "local")
        before = asked_before(run, request)
    return partial(write_down_here, run, request, before)
