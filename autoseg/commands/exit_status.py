"""Turns errors that a user can cause into one message on standard error and an exit status, without a traceback.

The exit status is 2 for an error that the user has to correct, 1 if some inputs failed, 130 for Ctrl-C, 143 for
SIGTERM, 129 for a closed terminal (SIGHUP) and 141 where whoever reads what is printed has ended, as `head` does.
"""

from __future__ import annotations

import errno
import io
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cyclopts import App, CycloptsError, MissingArgumentError, UnusedCliTokensError
from rich.console import Console

from autoseg.commands.closed_output import (
    OUTPUT_CLOSED,
    closed_outputs,
    is_of_closed_output,
    leave_unprinted,
    print_all,
)
from autoseg.early_stop import STOPPED
from autoseg.errors import AutosegError, DatasetError, InputError, PartialFailure
from autoseg.machine.processes import no_more_processes
from autoseg.machine.stop_answer import StopAnswer, StopAsked, stop_stays_a_stop, stops_answered
from autoseg.memory import free_memory, lacks_memory, readable_bytes
from autoseg.terminal import open_console


def run_command(app: App, arguments: Sequence[str] | None) -> int:
    """Run a command of the command line and return its exit status.

    A signal that asks for a stop, and comes after that, ends the process at once: the interpreter is about to end.

    Args:
        app: the command-line application with all commands.
        arguments: command-line arguments without the program's name; None = those of this process.

    Raises:
        Exception: an error that the user did not cause, with its traceback.
    """
    _print_whatever_the_terminal_has()
    errors = open_console(stderr=True)
    with stops_answered() as answer:
        error = _error_of(app, arguments, answer)
        if isinstance(error, KeyboardInterrupt):
            # imported here, since it knows the RUN folder, and every command imports this module
            from autoseg.commands.stopped import stopped_message

            text: str | None = stopped_message(app, arguments)
            status = 128 + (error.number if isinstance(error, StopAsked) else signal.SIGINT)
        elif error is not None and is_of_closed_output(error):
            # whoever read it has enough, as `head`; nothing went wrong
            leave_unprinted(closed_outputs())
            text, status = None, OUTPUT_CLOSED
        elif error is not None:
            text, status = _text_and_status(error, arguments)
        else:
            text, status = None, 0
        if text is not None:
            _say(errors, text)
        answer.last_words = ""
    return status


def _error_of(app: App, arguments: Sequence[str] | None, answer: StopAnswer) -> BaseException | None:
    """Carry a command out; return the error that it ends with, None for none."""
    try:
        answer.is_at_work = True
        with stop_stays_a_stop():
            app(arguments, exit_on_error=False, print_error=False, result_action="return_none")
            print_all()
    except BaseException as error:
        # from here on a stop must raise nothing, so that no function is called before: Python answers signals at calls
        answer.is_at_work = False
        answer.last_words = STOPPED
        return error
    answer.is_at_work = False
    answer.last_words = ""
    return None


def _text_and_status(error: BaseException, arguments: Sequence[str] | None) -> tuple[str, int]:
    """What is said of an error, and the exit status; a defect is raised again."""
    if isinstance(error, CycloptsError):
        more = "`autoseg --help` and `autoseg COMMAND --help` explain the options."
        return f"{_misuse(error, arguments)}\n{more}", InputError.exit_status
    if isinstance(error, AutosegError):
        return _message(error), error.exit_status
    if isinstance(error, Exception) and lacks_memory(error):
        return _memory_message(arguments), AutosegError.exit_status
    if isinstance(error, OSError) and error.errno is not None:
        return _system_message(error), AutosegError.exit_status
    # no answer of the operating system, so a defect
    raise error


def _memory_message(arguments: Sequence[str] | None) -> str:
    """What is said where the memory is too little for a command, and none of its stages told for what."""
    command = next(iter(sys.argv[1:] if arguments is None else arguments), "autoseg")
    free = readable_bytes(free_memory())
    return (
        f"{command}: there is not enough memory, {free} are free; free some or allow this process more (ulimit -v, "
        "the memory of a batch job), or use fewer --workers; what is finished is kept"
    )


def _misuse(error: CycloptsError, arguments: Sequence[str] | None) -> str:
    """The message for a wrong command line."""
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return _left_over(error.unused_tokens, list(sys.argv[1:] if arguments is None else arguments))
    # cyclopts says "requires an argument" even for an option that is missing altogether
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        given = error.keyword is not None or error.argument.tokens
        return str(error) if given else f"{error.argument.name} is missing"
    return str(error)


def _left_over(words: Sequence[str], given: Sequence[str]) -> str:
    """The message for words that belong to no option, as those of a path with spaces."""
    first = given.index(words[0]) if words[0] in given else 0
    before = given[first - 1] if first else ""
    count = "is one word" if len(words) == 1 else f"are {len(words)} words"
    cure = "leave it out" if len(words) == 1 else "leave them out"
    if first > 1 and not before.startswith("-") and list(given[first : first + len(words)]) == list(words):
        cure = f'put quotes around a path with spaces ("{" ".join([before, *words])}"), or {cure}'
    return f"{' '.join(words)}: {count} too many; {cure}"


def _system_message(error: OSError) -> str:
    """The text for an answer of the operating system: what, where, and what to do."""
    where = " or ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    if not where and not _current_folder_exists():
        return "the current folder was removed; change to another one (cd) and give the command again"
    if error.errno == errno.EAGAIN and not where:
        return no_more_processes(error)
    where = where or "the disk"
    return f"{where}: {error.strerror}; what is finished is kept, the same command goes on once this is mended"


def _current_folder_exists() -> bool:
    try:
        return Path.cwd().is_dir()
    except OSError:
        return False


def _message(error: AutosegError) -> str:
    """The text of the error; the problems of a data set are listed, one on each line."""
    if isinstance(error, PartialFailure) and error.brief:
        return error.brief
    if not isinstance(error, DatasetError):
        return str(error)
    count = len(error.problems)
    heading = "1 problem in the data set:" if count == 1 else f"{count} problems in the data set:"
    advice = [error.advice] if error.advice else []
    return "\n".join([heading, *(f"  {problem}" for problem in error.problems), *advice])


def _say(console: Console, text: str) -> None:
    # a stop on purpose is no error
    text = text if text.startswith("Stopped") else f"Error: {text}"
    # the terminal may be closed
    with suppress(OSError):
        console.print(text, soft_wrap=True)


def _print_whatever_the_terminal_has() -> None:
    """Print signs that the terminal's encoding lacks as question marks instead of ending after all the work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
