"""What the user sees and types in a terminal: the console, progress bars and durations."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import IO, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from autoseg.errors import InputError
from autoseg.names import visible

WIDTH_IN_A_LOG = 160
"""Width in columns of output to a file or a pipe, since rich's 80 columns would cut tables of many classes."""


class _WriteOnly:
    """A stream that can do no more than write, completed by what a console needs.

    Args:
        stream: object that a program put in place of standard output.
    """

    encoding = "utf-8"

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> object:
        """Write a text."""
        return self._stream.write(text)

    def flush(self) -> None:
        """Do nothing."""

    def isatty(self) -> bool:
        """No terminal."""
        return False


class PlainConsole(Console):
    """A console that prints text as it is written: square brackets are no markup, control characters do nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)

    @property
    def file(self) -> IO[str]:
        """The stream that is written to; a program's own object may have nothing but `write`."""
        stream: Any = Console.file.fget(self)  # type: ignore[attr-defined]
        return stream if hasattr(stream, "flush") else _WriteOnly(stream)  # type: ignore[return-value]

    @file.setter
    def file(self, stream: IO[str]) -> None:
        Console.file.fset(self, stream)  # type: ignore[attr-defined]

    def on_broken_pipe(self) -> None:
        """Raise `BrokenPipeError` on, where rich ends the whole program with status 1."""
        raise

    def render_str(self, text: str, **options: Any) -> Text:
        """Turn a text, or a cell of a table, into what is printed."""
        return super().render_str(visible(text), **options)


def open_console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal; output to a file or a pipe is `COLUMNS` or `WIDTH_IN_A_LOG` wide.

    Args:
        stderr: write to standard error, as progress bars, warnings and errors do, instead of standard output.
    """
    made = PlainConsole(stderr=stderr)
    # a notebook is no terminal either, but has a width of its own
    if not made.is_terminal and not made.is_jupyter and not os.environ.get("COLUMNS", "").isdigit():
        made.width = WIDTH_IN_A_LOG
    return made


MOST_SECONDS = 1e9
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_WHOLE = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def parse_duration(text: str | float) -> float:
    """Return the seconds of a duration such as `90s`, `40m`, `1.5h` or `1h30m`.

    Args:
        text: duration as the user types it; a number is a duration in seconds.

    Raises:
        InputError: the text is not a duration, or the duration is not finite and greater than zero.
    """
    if isinstance(text, str):
        match = _WHOLE.fullmatch(text.replace(" ", "").lower())
        if match is None or not any(match.groups()):
            raise InputError(f"{text!r} is not a length of time; write for example 90s, 40m, 2h or 1h30m")
        seconds = sum(float(n) * _UNITS[u] for n, u in zip(match.groups(), "hms", strict=True) if n is not None)
    else:
        seconds = float(text)
    if not 0 < seconds <= MOST_SECONDS:
        raise InputError(f"{text!r}: a length of time must be more than zero, and at most thirty years")
    return seconds


def format_duration(seconds: float) -> str:
    """Return a duration in words of at most two units: `45 s`, `40 min`, `1 h 30 min`, `3 days 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if hours == 0:
        return f"{minutes} min {whole % 60} s" if whole % 60 else f"{minutes} min"
    if days == 0:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    unit = "day" if days == 1 else "days"
    return f"{days} {unit} {hours % 24} h" if hours % 24 else f"{days} {unit}"


def styled(style: str, text: str, rest: str = "") -> Text:
    """Return a text in a style, such as `bold` or `yellow`, and the rest in none.

    Args:
        style: rich's name of the style.
        text: what is shown in the style.
        rest: what follows in no style.
    """
    return Text.assemble((visible(text), style), visible(rest))


@dataclass(frozen=True)
class FoldProgress:
    """How far the training of a fold is, as its line shows it.

    Args:
        step: number of steps that are done.
        length: number of steps of the whole schedule.
        loss: mean loss of the epoch so far, as text; empty where no step is done.
        dice: training Dice of the epoch so far, as text.
        left: the time that is left, or what follows the steps.
    """

    step: int
    length: int
    loss: str = ""
    dice: str = ""
    left: str = ""


class FoldLines:
    """A display with a line for each fold that is trained: a bar of its steps, loss, Dice and the time left.

    Args:
        console: console that shows the lines.
    """

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
        )

    def start(self) -> None:
        """Show the display."""
        self._bars.start()

    def stop(self) -> None:
        """Leave the lines as they are."""
        self._bars.stop()

    def add(self, name: str, length: int | None, left: str = "") -> TaskID:
        """Add the line of a fold that begins.

        Args:
            name: text before the bar.
            length: number of steps; None where it is not known yet.
            left: text after the bar.
        """
        return self._bars.add_task(name, total=length, figures="", left=left)

    def show(self, line: TaskID, now: FoldProgress) -> None:
        """Update the line of a fold."""
        figures = f"step {now.step}/{now.length}  loss {now.loss}  Dice {now.dice}"
        self._bars.update(line, completed=now.step, total=now.length, figures=figures, left=now.left)

    def remove(self, line: TaskID) -> None:
        """Take the line of a fold away."""
        self._bars.remove_task(line)


def progress_bar(console: Console | None = None) -> Progress:
    """Return autoseg's progress bar, which shows the task, the items done, the time elapsed and the time left.

    Args:
        console: console that shows the bar; None = a new one on standard error.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console or open_console(stderr=True),
    )
