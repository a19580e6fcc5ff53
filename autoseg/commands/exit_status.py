"""Turns errors that a user can cause into one message on standard error and an exit status, without a traceback.

The exit status is 2 for an error that the user has to correct, 1 if some inputs failed, 130 for Ctrl-C, 143 for
SIGTERM and 129 for a closed terminal (SIGHUP).
"""

from __future__ import annotations

import errno
import io
import signal
import sys
import threading
from _thread import interrupt_main
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from cyclopts import App, CycloptsError, MissingArgumentError, UnusedCliTokensError
from rich.console import Console

from autoseg.early_stop import stop_by_exception
from autoseg.errors import AutosegError, DatasetError, InputError, PartialFailure
from autoseg.machine.processes import no_more_processes
from autoseg.machine.stop_signals import stop_signals
from autoseg.memory import free_memory, lacks_memory, readable_bytes
from autoseg.terminal import open_console

_SECONDS_TO_CLEAN_UP = 0.05


class _Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP as an exception: it ends a command like Ctrl-C, so that workers are closed.

    Args:
        number: number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def run_command(app: App, arguments: Sequence[str] | None) -> int:
    """Run a command of the command line and return its exit status.

    Args:
        app: the command-line application with all commands.
        arguments: command-line arguments without the program's name; None = those of this process.

    Raises:
        Exception: an error that the user did not cause, with its traceback.
    """
    _print_whatever_the_terminal_has()
    errors = open_console(stderr=True)
    # Python answers signals in its main thread alone
    for number in stop_signals() if threading.current_thread() is threading.main_thread() else ():
        signal.signal(number, _terminate)
    try:
        with _no_stop_is_lost():
            stop_by_exception()
            app(arguments, exit_on_error=False, print_error=False, result_action="return_none")
    except CycloptsError as error:
        _say(errors, f"{_misuse(error, arguments)}\n`autoseg --help` and `autoseg COMMAND --help` explain the options.")
        return InputError.exit_status
    except AutosegError as error:
        _say(errors, _message(error))
        return error.exit_status
    except Exception as error:
        if lacks_memory(error):
            _say(errors, _memory_message(arguments))
        elif isinstance(error, OSError) and error.errno is not None:
            _say(errors, _system_message(error))
        else:
            # no answer of the operating system, so a defect
            raise
        return AutosegError.exit_status
    except KeyboardInterrupt as error:
        # imported here, since it knows the RUN folder, and every command imports this module
        from autoseg.commands.stopped import stopped_message

        _say(errors, stopped_message(app, arguments))
        return 128 + (error.number if isinstance(error, _Terminated) else signal.SIGINT)
    return 0


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
    return "\n".join([heading, *(f"  {problem}" for problem in error.problems)])


def _say(console: Console, text: str) -> None:
    # a stop on purpose is no error
    text = text if text.startswith("Stopped") else f"Error: {text}"
    # the terminal may be closed
    with suppress(OSError):
        console.print(text, soft_wrap=True)


def _terminate(number: int, frame: FrameType | None) -> None:
    if number != signal.SIGTERM:
        # a closed terminal sends SIGHUP twice, and the first one is being answered
        signal.signal(number, signal.SIG_IGN)
    raise _Terminated(number)


@contextmanager
def _no_stop_is_lost() -> Iterator[None]:
    """Context manager in which a stop is asked for again where Python had to ignore its exception.

    A signal may come while a weak reference or an object is cleaned up, and no exception leaves such a function.
    """
    before, waiting = sys.unraisablehook, list[threading.Timer]()

    def again(ignored: sys.UnraisableHookArgs) -> None:
        error = ignored.exc_value
        if not isinstance(error, KeyboardInterrupt):
            before(ignored)
            return
        number = signal.SIGINT
        if isinstance(error, _Terminated):
            number = signal.Signals(error.number)
            signal.signal(number, _terminate)
        # not at once: the clean-up has to be left first
        waiting.append(threading.Timer(_SECONDS_TO_CLEAN_UP, interrupt_main, (number,)))
        waiting[-1].start()

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in waiting:
            timer.cancel()


def _print_whatever_the_terminal_has() -> None:
    """Print signs that the terminal's encoding lacks as question marks instead of ending after all the work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
