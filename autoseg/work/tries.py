"""`work/UNIT.json`: every try of a unit of work: where, when by the clock of that machine, and how it ended."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import Field

from autoseg.errors import (
    AutosegError,
    LockTakenOver,
    NotEnoughMemory,
    OtherPace,
    OutOfMemory,
    RunFolderError,
    WorkerDied,
)
from autoseg.files import FileModel, read_model, write_text
from autoseg.machine.stop_answer import stop_stays_a_stop
from autoseg.run_folder.lock import LockedByAnother, locked_briefly
from autoseg.run_folder.predictions_folder import PredictionsFolder, WorkFolder
from autoseg.work.prediction_request import PredictionRequest
from autoseg.work.prediction_units import evaluated_from

STOPPED = 75
"""Exit status of a unit that was stopped cleanly: the same command goes on."""

KEPT = 20
"""So many of the last tries are kept."""

LONGEST_MESSAGE = 2_000

REPORT = "report-"
"""How the names of units begin that write reports."""

STUDY = "study"
"""Name of the unit that writes the results of a study."""


class Try(FileModel):
    """One try of a unit.

    Args:
        host: name of the machine.
        process: number of the process on it.
        started: local time of that machine, for people; no time is computed from it.
        ended: local time of its end; None = it has not ended, or was killed.
        exit: exit status; None = it has not ended, or was killed.
        message: last message of a try that did not end well.
        log: file of what it printed, as the engine said; None = none was given.
        cancelled: whether somebody took it back while it ran; if it was then killed before it had ended, that is why.
    """

    host: str
    process: int
    started: str
    ended: str | None = None
    exit: int | None = None
    message: str = ""
    log: str | None = None
    cancelled: bool = False


class Tries(FileModel):
    """Content of `work/UNIT.json`.

    Args:
        count: number of all tries so far.
        last: the last of them, in order.
        made_from: digest of what the last try which succeeded began with, as from `made_from_now`.
    """

    schema_version: Literal[1] = 1
    count: int = Field(default=0, ge=0)
    last: tuple[Try, ...] = ()
    made_from: str | None = None


@dataclass(frozen=True)
class Begun:
    """A try that has begun.

    Args:
        as_begun: its record with machine, process and begin; end and exit status are still empty.
        made_from: digest of what it works from at its begin; None = there was no plan.
    """

    as_begun: Try
    made_from: str | None


def read_tries(run: WorkFolder, unit: str) -> Tries:
    """Read the tries of a unit; one that nobody has tried has none.

    A damaged file is forgotten: nothing but what is shown depends on it.
    """
    try:
        return read_model(run.tries(unit), Tries, "") or Tries()
    except RunFolderError:
        return Tries()


@contextmanager
def tried(run: WorkFolder, unit: str, log: str | None = None) -> Iterator[None]:
    """Record the block as a try of a unit: its begin at once, and its end however it comes, but by a kill.

    Args:
        run: RUN folder, or folder of predictions.
        unit: name of the unit.
        log: file of what it prints; None = unknown.
    """
    begun = begin_try(run, unit, log)
    try:
        with stop_stays_a_stop():
            yield
    except BaseException as error:
        stopped = "it was stopped" if isinstance(error, KeyboardInterrupt) else type(error).__name__
        end_try(run, unit, begun, status_of(error), str(error) or stopped)
        raise
    end_try(run, unit, begun, 0)


def begin_try(run: WorkFolder, unit: str, log: str | None = None) -> Begun:
    """Record that a try begins; arguments as in `tried`."""
    log = None if log is None else _as_text(log)
    begun = Begun(Try(host=platform.node(), process=os.getpid(), started=_now(), log=log), made_from_now(run, unit))
    # on a full disk the unit itself fails, with a message of its own
    with suppress(OSError, RunFolderError):
        _write(run, unit, begun.as_begun, None)
    return begun


def end_try(run: WorkFolder, unit: str, begun: Begun, status: int, message: str = "") -> None:
    """Record how a try ended.

    Args:
        run: RUN folder, or folder of predictions.
        unit: name of the unit.
        begun: what was recorded when it began.
        status: exit status of the unit: 0 = it is done, 75 = it was stopped cleanly.
        message: what is told of a try that did not end well.
    """
    ended = begun.as_begun.changed(ended=_now(), exit=status, message=_as_text(_cut(message)))
    with suppress(OSError, RunFolderError):
        made_from = (begun.made_from or made_from_now(run, unit)) if status == 0 else None
        _write(run, unit, ended, begun.as_begun, made_from=made_from)


def mark_cancelled(run: WorkFolder, unit: str) -> None:
    """Record that a try which has not ended is taken back; how it ends may still be recorded after that."""
    with suppress(OSError, RunFolderError), locked_briefly(run.tries(unit)):
        tries = read_tries(run, unit)
        if tries.last and tries.last[-1].ended is None:
            last = (*tries.last[:-1], tries.last[-1].changed(cancelled=True))
            write_text(run.tries(unit), tries.changed(last=last).model_dump_json(indent=1))


def made_from_now(run: WorkFolder, unit: str, asked: PredictionRequest | None = None) -> str | None:
    """Digest of what a unit works from as it now is: the plan and the data set's record, for a report its folds.

    The results of a study follow from the folds of every configuration; the evaluation of predictions from those that
    are there.

    Args:
        run: RUN folder, or folder of predictions.
        unit: name of the unit.
        asked: what is asked for of predictions; None = as the folder says.

    Returns:
        None where a file is missing, as before there is a plan.
    """
    if isinstance(run, PredictionsFolder):
        found = evaluated_from(run, asked)
        return None if found is None else hashlib.blake2b(found, digest_size=16).hexdigest()
    files = [run.plan, run.dataset]
    if unit == STUDY or unit.startswith(REPORT):
        names = run.configurations_with_models() if unit == STUDY else (unit.removeprefix(REPORT),)
        # each training writes another one, also of the same fold
        files = [run.finished(name, fold) for name in names for fold, _ in run.folds(name)]
        files = [file for file in files if file.exists()]
    digest = hashlib.blake2b(digest_size=16)
    for path in files:
        try:
            digest.update(path.read_bytes())
        except OSError:
            return None
    return digest.hexdigest()


def _cut(message: str) -> str:
    """A message of at most `LONGEST_MESSAGE` characters and a sign that more followed; no word is cut in two."""
    if len(message) <= LONGEST_MESSAGE:
        return message
    whole = message[: LONGEST_MESSAGE + 1].rsplit(maxsplit=1)
    return f"{whole[0] if len(whole) == 2 else message[:LONGEST_MESSAGE]} …"


def _as_text(text: str) -> str:
    """Text for a file; of a path, bytes that are no text become signs."""
    return text.encode(errors="replace").decode()


def _write(run: WorkFolder, unit: str, now: Try, before: Try | None, made_from: str | None = None) -> None:
    """Add a try, or replace it by how it ended."""
    with locked_briefly(run.tries(unit)):
        tries = read_tries(run, unit)
        last = tuple(one for one in tries.last if one.changed(cancelled=False) != before)
        written = tries.changed(
            count=tries.count + (before is None),
            last=(*last, now)[-KEPT:],
            made_from=made_from or tries.made_from,
        )
        write_text(run.tries(unit), written.model_dump_json(indent=1))


def status_of(error: BaseException) -> int:
    """Exit status of a unit that ends with an error: 2 where the user has to mend something first."""
    if isinstance(error, KeyboardInterrupt | LockedByAnother | LockTakenOver | OtherPace):
        # another process goes on, or this one does so by another plan
        return STOPPED
    if isinstance(error, NotEnoughMemory | OutOfMemory | WorkerDied) or not isinstance(error, AutosegError):
        return 1
    # above 128: a signal that training answered by saving its state
    return STOPPED if error.exit_status > 128 else error.exit_status


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
