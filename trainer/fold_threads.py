"""The threads of a fold: adapted to other programs, or those of the training that is repeated; changes are events."""

from __future__ import annotations

import torch

from trainer import events
from trainer.fold_state import Fold
from trainer.schedule import threads_after
from trainer.validation import OnWindow


def repeat_events(task: Fold) -> None:
    """Apply the events that the repeated training had at this step."""
    state = task.state
    for event in task.follows or ():
        if event.kind != "restored" and event.step == state.step and event not in state.events:
            state.events = (*state.events, event)
            take_threads(task)


def adapt_threads(task: Fold) -> None:
    """Adapt the number of threads to the cores that other programs leave, or to the training that is repeated."""
    if task.learner.device.type != "cpu" or task.state.step >= task.length or task.ranks.count > 1:
        return
    if task.follows is None:
        task.threads.choose()
    take_threads(task)


def take_threads(task: Fold) -> None:
    """Set torch's number of threads; a changed number becomes an event, saved before the first step with it."""
    if task.learner.device.type != "cpu":
        return
    state, threads = task.state, task.threads
    now = threads_after(state.threads, state.events)
    if task.follows is None and threads.count != now:
        task.count_time()
        events.change_threads(state, threads.count, threads.why, task.console)
        task.save()
        now = threads.count
    if torch.get_num_threads() != now:
        torch.set_num_threads(now)


def on_window(task: Fold) -> OnWindow | None:
    """Function called after each window of a whole case: on a CPU it adapts the number of threads, else None."""
    return task.threads.follow if task.learner.device.type == "cpu" and task.follows is None else None
