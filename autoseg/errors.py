"""Errors that a user can cause.

Each message names the file or case, and says what is wrong and what the user can do. The command line
prints the message without a traceback and exits with `exit_status`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class AutosegError(Exception):
    """Base of every error that a user can cause and mend."""

    exit_status = 2


class DatasetError(AutosegError):
    """A raw data set cannot be used; the error holds every problem that was found.

    Args:
        problems: one sentence for each problem, which names the case or file; they are shown as a list.
        advice: what the user can do about all of them, which follows the list; empty = each problem says it.
    """

    def __init__(self, problems: Sequence[str], advice: str = "") -> None:
        self.problems, self.advice = tuple(problems), advice
        super().__init__("\n".join([*self.problems, *([advice] if advice else [])]))

    def __reduce__(self) -> tuple[type[DatasetError], tuple[tuple[str, ...], str]]:
        # an error from a worker is pickled; it must be rebuilt from the problems, not from the joined message
        return type(self), (self.problems, self.advice)


class ImageError(AutosegError):
    """An image or label file cannot be read or written."""


class PlanError(AutosegError):
    """A plan, fingerprint or splits file is malformed or asks for something impossible."""


class RunFolderError(AutosegError):
    """A RUN folder lacks a file, is locked by another process, is damaged, or does not fit its plan or splits."""


class LockTakenOver(RunFolderError):
    """Another process has taken over the work of this one, since this one stood still; it wrote nothing since."""


class TrainingDataError(AutosegError):
    """Patches cannot be made from a preprocessed case, or the processes that make patches have ended."""


class WorkerDied(AutosegError):
    """A process that worked on a case ended without a result in both of two attempts."""


class InputError(AutosegError):
    """A command was given inputs or options that are invalid or do not fit together."""


class OutOfMemory(AutosegError):
    """A training step, or the prediction of a window, does not fit into the memory of a device.

    Args:
        device: device on which it was tried, with its name, for the message.
        needed: what its memory does not hold.
        said: what the library said that lacked memory; empty = nothing.
        cure: what the user can do.
    """

    def __init__(
        self,
        device: object,
        needed: str = "a training step",
        *,
        said: str = "",
        cure: str = "free some, use another --device, or plan for less (--memory, --replan)",
    ) -> None:
        told = f" ({said})" if said else ""
        super().__init__(f"device {device}: its memory does not hold {needed}{told}; {cure}; what is finished is kept")


class NotEnoughMemory(AutosegError):
    """The memory of this machine, or what this process may use of it, does not suffice for a stage."""


class OtherPace(AutosegError):
    """In the first epochs of a fold, training steps take much longer or shorter than planned.

    The plan was made for another machine, or while other programs used this one; the caller can plan again.

    Args:
        planned: seconds that a training step takes according to the plan.
        real: seconds that a training step took in these epochs.
    """

    def __init__(self, planned: float, real: float) -> None:
        super().__init__(f"a step takes {real:.2g} s, planned were {planned:.2g} s")
        self.planned, self.real = planned, real


class Stopped(AutosegError):
    """Work was stopped by a signal; the message says what is kept and how it goes on."""


class PartialFailure(AutosegError):
    """Some inputs could not be processed, all others were; the exit status is 1.

    Attributes:
        brief: message of the command line, where each problem was printed when it came; empty = the whole message.
    """

    exit_status = 1
    brief = ""


LONGEST_VALUE = 60
"""Characters of a value that is told in a message."""

MOST_PROBLEMS = 20
"""So many problems of one file are told; the others are counted."""

MOST_LISTED = 100_000
"""Of more problems than these only the number is told: each takes a kilobyte of memory when it is listed."""


def wrong_fields(error: ValidationError, planned: object = None) -> str:
    """Return a text that names every field that pydantic rejects by its dotted path, and why it is rejected.

    Args:
        error: all problems that pydantic found in a file or an object.
        planned: content of the file as autoseg wrote it, as dicts and lists; its values are told beside the wrong ones.
    """
    if error.error_count() > MOST_LISTED:
        return f"{error.error_count():,} values are wrong; is it the right file?"
    found = error.errors(include_url=False, include_context=False)
    told = [_problem(e["loc"], e["msg"], e["input"], planned) for e in found[:MOST_PROBLEMS]]
    more = [f"and {len(found) - MOST_PROBLEMS} more"] if len(found) > MOST_PROBLEMS else []
    return "; ".join([*told, *more])


def _is_short(value: object) -> bool:
    # Python refuses to write a whole number of more than 4,300 digits
    if isinstance(value, int) and value.bit_length() > 4 * LONGEST_VALUE:
        return False
    return isinstance(value, bool | int | float | str) and len(repr(value)) <= LONGEST_VALUE


def _problem(place: tuple[int | str, ...], text: str, given: object, planned: object) -> str:
    """One problem in words, with the value that was given and the one that was planned, where these are short."""
    for key in place:
        try:
            planned = planned[key]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            planned = None
    shown = [f"it is {given!r}"] if _is_short(given) else []
    shown += [f"planned was {planned!r}"] if _is_short(planned) else []
    # these are Python's words for what a file calls a list
    text = text.removeprefix("Value error, ").replace("Input should be a valid tuple", "must be a list, such as [a, b]")
    text = text.replace("Tuple should have", "the list should have").removesuffix(" after validation, not 0")
    # a problem of the whole file has no place
    where = f"{'.'.join(map(str, place))}: " if place else ""
    return f"{where}{text}" + (f" ({', '.join(shown)})" if shown else "")
