"""When checkpoints of a fold are written, and which states its training can be set back to.

A GPU goes on while a checkpoint is written: a large network has gigabytes of state. On a CPU, where writing would take
a core from training, it is written first.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

from autoseg.machine import clock
from trainer import checkpoint
from trainer.checkpoint import Snapshot
from trainer.ranks import ALONE, Ranks

SECONDS_BETWEEN_CHECKPOINTS = 180.0
"""A checkpoint is written after so many seconds, within an epoch too."""

QUICKLY_WRITTEN = 0.5
"""A checkpoint that takes fewer seconds than this is written at the end of every epoch."""

KEPT = 2
"""Number of states at the end of an epoch that are kept in memory, to set training back to."""


class CheckpointWriter:
    """Writes the checkpoints of a fold, and keeps the states that its training can be set back to.

    Args:
        folder: folder of the fold's checkpoints.
        iterations_per_epoch: number of steps of an epoch.
        beside: whether training goes on while a checkpoint is written.
        ranks: processes that train the fold together; the leading one alone writes.
    """

    def __init__(self, folder: Path, iterations_per_epoch: int, *, beside: bool, ranks: Ranks = ALONE) -> None:
        self.folder = folder
        self._ranks = ranks
        self._per_epoch = iterations_per_epoch
        self._beside = ThreadPoolExecutor(1, "checkpoint") if beside else None
        self._writing: Future[None] | None = None
        self._kept: list[Snapshot] = []
        self._saved_at, self._took = clock.now(), 0.0

    @property
    def is_due(self) -> bool:
        """Whether a checkpoint is to be written now, within an epoch too."""
        return self._ranks.leads and clock.now() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS

    @property
    def is_due_after_an_epoch(self) -> bool:
        """Whether a checkpoint is to be written at the end of an epoch; without a GPU it always is."""
        return self._beside is None or self._took < QUICKLY_WRITTEN or self.is_due

    def keep(self, snapshot: Snapshot) -> None:
        """Keep the state at the end of an epoch, or at the beginning, so that training can be set back to it.

        Where each is written, none is kept in memory.
        """
        if self._beside is None:
            return
        step = snapshot.state.step
        self._kept = [*(one for one in self._kept if one.state.step < step), snapshot][-KEPT:]

    def write(self, snapshot: Snapshot, *, at_once: bool = False) -> None:
        """Write a checkpoint, with the states before it that training can be set back to.

        Args:
            snapshot: state that is written.
            at_once: whether to wait until it is written.

        Raises:
            OSError, AutosegError: this checkpoint, or the last one, could not be written.
        """
        self.wait()
        earlier = tuple(self._kept)
        if not self._ranks.leads:
            return
        if self._beside is None:
            self._write(snapshot, earlier)
        else:
            # what a lock protects is known by the context
            self._writing = self._beside.submit(copy_context().run, self._write, snapshot, earlier)
        self._saved_at = clock.now()
        if at_once:
            self.wait()

    def wait(self) -> None:
        """Wait until the last checkpoint is written.

        Raises:
            OSError, AutosegError: it could not be written.
        """
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def close(self) -> None:
        """Wait until the last checkpoint is written; none is written after that."""
        try:
            self.wait()
        finally:
            if self._beside is not None:
                self._beside.shutdown()

    def to_go_back_to(self, other_than: Collection[int]) -> Snapshot | None:
        """The newest state at the end of an epoch; None where there is none.

        Those in memory, or where training has just gone on, on disk.

        Args:
            other_than: steps of states that are only taken where there is no other one.
        """
        self.wait()
        # no process reads while another one writes
        self._ranks.wait()
        found = {one.state.step: one for one in checkpoint.load_validated(self.folder, self._per_epoch)}
        found |= {one.state.step: one for one in self._kept}
        newest = sorted(found)[-KEPT:]
        steps = [step for step in newest if step not in other_than] or newest
        self._ranks.wait()
        return found[steps[-1]] if steps else None

    def _write(self, snapshot: Snapshot, earlier: tuple[Snapshot, ...]) -> None:
        started = clock.now()
        checkpoint.write(self.folder, snapshot, earlier)
        self._took = clock.now() - started
