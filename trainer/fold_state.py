"""The state of a fold that is being trained: everything that training needs, read and changed step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from rich.console import Console

from autoseg.files import FileModel
from autoseg.image.geometry import Shape
from autoseg.machine import clock
from autoseg.machine.threads import Threads
from autoseg.plan.configuration import Configuration, Training
from autoseg.plan.plan import Plan
from autoseg.run_folder.finished_fold import Event
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split
from trainer import checkpoint
from trainer.checkpoint import Requested, State
from trainer.checkpoint_writer import CheckpointWriter
from trainer.learner import Learner
from trainer.patch_growth import PatchGrowth, patch_growth
from trainer.ranks import Ranks
from trainer.schedule import iterations_after, of_length, progress


class _Decided(FileModel):
    """What the leading process tells the others."""

    events: tuple[Event, ...]
    stop: int | None


@dataclass
class Fold:
    """Everything that the training of a fold needs.

    Args:
        run: RUN folder that holds the plan, the splits and the preprocessed cases.
        plan: plan in the RUN folder.
        name: name of the configuration that is trained.
        index: index of the fold in `splits.json`.
        split: training and validation cases of the fold that have at least one sequence that the network sees.
        learner: network, optimiser and loss, which take the steps.
        state: the rest of the training state.
        workers: number of processes that draw and augment patches.
        console: console for messages to the user.
        threads: number of threads that compute on a CPU, adapted during training.
        kept: names of fields of the plan's training settings that a person edited; nothing overrides them.
        planned: training settings of the plan, from which the settings for another length are derived.
        limit: value of `state.seconds` at which training ends; None = no time limit.
        writer: writer of the fold's checkpoints.
        ranks: processes that train the fold together.
        drawn_at: clock time of the last drawing of `progress.png`, in seconds.
        counted_to: clock time up to which `state.seconds` counts, in seconds.
        pending: losses and counts of the last steps, which are still on the device.
    """

    run: RunFolder
    plan: Plan
    name: str
    index: int
    split: Split
    learner: Learner
    state: State
    workers: int
    console: Console
    threads: Threads
    kept: frozenset[str]
    planned: Training
    limit: float | None
    writer: CheckpointWriter
    ranks: Ranks
    drawn_at: float
    counted_to: float
    pending: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)

    def count_time(self) -> None:
        """Add the time since the last call to `state.seconds`."""
        now = clock.now()
        self.state.seconds, self.counted_to = self.state.seconds + now - self.counted_to, now

    @property
    def seconds(self) -> float:
        """Seconds of training up to now, over all restarts."""
        return self.state.seconds + clock.now() - self.counted_to

    def expected_validation(self, cases: int) -> float:
        """Planned seconds to predict this number of validation cases; 0 where the plan has no such time."""
        whole = self.planned.validation_seconds or 0.0
        return whole * min(1.0, cases / max(1, len(self.split.val)))

    @property
    def follows(self) -> tuple[Event, ...] | None:
        """Events of the training that this one repeats; None where it repeats none and follows the clock."""
        repeated = self.state.requested.follows
        return None if repeated is None else repeated.events

    @property
    def length_is_fixed(self) -> bool:
        """Whether a person set the number of steps or epochs, or the training repeats another one."""
        asked = self.state.requested.epochs is not None or self.follows is not None
        return asked or ("iterations" in self.kept and self.state.requested.seconds is None)

    @property
    def planned_pace(self) -> float | None:
        """Planned seconds per step of the full patch; None where a person set time or length, or there is no limit."""
        of_a_person = {"seconds", "iterations"} & self.kept or self.state.requested != Requested()
        # every plan has at least one step, so a single step does not tell the pace
        if of_a_person or self.planned.seconds is None or self.planned.iterations == 1:
            return None
        return self.planned.seconds / self.planned.iterations

    @property
    def training(self) -> Training:
        """The planned training settings, adapted to the present length of the schedule."""
        return of_length(self.planned, self.length, self.kept)

    @cached_property
    def growth(self) -> PatchGrowth:
        """Growth of the patches during the training."""
        return patch_growth(self.configuration)

    @property
    def patch_size(self) -> Shape:
        """Shape (z, y, x) of the patches of the present step."""
        return self.growth.size(progress(self.state.step, self.state.training, self.state.events))

    def case(self, case: str) -> Path:
        """Folder of a preprocessed case."""
        return self.run.case(self.plan.preprocessed_as(self.name), case)

    @property
    def folder(self) -> Path:
        """Folder of the fold's model."""
        return self.run.fold(self.name, self.index)

    @property
    def configuration(self) -> Configuration:
        """The configuration that is trained."""
        return self.plan.configuration(self.name)

    @property
    def length(self) -> int:
        """Present length of the schedule in steps, after all events."""
        return iterations_after(self.state.training, self.state.events)

    def fetch(self) -> bool:
        """Add losses and counts of the pending steps to the state.

        All are fetched from the device at once, which waits until it has taken these steps.

        Returns:
            False if a loss is not finite; the state is then at the step before it.
        """
        if not self.pending:
            return True
        losses, counts = (torch.stack(values) for values in zip(*self.pending, strict=True))
        self.pending.clear()
        shape = counts.shape[1:]
        fetched = self.ranks.summed(torch.cat([losses.float(), counts.sum(0).ravel()])).cpu()
        # each process has the loss of its part of the batch
        found = (fetched[: len(losses)] / self.ranks.count).tolist()
        summed = fetched[len(losses) :].reshape(shape)
        taken = next((i for i, loss in enumerate(found) if not math.isfinite(loss)), None)
        if taken is not None:
            self.state.step -= len(found) - taken
            return False
        for loss in found:
            self.state.loss_sum += loss
        before = self.state.counts
        self.state.counts = (summed + torch.tensor(before) if before else summed).tolist()
        return True

    def follow_the_leader(self, stop: int | None) -> int | None:
        """Take events and a request to stop from the leading process, which alone looks at clock and signals.

        Args:
            stop: number of the signal that asked this process to stop; None = none.

        Returns:
            Number of the signal that asked the leading process to stop; None = none.
        """
        if self.ranks.count == 1:
            return stop
        own = _Decided(events=self.state.events, stop=stop).model_dump_json()
        decided = _Decided.model_validate_json(self.ranks.told(own, self.learner.device))
        self.state.events = decided.events
        return decided.stop

    def save(self, *, at_once: bool = True) -> None:
        """Write a checkpoint of the present state; `at_once`: wait until it is written."""
        self.count_time()
        self.writer.write(checkpoint.take(self.state, self.learner), at_once=at_once)

    def end_epoch(self, *, at_once: bool) -> None:
        """Keep the state at the end of an epoch to go back to, and write a checkpoint where one is due.

        Args:
            at_once: whether a checkpoint must be written before the next step.
        """
        self.count_time()
        snapshot = checkpoint.take(self.state, self.learner)
        self.writer.keep(snapshot)
        if at_once or self.writer.is_due_after_an_epoch:
            self.writer.write(snapshot, at_once=at_once)
