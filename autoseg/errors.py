"""Errors that a user can cause.

Each message names the file or case, says what is wrong and what to do about it. The command line
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
    """A raw data set cannot be used; carries every problem that was found.

    Args:
        problems: one sentence each, naming the case or file; shown as a list.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[DatasetError], tuple[tuple[str, ...]]]:
        # pickled on the way from a worker: by the problems, not by the joined message
        return type(self), (self.problems,)


class ImageError(AutosegError):
    """An image or label file cannot be read or written."""


class PlanError(AutosegError):
    """A plan, fingerprint or splits file is malformed or asks for something impossible."""


class RunFolderError(AutosegError):
    """A RUN folder is missing a part, locked by another process, or damaged."""


class TrainingDataError(AutosegError):
    """Patches cannot be made from a preprocessed case, or the processes that make them ended."""


class WorkerDied(AutosegError):
    """A process that worked on a case ended without a result, twice."""


class InputError(AutosegError):
    """A command was given inputs or options that do not fit together."""


class OutOfMemory(AutosegError):
    """A training step does not fit into the memory of a device."""

    def __init__(self, device: object) -> None:
        super().__init__(
            f"device {device}: its memory does not hold a training step; free some, use another --device, or plan for "
            "less (--memory, --replan); what is finished is kept"
        )


class OtherPace(AutosegError):
    """The first epochs of a fold show that the plan was made for another machine, or in a busy moment.

    Args:
        planned: seconds that a training step takes by the plan.
        real: seconds that it took in these epochs.
    """

    def __init__(self, planned: float, real: float) -> None:
        super().__init__(f"a step takes {real:.2g} s, planned were {planned:.2g} s")
        self.planned, self.real = planned, real


class PartialFailure(AutosegError):
    """Some inputs could not be processed; the rest were. Exit status 1."""

    exit_status = 1


def wrong_fields(error: ValidationError) -> str:
    """What is wrong in a file that a pydantic model does not accept: every field by its path, and why."""
    # what concerns the whole file has no path
    told = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
    return "; ".join(f"{path}: {text}" if path else text for path, text in told)
