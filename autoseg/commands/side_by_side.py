"""Trains the unfinished folds of a run side by side: a process for each device, a display with a line for each fold.

A process that ends gives its device to the next fold. A fold that fails does not stop the others. The first Ctrl-C,
SIGTERM or SIGHUP lets every fold save its state; a second one ends the processes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from rich.console import Console

from autoseg.commands.devices import Place, places_of
from autoseg.commands.fold_process import Ended, FoldTask, train_in_process
from autoseg.commands.fold_time import Fold, FoldTime, time_of_next_fold
from autoseg.commands.plan_options import PlanOptions
from autoseg.commands.printed_results import ReportTime
from autoseg.commands.running_fold import Main, RunningFold
from autoseg.errors import InputError, PartialFailure
from autoseg.machine.cores import usable_cores
from autoseg.machine.processes import can_start_workers
from autoseg.plan.plan import Plan
from autoseg.plan.time_shares import queues_of
from autoseg.run_folder.finished_fold import read_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_fields
from autoseg.run_folder.shared_time import SharedTime
from autoseg.run_folder.timed_stage import Stage
from autoseg.terminal import FoldLines, FoldProgress, format_duration, open_console
from autoseg.work.tries import STOPPED, Begun, begin_try, end_try
from autoseg.work.units import train_unit

SECONDS_BETWEEN_LOOKS = 0.25
"""A stop that the person asks for is answered after this time at most."""

Failed = Callable[[str, int, Exception], None]
"""Handler that takes configuration, fold and error; it raises errors that would stop other configurations too."""


@dataclass(frozen=True)
class SideBySide:
    """What is trained side by side, and how.

    Args:
        run: RUN folder that holds the plan and the preprocessed cases.
        plan: plan in the RUN folder.
        configurations: configurations whose time counts towards the time budget.
        wanted: the person's options, of which devices, threads and epochs are used here.
        reports_take: estimate of the seconds that the reports at the end take.
        console: console for messages to the user.
        begin: called before each fold with its configuration, its number, and the number of folds left with it.
        failed: called with the error of a fold; the folds of its configuration that have not begun are then skipped.
            None = the error is told at the end, and no fold is skipped.
        main: main function of each process.
    """

    run: RunFolder
    plan: Plan
    configurations: Sequence[str]
    wanted: PlanOptions
    reports_take: ReportTime
    console: Console
    begin: Callable[[str, int, int], None]
    failed: Failed | None
    main: Main = train_in_process

    def train(self, folds_left: Sequence[Fold]) -> None:
        """Train every fold that is left.

        Args:
            folds_left: (configuration, fold) of every unfinished fold, in the order in which they begin.

        Raises:
            TrainingStopped: the person asked for a stop; every fold has saved its state.
            PartialFailure: folds failed, and `failed` is None; all others are finished.
            InputError: this process may not start others.
        """
        if not can_start_workers():
            raise InputError(
                "--devices: this process may not start others, as a daemon of multiprocessing; use --device"
            )
        _release_memory_of_devices()
        from trainer.stop_request import GOES_ON, StopRequest, TrainingStopped

        devices = self.wanted.devices
        named = f"{len(folds_left)} {'fold' if len(folds_left) == 1 else 'folds'} on {', '.join(devices)}"
        self.console.print(f"Side by side: {named}; what each prints is in its fold's training.log.")
        with StopRequest() as stop, SharedTime(self.run) as time, _shown() as lines:
            state = _State(list(folds_left), list(places_of(devices, usable_cores())), time, lines)
            try:
                self._train_all(state, lambda: stop.number is not None)
            except Exception:
                # such as a full disk, of which the handler says that it would stop the others too
                self._stop_all(state)
                raise
            finally:
                for running in state.running:
                    running.kill()
        if stop.number is not None:
            raise TrainingStopped(
                "\n".join([GOES_ON, *state.stopped]),
                stop.number,
            )
        if state.failures:
            raise PartialFailure(_told(state.failures))

    def _train_all(self, state: _State, is_stopped: Callable[[], bool]) -> None:
        while state.left or state.running:
            if is_stopped():
                self._stop_all(state)
                return
            while state.left and state.free and not is_stopped():
                self._begin(state)
            self._wait(state)

    def _begin(self, state: _State) -> None:
        name, fold = state.left[0]
        self.begin(name, fold, len(state.left))
        time = self._time(state)
        if time.note:
            self.console.print(time.note)
        place = state.free.pop(0)
        task = FoldTask(
            run=self.run.path,
            configuration=name,
            fold=fold,
            place=place,
            beside=len(self.wanted.devices),
            threads=self.wanted.threads,
            epochs=self.wanted.epochs,
            time=time,
        )
        running = RunningFold.start(self.main, task, state.lines)
        state.tries[name, fold] = begin_try(self.run, train_unit(name, fold), str(self.run.training_log(name, fold)))
        state.left.pop(0)
        state.running.append(running)
        state.time.begin(Stage("train", name, fold))

    def _time(self, state: _State) -> FoldTime:
        """The training time of the next fold; an estimate of the report that is made meanwhile counts by itself."""
        with state.time.counted_by_another():
            reports = self.reports_take.seconds()
        # those that run have a device each; the next fold takes the one that is free
        unfinished = [*(running.pair for running in state.running), *state.left]
        return time_of_next_fold(
            self.run,
            self.plan,
            state.left,
            self.configurations,
            reports,
            edited_fields(self.run, self.plan),
            queues=queues_of(unfinished, len(self.wanted.devices)),
        )

    def _wait(self, state: _State) -> None:
        """Read what the processes tell, and take those that have ended out of those that run."""
        told = wait([running.connection for running in state.running], SECONDS_BETWEEN_LOOKS)
        for running in [running for running in state.running if running.connection in told]:
            message = running.read()
            if isinstance(message, FoldProgress):
                running.show(message)
            else:
                self._end(state, running, message)

    def _end(self, state: _State, running: RunningFold, ended: Ended) -> None:
        task = running.task
        state.running.remove(running)
        state.free.append(task.place)
        state.time.end(Stage("train", *running.pair))
        running.take_line_away()
        status = {"finished": 0, "stopped": STOPPED, "failed": 1}[ended.how]
        end_try(self.run, train_unit(*running.pair), state.tries.pop(running.pair), status, ended.text)
        if ended.how == "finished":
            self.console.print(f"{task.name}: finished{self._summary(running.pair)}")
        elif ended.how == "stopped" and state.is_stopping:
            state.stopped.append(f"{task.name}: {ended.text}")
        else:
            self.console.print(f"{task.name} failed: {ended.text}. The others go on.", style="red", soft_wrap=True)
            if self.failed is None or state.is_stopping:
                log = self.run.training_log(*running.pair)
                state.failures.append(f"{task.name}: {ended.text} (what it printed: {log})")
            else:
                state.left = [pair for pair in state.left if pair[0] != task.configuration]
                self.failed(task.configuration, task.fold, ended.error)

    def _summary(self, pair: Fold) -> str:
        """Steps, time and mean Dice of a finished fold, in words."""
        done = read_finished(self.run, *pair)
        if done is None:
            return ""
        dice = [one for of_case in done.dice.values() for one in of_case if one is not None]
        mean = f", Dice {sum(dice) / len(dice):.3f} on its validation cases" if dice else ""
        return f", {done.steps} steps in {format_duration(done.seconds_training)}{mean}"

    def _stop_all(self, state: _State) -> None:
        """Ask every process to stop, and wait until each has saved the state of its fold."""
        state.is_stopping = True
        if state.running:
            open_console(stderr=True).print("Stopping: every fold saves its state.")
        for running in state.running:
            running.ask_to_stop()
        while state.running:
            self._wait(state)


@dataclass
class _State:
    """The folds of this command, by where they stand.

    Args:
        left: folds that have not begun, in order.
        free: devices that train nothing.
        time: counts the time of those that run.
        lines: display of those that run.
        running: processes that train a fold each at this moment.
        failures: what is told at the end of folds that failed.
        tries: records of those that run.
        stopped: what is told at the end of folds that were stopped.
        is_stopping: whether all folds were asked to stop; one that was stopped by somebody else counts as failed.
    """

    left: list[Fold]
    free: list[Place]
    time: SharedTime
    lines: FoldLines
    running: list[RunningFold] = field(default_factory=list)
    tries: dict[Fold, Begun] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    is_stopping: bool = False


@contextmanager
def _shown() -> Iterator[FoldLines]:
    lines = FoldLines(open_console(stderr=True))
    lines.start()
    try:
        yield lines
    finally:
        lines.stop()


def _release_memory_of_devices() -> None:
    """Give back what measuring the steps of the plan has left on the first device."""
    from autoseg.machine.device import release_cached_memory

    release_cached_memory()


def _told(failures: Sequence[str]) -> str:
    count = len(failures)
    heading = (
        f"{count} {'fold' if count == 1 else 'folds'} failed; the others are finished, and the same command tries "
    )
    return "\n".join([f"{heading}{'it' if count == 1 else 'these'} again", *failures])
