"""How a command ends: what a user can cause is one message on standard error and an exit status, no traceback.

2 for what has to be mended, 1 where some inputs failed, 130 and 143 for Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Sequence
from types import FrameType

from cyclopts import App, CycloptsError, MissingArgumentError
from rich.console import Console

from autoseg.errors import AutosegError, DatasetError, InputError
from autoseg.terminal import open_console

# What a disk refuses: nothing that a program could have done better.
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: ends as Ctrl-C does, so that worker processes and time accounts are closed."""


def run_command(app: App, arguments: Sequence[str] | None) -> int:
    """Run a command of the command line; its exit status.

    Args:
        app: the commands.
        arguments: of the command line, without the program's name; None = those of this process.

    Raises:
        Exception: an error that is not the user's, with its traceback.
    """
    errors = open_console(stderr=True)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_none")
    except CycloptsError as error:
        _say(errors, f"{_misuse(error)}\n`autoseg --help` and `autoseg COMMAND --help` explain the options.")
        return InputError.exit_status
    except AutosegError as error:
        _say(errors, _message(error))
        return error.exit_status
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        _say(
            errors,
            f"{error.filename or 'the disk'}: {error.strerror}; what is finished is kept, the same command "
            "goes on once this is mended",
        )
        return AutosegError.exit_status
    except KeyboardInterrupt as error:
        _say(errors, "Stopped. What is finished is kept; the same command goes on from there.")
        return 128 + (signal.SIGTERM if isinstance(error, _Terminated) else signal.SIGINT)
    return 0


def _misuse(error: CycloptsError) -> str:
    """What is wrong with a command line."""
    # of an option that was not given at all cyclopts says that it requires an argument
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        given = error.keyword is not None or error.argument.tokens
        return str(error) if given else f"{error.argument.name} is missing"
    return str(error)


def _message(error: AutosegError) -> str:
    """The error's text; problems of a data set as a list."""
    if not isinstance(error, DatasetError):
        return str(error)
    count = len(error.problems)
    heading = "1 problem in the data set:" if count == 1 else f"{count} problems in the data set:"
    return "\n".join([heading, *(f"  {problem}" for problem in error.problems)])


def _say(console: Console, text: str) -> None:
    # what was stopped on purpose is no error
    text = text if text.startswith("Stopped") else f"Error: {text}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated
