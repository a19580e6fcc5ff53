"""The progress bar of a fold: steps, loss and Dice, and the time left for the fold and for the whole run."""

from __future__ import annotations

from types import TracebackType

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from autoseg.terminal import format_duration
from trainer import events
from trainer.fold_state import Fold
from trainer.validation import pooled_dice


class FoldBar:
    """The progress bar of a fold, as a context manager.

    Args:
        task: fold in training, whose state is shown.
        left_after: seconds that the whole run has left after this fold's training; 0 = not shown.
    """

    def __init__(self, task: Fold, left_after: float) -> None:
        self._task, self._left_after = task, left_after
        self._loss, self._dice = "", ""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("step {task.completed}/{task.total}  loss {task.fields[loss]}  Dice {task.fields[dice]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=task.console,
        )

    def __enter__(self) -> FoldBar:
        self._bar.start()
        self._line = self._bar.add_task(f"Fold {self._task.index}", total=self._task.length, loss="", dice="", left="")
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
        self._bar.update(
            self._line,
            completed=state.step,
            total=self._task.length,
            loss=self._loss,
            dice=self._dice,
            left=self._left(),
        )

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
