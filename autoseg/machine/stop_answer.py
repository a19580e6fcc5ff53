"""Answers Ctrl-C, SIGTERM and SIGHUP while a command works: by an exception, which libraries may change or lose.

Python runs the answer to a signal between two of its instructions, also where a library in C has called back. There the
exception may come out as another one (matplotlib: `ValueError: Invalid bounding box`), or be lost. So the signal is
noted too. An error that leaves a block of `stop_stays_a_stop` after that is raised as the stop that it came from. A
stop that was lost is asked for again.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from queue import SimpleQueue
from types import FrameType

from autoseg.early_stop import TOLD, end_at_once
from autoseg.errors import Stopped
from autoseg.machine.stop_signals import stop_signals

FIRST_LOOK, LONGEST_BETWEEN_LOOKS = 0.05, 5.0
"""Seconds after a stop, and at most between two looks, at which it is seen whether the stop was lost."""


class StopAsked(KeyboardInterrupt):
    """A signal as an exception: it ends a command, so that workers are closed.

    Args:
        number: number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class StopAnswer:
    """What answers the signals that ask a process to end.

    Before the command works, and once it has ended, the process ends at once: nothing is left to be put in order, and
    an exception would end in a traceback. Meanwhile a stop raises `StopAsked`.

    Attributes:
        number: number of the last signal that came while the command worked; None = none came.
        is_at_work: whether the command works.
        last_words: what is said where the process ends at once; empty = nothing.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.is_at_work = False
        self.last_words = TOLD
        self._again: int | None = None
        self._handled: BaseException | None = None
        # its `put` may be called anywhere, also while another call of it is interrupted
        self._to_look_after: SimpleQueue[tuple[int, float] | None] = SimpleQueue()
        # no answer to a signal takes it
        self._asking = threading.Lock()

    def begin(self) -> None:
        """From now on answer the signals, but not those that this process ignores, as in the background of a script."""
        for number in (signal.SIGINT, *stop_signals()):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._answer)
        threading.Thread(target=self._look_after, daemon=True, name="stops").start()

    def end(self) -> None:
        """Look after stops no more; the signals stay answered."""
        with self._asking:
            # who answers signals later is not asked for this stop
            self.is_at_work = False
        self._handled = None
        self._to_look_after.put(None)

    def _answer(self, number: int, frame: FrameType | None) -> None:
        is_again, self._again = self._again == number, None
        # a closed terminal sends SIGHUP twice, and the first one is being answered
        if not is_again and number == self.number == getattr(signal, "SIGHUP", None):
            return
        if not self.is_at_work:
            if not is_again:
                end_at_once(number, self.last_words)
            return
        if is_again and self._is_leaving():
            return
        self.number = number
        self._handled = sys.exception()
        self._to_look_after.put((number, FIRST_LOOK))
        raise StopAsked(number)

    def _is_leaving(self) -> bool:
        """Whether the main thread handles an exception that came since the stop, as it does while it puts in order."""
        handled = sys.exception()
        return handled is not None and handled is not self._handled

    def _look_after(self) -> None:
        """Ask again for a stop until the command has ended; where it is on the way to its end, that changes nothing."""
        asked = self._to_look_after.get()
        while asked is not None:
            number, seconds = asked
            time.sleep(seconds)
            with self._asking:
                if not self.is_at_work:
                    return
                is_ours = signal.getsignal(number) == self._answer
                self._again = number if is_ours else None
                _ask_main_thread(number)
            # training gives an answer of its own: it saves its state, and takes a further signal for another wish
            waits = not is_ours or not self._to_look_after.empty()
            asked = self._to_look_after.get() if waits else (number, min(2 * seconds, LONGEST_BETWEEN_LOOKS))


def _ask_main_thread(number: int) -> None:
    if hasattr(signal, "pthread_kill"):
        # a real signal, so that whatever the main thread waits for is interrupted
        signal.pthread_kill(threading.main_thread().ident, number)  # type: ignore[arg-type]
    else:
        interrupt_main(signal.Signals(number))


# a context variable and no argument, since libraries stand between the command and the places that ask
_ANSWER: ContextVar[StopAnswer | None] = ContextVar("answer", default=None)
_HANDLED_BEFORE: ContextVar[BaseException | None] = ContextVar("handled before", default=None)


@contextmanager
def stops_answered() -> Iterator[StopAnswer]:
    """Context manager that answers the signals, which stay answered after it.

    Python answers signals in its main thread alone: in another one nothing is changed.
    """
    answer = StopAnswer()
    if threading.current_thread() is not threading.main_thread():
        yield answer
        return
    before = sys.unraisablehook

    def told(ignored: sys.UnraisableHookArgs) -> None:
        # a stop that comes while an object is cleaned up cannot leave that function, and is asked for again
        if not isinstance(ignored.exc_value, StopAsked):
            before(ignored)

    former = _ANSWER.set(answer)
    answer.begin()
    sys.unraisablehook = told
    try:
        yield answer
    finally:
        sys.unraisablehook = before
        _ANSWER.reset(former)
        answer.end()


@contextmanager
def own_stops() -> Iterator[None]:
    """Context manager in which a stop that is being handled already is none of the block's.

    So a function that somebody calls after Ctrl-C, in `except KeyboardInterrupt`, still raises its own errors.
    """
    former = _HANDLED_BEFORE.set(sys.exception())
    try:
        yield
    finally:
        _HANDLED_BEFORE.reset(former)


@contextmanager
def stop_stays_a_stop() -> Iterator[None]:
    """Context manager that lets the consequences of a stop leave it as the stop.

    Raises:
        StopAsked: a stop came, and the block raised an error that may come from it, or none at all: what it has made
            may be incomplete.
    """
    try:
        yield
    except Exception as error:
        raise_if_stopped(error)
        raise
    raise_if_stopped()


def raise_if_stopped(error: BaseException | None = None) -> None:
    """Raise the stop again that this command was asked for, if it was.

    For the places that go on after an error of any kind.

    Args:
        error: error that was caught; one that cannot come from a stop raises nothing. None = there was none.

    Raises:
        StopAsked: a stop came, or one is among the errors that this one came from.
    """
    answer = _ANSWER.get()
    number = None if answer is None else answer.number
    if error is not None:
        number = number or _stop_behind(error)
    if number is None or (error is not None and not may_come_from_a_stop(error)):
        return
    raise StopAsked(number) from error


def may_come_from_a_stop(error: BaseException) -> bool:
    """Whether an error that came after a stop may be its consequence.

    A full or broken disk is not, and has to be told. So has an error that says itself what a stop has left.
    """
    if isinstance(error, Stopped):
        return False
    is_of_processes = isinstance(error, ConnectionError | InterruptedError | ChildProcessError | ProcessLookupError)
    return is_of_processes or not (isinstance(error, OSError) and error.errno is not None)


def _stop_behind(error: BaseException) -> int | None:
    """Number of the signal of a stop that was being handled when an error was raised; None = there was none."""
    seen, behind = {id(_HANDLED_BEFORE.get())}, [error]
    while behind:
        one = behind.pop()
        if isinstance(one, KeyboardInterrupt):
            return one.number if isinstance(one, StopAsked) else signal.SIGINT
        seen.add(id(one))
        behind += [other for other in (one.__context__, one.__cause__) if other is not None and id(other) not in seen]
    return None
