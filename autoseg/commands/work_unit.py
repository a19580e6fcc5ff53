"""`autoseg work`: does one unit of work of a run, for a scheduler or by hand, on any machine that sees the RUN."""

from __future__ import annotations

from autoseg.commands.command import command
from autoseg.commands.do_unit import do_unit
from autoseg.commands.folder_with_units import folder_with_units
from autoseg.commands.options import AnyRun, FollowLinks, LogFile, UnitName
from autoseg.early_stop import STOPPED as STOP_TOLD
from autoseg.errors import AutosegError, Stopped
from autoseg.machine.stop_answer import stop_stays_a_stop
from autoseg.work.tries import STOPPED, status_of


class UnitStopped(Stopped):
    """A unit was stopped cleanly; the same command goes on."""

    exit_status = STOPPED


class MayBeTriedAgain(AutosegError):
    """A unit failed for want of memory or disk, or since a process died; another try may succeed."""

    exit_status = 1


@command
def work_unit(run: AnyRun, unit: UnitName, *, log: LogFile = None, follow_links: FollowLinks = False) -> None:
    """Do one unit of work of a run, as `autoseg status RUN` lists them; one that is done is left as it is.

    Of several processes that are given the same unit, one does it; the others wait and go on where it dies. The exit
    status is 0 once the unit is done, 75 if it was stopped cleanly and the same command goes on, 2 if something has to
    be mended first, and 1 if it failed otherwise and may be tried again.

    Raises:
        UnitStopped: Ctrl-C or SIGTERM came; what is finished is kept.
        MayBeTriedAgain: memory or disk did not suffice, or a process died.
        AutosegError: under the same conditions as in `plan_and_preprocess`, `train`, `select` and `predict`.
    """
    folder = folder_with_units(run, follow_links=follow_links)
    try:
        with stop_stays_a_stop():
            do_unit(folder, unit, log=log, follow_links=follow_links)
    except KeyboardInterrupt:
        raise UnitStopped(STOP_TOLD) from None
    except AutosegError as error:
        status = status_of(error)
        if status == STOPPED:
            raise UnitStopped(str(error)) from None
        if status != error.exit_status:
            raise MayBeTriedAgain(str(error)) from None
        raise
    except OSError as error:
        if error.errno is None:
            raise
        raise MayBeTriedAgain(f"{error.filename or 'the disk'}: {error.strerror}; what is finished is kept") from None
