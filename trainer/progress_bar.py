"""The progress of a fold: steps, loss and Dice, and the time left for the fold and for the whole run.

It is shown as a bar, or told to another process that shows several folds.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import torch

from autoseg.terminal import FoldLines, FoldProgress, format_duration
from trainer import events
from trainer.fold_state import Fold
from trainer.validation import pooled_dice

Tell = Callable[[FoldProgress], None]
"""Function that another process is told the progress with."""


class FoldBar:
    """The progress of a fold, as a context manager.

    Args:
        task: fold in training, whose state is shown.
        left_after: seconds that the whole run has left after this fold's training; 0 = not shown.
        tell: function that is told the progress; None = it is shown as a bar.
    """

    def __init__(self, task: Fold, left_after: float, tell: Tell | None = None) -> None:
        self._task, self._left_after, self._tell = task, left_after, tell
        self._loss, self._dice = "", ""
        self._bar = FoldLines(task.console)

    def __enter__(self) -> FoldBar:
        if self._tell is None:
            self._bar.start()
            self._line = self._bar.add(f"Fold {self._task.index}", self._task.length)
        self.show()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self) -> None:
        """Update the bar with the present state of the fold."""
        state = self._task.state
        if state.counts is not None:
            steps = (state.step - 1) % state.training.iterations_per_epoch + 1
            self._loss = f"{state.loss_sum / steps:.3f}"
            self._dice = f"{pooled_dice(torch.tensor(state.counts).numpy()):.3f}"
        now = FoldProgress(state.step, self._task.length, self._loss, self._dice, self._left())
        if self._tell is None:
            self._bar.show(self._line, now)
        else:
            self._tell(now)

    def tell_validation(self) -> None:
        """Tell that the steps are done and the validation cases are predicted, which has a bar of its own here."""
        if self._tell is not None:
            self._tell(FoldProgress(self._task.length, self._task.length, self._loss, self._dice, "validation"))

    def _left(self) -> str:
        """Text for the time left: by the time limit where it decides the length, else by the pace."""
        task = self._task
        if task.limit is not None and not task.length_is_fixed:
            seconds = max(0.0, task.limit - task.seconds)
            whole = f", {format_duration(seconds + self._left_after)} of the run" if self._left_after else ""
            return f"{format_duration(seconds)} left{whole}"
        rows = task.state.rows
        if len(rows) <= task.state.pace_since:
            return ""
        of_step, _ = events.pace_to_come(task.state, task.growth)
        return f"{format_duration(of_step * (task.length - task.state.step))} left"
