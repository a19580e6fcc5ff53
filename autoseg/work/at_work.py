"""What is still at work of a run, on any machine and in any queue, and what another command must not change then.

Each unit reads what was asked for when it begins. So while units wait or run, it stays as it is, and who places them
is not forgotten.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.errors import InputError, RunFolderError
from autoseg.names import listed
from autoseg.plan.plan import default_configurations, read_plan
from autoseg.run_folder.lock_holder import PATIENCE, Watch
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.terminal import open_console
from autoseg.work.engine import Name, giving, held_by_engine, read_engine, write_engine
from autoseg.work.request import Request, read_request, write_request
from autoseg.work.state import States, units_left
from autoseg.work.units import units_of

_FREE = frozenset({"parts", "at_once", "workers", "devices", "trust_times", "follow_links"})
"""Fields of a request that follow from others, or that change no result."""

_OPTIONS = {"dataset": "DATASET", "configurations": "--config", "selects": "--no-select"}
"""Fields of a request whose option has another name."""

_LEFT_OPEN = {"configurations": (), "folds": None}
"""Values of fields that follow from the data set, which is not read here."""

NAMED = 5
"""Units that are named in a message at most."""


def units_at_work(run: WorkFolder) -> tuple[str, ...]:
    """Names of the units that an engine holds, or that a process does now.

    Processes of other machines are watched until it is known whether they live.

    Raises:
        InputError: the engine is not at hand, so that this is not known here.
    """
    if not (run.request.exists() or (isinstance(run, RunFolder) and run.plan.exists())):
        return ()
    asked = _read_former(run) if isinstance(run, RunFolder) else None
    if asked is None and isinstance(run, RunFolder) and run.request.exists():
        # damaged, or of another release
        asked = Request(dataset=None)
    states, watch = States(run, wanted=asked), Watch()
    # a run that is done is in no queue, wherever its folder was copied to
    held = held_by_engine(run) if read_engine(run) not in (None, "local") and units_left(run, asked) else ()
    places = {unit.name: states.places(unit) for unit in units_of(run, asked)}
    every = [place for of_one in places.values() for place in of_one]
    # all are looked at before the first is waited for, so that they are watched at the same time
    if [place for place in every if watch.living(place) is not None and not watch.was_heard(place)]:
        open_console(stderr=True).print(
            f"{run.path}: looks whether processes of other machines still live, for {PATIENCE:.0f} s at most",
            soft_wrap=True,
        )
    running = [name for name, of_one in places.items() if any(map(watch.lives_for_sure, of_one))]
    return tuple(dict.fromkeys([*held, *running]))


def is_at_work(run: WorkFolder) -> bool:
    """Whether units wait or run, or may do so in a queue that cannot be asked on this machine."""
    try:
        return bool(units_at_work(run))
    except InputError:
        return True


@dataclass(frozen=True)
class AskedBefore:
    """What a RUN folder said of its units when a command began to work on it.

    Args:
        request: what was asked for; None = nothing that units can follow.
        engine: who places the units; None = nobody.
        at_work: whether units wait or run that the command's own request would change, or who places them. Both then
            stay as they are.
    """

    request: Request | None = None
    engine: Name | None = None
    at_work: bool = False


def asked_before(run: RunFolder, request: Request) -> AskedBefore:
    """Return what a RUN folder says of its units, before a command works on it.

    Where its request would change nothing, nobody is asked or watched.
    """
    former, engine = _read_former(run), read_engine(run)
    is_same = former in (None, request) and engine in (None, "local")
    return AskedBefore(former, engine, not is_same and is_at_work(run))


def write_down_here(run: RunFolder, request: Request, before: AskedBefore) -> None:
    """Write down what was asked of this process, which does the units itself.

    Nothing is written where units wait or run that follow what is there. It may have come there since this command
    began, while the data set was read.

    Args:
        run: RUN folder, in which the request is written.
        request: what was asked for: the data set, the folds and the options.
        before: what the folder said when this command began.

    Raises:
        RunFolderError: another command has asked for something else since, or gives units to an engine just now.
    """
    if (before.at_work and before.request is not None) or _stands_there(run, request, before):
        return
    with giving(run, "local"):
        if _stands_there(run, request, before):
            return
        write_request(run, request)
        if not before.at_work and read_engine(run) is not None:
            write_engine(run, "local")


def _stands_there(run: RunFolder, request: Request, before: AskedBefore) -> bool:
    """Whether a request stands there already, or another command has given the same to an engine since."""
    former, engine = _read_former(run), read_engine(run)
    if former is None or (former, engine) == (before.request, before.engine):
        return former == request and engine in (None, "local")
    if differs := differences(run, former, request):
        raise RunFolderError(
            f"{run.path}: since this command began, another {_command(former)} has asked for something else "
            f"({'; '.join(differs)}); `autoseg status {shlex.quote(str(run.path))}` shows what it does"
        )
    return former == request or engine not in (None, "local")


def refuse_if_at_work(run: WorkFolder, why: str) -> None:
    """Refuse what would change the work of units that wait in a queue or run.

    Args:
        run: RUN folder, or folder of predictions, whose request can be read.
        why: why they would be changed, which stands before their names.

    Raises:
        RunFolderError: there are such units, or whether there are any is not known on this machine.
    """
    cancel = f"`autoseg cancel {shlex.quote(str(run.path))}`"
    try:
        there = units_at_work(run)
    except InputError as error:
        raise RunFolderError(
            f"{run.path}: {why}. Whether units of it still wait or run is not known here: {error}\nGive {cancel} where "
            f"that is at hand; if you know that none does, delete {run.engine}"
        ) from None
    if there:
        raise RunFolderError(f"{run.path}: {why}, and units wait or run ({listed(there, NAMED)}); {cancel} first")


def refuse_other_request(run: RunFolder, request: Request, engine: Name) -> None:
    """Refuse a request that differs from the one that units now follow, or another engine than the one that has them.

    Args:
        run: RUN folder, whose units may wait or run by an earlier request.
        request: what is asked for now.
        engine: engine that is asked for now; the local one may work beside any other.

    Raises:
        RunFolderError: units wait or run; the message says what differs.
    """
    before, recorded = _read_former(run), read_engine(run)
    if before is None:
        return
    if differs := differences(run, before, request):
        refuse_if_at_work(run, f"an earlier {_command(before)} asked for something else ({'; '.join(differs)})")
    if engine != "local" and recorded not in (None, "local", engine):
        refuse_if_at_work(run, f"its units were given to {recorded}, and are to be given to {engine}")


def differences(run: RunFolder, before: Request, now: Request) -> list[str]:
    """Say in which options two requests differ, of those that decide results.

    Args:
        run: RUN folder; with a plan, no configuration stands for the default one.
        before: what was asked for earlier.
        now: what is asked for now.
    """
    if (before.grid is None) != (now.grid is None):
        return [f"it was {_command(before)}, and is {_command(now)}"]
    told, then, values = [], _compared(run, before), _compared(run, now)
    for field, value in values.items():
        unknown = field in _LEFT_OPEN and _LEFT_OPEN[field] in (then[field], value)
        if field not in _FREE and then[field] != value and not unknown:
            option = _OPTIONS.get(field, f"--{field.replace('_', '-')}")
            told.append(f"{option} was {_text(field, then[field])}, and is {_text(field, value)}")
    return told


def _command(request: Request) -> str:
    return "`autoseg run`" if request.grid is None else "`autoseg study`"


def _compared(run: RunFolder, request: Request) -> dict[str, object]:
    """Fields of a request as they are compared, keyed by their names; in place of a study's grid its two options."""
    values = dict(request)
    grid = values.pop("grid")
    if request.dataset is not None:
        values["dataset"] = os.path.realpath(request.dataset)
    if grid is None:
        # folds follow from the data set
        values["folds"] = None
        if not request.configurations and run.plan.exists():
            values["configurations"] = default_configurations(read_plan(run.plan))
        return values
    # cells follow from the grid; where there are folds, whoever plans refuses another number of them
    open_folds = {"folds": None} if run.splits.exists() else {}
    return values | {"configurations": ()} | open_folds | dict(grid)


def _text(field: str, value: object) -> str:
    if field == "selects":
        return "not given" if value else "given"
    if value is None:
        return "not given"
    return " ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _read_former(run: RunFolder) -> Request | None:
    try:
        return read_request(run)
    except RunFolderError:
        # of another release, or damaged: no unit can follow it
        return None
