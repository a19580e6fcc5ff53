"""How far a unit of work is, from the files in the RUN folder alone, whoever did it and on whatever machine.

Where a person ran `autoseg train` by hand, or an earlier release made the RUN folder, the results alone tell.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from autoseg.dataset.record import CaseSource
from autoseg.names import listed
from autoseg.run_folder.dataset_record import read_record
from autoseg.run_folder.lock_holder import PATIENCE, Watch
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import PredictionsFolder, WorkFolder
from autoseg.run_folder.report_folder import report_folder
from autoseg.run_folder.splits import cases_of, read_splits
from autoseg.work.prediction_request import PredictionRequest
from autoseg.work.prediction_units import Predicted, predicted_by
from autoseg.work.request import Request
from autoseg.work.tries import STOPPED, Try, made_from_now, read_tries
from autoseg.work.unit import Unit
from autoseg.work.units import Scope, Wanted, prepared_by, reported_by, scope_of, trained_in, units_of

NAMED = 3
"""Units that a waiting one names at most."""

KILLED = "its process ended without a word: it was killed, or its machine was switched off"

CANCELLED = "it was cancelled, and its process was ended before it had saved all; it goes on at what was saved last"


@dataclass(frozen=True)
class State:
    """How far a unit is.

    Args:
        word: `waiting` for other units, `ready` to begin or to go on, `running`, `done`, or `failed` in its last try.
        where: process and machine of a unit that runs; empty otherwise.
        since: local time of that machine at which it began; None = unknown.
        why: what a failed unit said last; of a waiting one, what it waits for; of a ready one that was cancelled and
            killed, that it was.
        log: file of what its last try printed; None = unknown.
        tries: number of tries so far.
        heard: whether the process was seen to live; False where it is one of another machine that was looked at once.
    """

    word: Literal["waiting", "ready", "running", "done", "failed"]
    where: str = ""
    since: str | None = None
    why: str = ""
    log: str | None = None
    tries: int = 0
    heard: bool = True


class States:
    """Tells how far the units of a run are; what several units ask is read once.

    Args:
        run: RUN folder, or folder of predictions.
        watch: knows which holders of locks live; None = a new one, which believes that those of other machines do.
        wanted: what the person asks for, of a run or of predictions; None = as the folder says.
        again: names of cases that count as not predicted.
    """

    def __init__(
        self, run: WorkFolder, watch: Watch | None = None, wanted: Wanted | None = None, again: Collection[str] = ()
    ) -> None:
        self._folder, self._watch, self._wanted, self._again = run, watch or Watch(PATIENCE), wanted, again
        self._prepared: dict[str, bool] = {}

    def of(self, unit: Unit) -> State:
        """State of a unit."""
        tries = read_tries(self._folder, unit.name)
        last = tries.last[-1] if tries.last else None
        log = None if last is None else last.log
        if self.is_done(unit):
            return State("done", log=log, tries=tries.count)
        for place in self.places(unit):
            if (holder := self._watch.living(place)) is not None:
                heard = self._watch.was_heard(place)
                return State("running", holder.told, _since(last), log=log, tries=tries.count, heard=heard)
        cut_off = last is not None and last.cancelled and last.ended is None
        if last is not None and last.exit not in (0, STOPPED) and not cut_off:
            return State("failed", why=last.message or KILLED, log=log, tries=tries.count)
        if left := [name for name in (*unit.waits_for, *unit.after_end_of) if not self.is_done_by_name(name)]:
            shown = f"; {self._run.study} shows what is finished" if self._is_shown(unit) else ""
            return State("waiting", why=f"for {listed(left, NAMED)}{shown}", log=log, tries=tries.count)
        return State("ready", why=CANCELLED if cut_off else "", log=log, tries=tries.count)

    def is_done(self, unit: Unit) -> bool:
        """Whether the results of a unit are there."""
        if unit.kind == "predict":
            return self._predicted.is_done(predicted_by(unit)[0])
        if unit.kind == "evaluate":
            # of what is to be predicted again, the table does not tell yet
            return all(map(self.is_done_by_name, unit.waits_for)) and self._ended_well(unit)
        run = self._run
        if unit.kind == "plan":
            return self._is_planned
        if unit.kind == "train":
            return run.is_finished(*trained_in(unit))
        if unit.kind == "report":
            return (report_folder(run, reported_by(unit)) / "report.html").exists() and self._reports(unit)
        if unit.kind == "select":
            return run.selected.exists() or self._ended_well(unit)
        if unit.kind == "study":
            return self._is_shown(unit) and all(map(self.is_done_by_name, unit.after_end_of))
        if unit.kind == "prepare":
            return self._is_planned and (self._ended_well(unit) or self._is_prepared(prepared_by(unit)[0]))
        return self._ended_well(unit)

    def is_done_by_name(self, name: str) -> bool:
        """As `is_done`, of the unit of a name."""
        return name not in self._units or self.is_done(self._units[name])

    def runs_by_name(self, name: str) -> bool:
        """Whether a process is at the unit of a name now."""
        return any(map(self._watch.living, self.places(self._units[name])))

    def places(self, unit: Unit) -> tuple[Path, ...]:
        """Places whose locks the process holds that does a unit."""
        own = self._folder.work / unit.name
        if unit.kind in ("predict", "evaluate"):
            return (own,)
        run = self._run
        if unit.kind == "plan":
            return own, run.plan
        if unit.kind == "train":
            return own, run.fold(*trained_in(unit))
        if unit.kind == "prepare":
            return own, run.preprocessed(self._source(prepared_by(unit)[0]))
        return (own,)

    @cached_property
    def _units(self) -> Mapping[str, Unit]:
        scope = None if isinstance(self._folder, PredictionsFolder) else self._scope
        units = units_of(self._folder, self._wanted, needs_of_cases=False, scope=scope)
        return {unit.name: unit for unit in units}

    @property
    def _is_planned(self) -> bool:
        """Whether there is a plan, and the data set was not found to be another one since it was made."""
        run = self._run
        return run.plan.exists() and run.splits.exists() and not run.dataset_changed.exists()

    @property
    def _run(self) -> RunFolder:
        assert isinstance(self._folder, RunFolder)
        return self._folder

    @cached_property
    def _predicted(self) -> Predicted:
        assert isinstance(self._folder, PredictionsFolder)
        return Predicted(self._folder, self._of_predictions, self._again)

    @property
    def _of_predictions(self) -> PredictionRequest | None:
        return self._wanted if isinstance(self._wanted, PredictionRequest) else None

    def _ended_well(self, unit: Unit) -> bool:
        """Whether a try ended well with the plan and the data set as they now are."""
        made_from = read_tries(self._folder, unit.name).made_from
        return made_from is not None and made_from == self._made_from

    @cached_property
    def _scope(self) -> Scope:
        return scope_of(self._run, self._wanted if isinstance(self._wanted, Request) else None)

    @cached_property
    def _made_from(self) -> str | None:
        return made_from_now(self._folder, "", self._of_predictions)

    def _reports(self, unit: Unit) -> bool:
        """Whether all folds are finished, and the report shows their results; one by hand is not looked into."""
        name, made_from = reported_by(unit), read_tries(self._run, unit.name).made_from
        if not all(self._run.is_finished(name, fold) for fold in range(self._scope.folds)):
            return False
        return made_from in (None, made_from_now(self._run, unit.name))

    def _is_shown(self, unit: Unit) -> bool:
        """Whether the results of a study show every fold that is finished now; those by hand are not looked into."""
        if unit.kind != "study" or not (self._run.study / "study.html").exists():
            return False
        return read_tries(self._run, unit.name).made_from in (None, made_from_now(self._run, unit.name))

    def _source(self, name: str) -> str:
        plan = self._scope.plan
        return name if plan is None or name not in plan.configurations else plan.preprocessed_as(name)

    def _is_prepared(self, name: str) -> bool:
        """Whether each case of the folds is preprocessed as the plan and the record of its files now say."""
        if name not in self._prepared:
            self._prepared[name] = self._looks_prepared(name)
        return self._prepared[name]

    def _looks_prepared(self, name: str) -> bool:
        from planner.preprocess import all_follow_plan

        plan = self._scope.plan
        if plan is None or name not in plan.configurations or not self._run.splits.exists():
            return False
        cases, place = cases_of(read_splits(self._run.splits)), self._run.preprocessed(plan.preprocessed_as(name))
        # the folder of a case appears whole or not at all: while some are missing, the others need not be opened
        there = sum(not entry.name.startswith(".") for entry in place.iterdir()) if place.is_dir() else 0
        return there >= len(cases) and all_follow_plan([place / case for case in cases], plan, name, self._sources)

    @cached_property
    def _sources(self) -> Mapping[str, CaseSource]:
        """The record of each case's files, by its name; empty where there is none, as in a copy for predictions."""
        record = read_record(self._run) if self._run.dataset.exists() else None
        return {} if record is None else {case.name: case for case in record.cases}


def state_of(run: WorkFolder, unit: Unit) -> State:
    """Return how far a unit is, from the files in the RUN folder alone."""
    return States(run).of(unit)


def units_left(run: WorkFolder, wanted: Wanted | None = None, again: Collection[str] = ()) -> tuple[Unit, ...]:
    """Return the units of a run that are not done, each after those that it waits for; arguments as in `States`."""
    states = States(run, wanted=wanted, again=again)
    return tuple(unit for unit in units_of(run, wanted) if not states.is_done(unit))


def _since(last: Try | None) -> str | None:
    return None if last is None or last.ended is not None else last.started
