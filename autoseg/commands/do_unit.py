"""Does one unit of work of a run in this process: claims it, does it by the functions of the commands, records the try.

A unit that is done is left as it is. Of several processes that are given the same unit, one does it; the others wait,
and go on in its place where it stops or dies.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from autoseg.commands.fold_time import Fold, FoldTime, time_of_next_fold
from autoseg.commands.plan_options import PlanOptions
from autoseg.commands.printed_results import ReportTime, report_if_finished, show_report
from autoseg.errors import AutosegError, InputError, LockTakenOver
from autoseg.machine.cores import available_cores
from autoseg.names import listed
from autoseg.plan.plan import Plan, read_plan
from autoseg.plan.time_shares import queues_of
from autoseg.run_folder.dataset_record import read_record
from autoseg.run_folder.lock import LockedByAnother, locked, locked_if_free
from autoseg.run_folder.lock_holder import PATIENCE, Watch
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_fields, settle_plans
from autoseg.run_folder.predictions_folder import PredictionsFolder, WorkFolder
from autoseg.run_folder.time_spent import timed
from autoseg.run_folder.timed_stage import Stage
from autoseg.terminal import open_console
from autoseg.work.request import Request
from autoseg.work.state import States
from autoseg.work.tries import tried
from autoseg.work.unit import Unit
from autoseg.work.units import (
    Scope,
    prepared_by,
    reported_by,
    scope_of,
    train_unit,
    trained_in,
    trainings_of,
    unit_named,
    units_of,
)

SECONDS_FOR_OTHERS = 20.0
"""A unit looks for the results of those before it for so long: a file system of a network may show them late."""

SECONDS_BETWEEN_LOOKS = 1.0


class UnitWaits(AutosegError):
    """A unit was begun before those that it waits for were done; it may be tried again."""

    exit_status = 1


def do_unit(
    run: WorkFolder, name: str, *, log: str | None = None, patience: float = PATIENCE, follow_links: bool = False
) -> None:
    """Do a unit unless it is done; returns once it is done, by whichever process.

    Args:
        run: RUN folder, or folder of predictions.
        name: name of the unit.
        log: file of what this process prints, for the record; None = unknown.
        patience: seconds after which a process of another machine counts as gone.
        follow_links: whether links in the RUN folder that predicts may lead out of it; a folder of predictions names
            that RUN, and may be a stranger's.

    Raises:
        InputError: there is no such unit.
        UnitWaits: units that it waits for are not done.
        AutosegError: as the command that does the same.
    """
    unit = unit_named(units_of(run, needs_of_cases=False), name)
    watch, console = Watch(patience), open_console(stderr=True)
    told = False
    while True:
        states = States(run, watch)
        if states.is_done(unit):
            console.print(f"{name}: done")
            return
        holder = next(filter(None, map(watch.living, states.places(unit))), None)
        if holder is None:
            # not while another process is at it: those before are done then, and looking may read every case
            _require_those_before(run, unit, watch)
            if _is_ours(run, unit, watch, log, follow_links=follow_links):
                return
        elif not told:
            console.print(f"{name}: {holder.told} is at it; waits for that process", soft_wrap=True)
            told = True
        time.sleep(min(SECONDS_BETWEEN_LOOKS, patience / 10))


def _is_ours(run: WorkFolder, unit: Unit, watch: Watch, log: str | None, *, follow_links: bool) -> bool:
    """Do the unit; False where another process has it, or has taken it over meanwhile."""
    try:
        with locked_if_free(run.work / unit.name, f"doing {unit.name}", watch) as mine:
            if mine is None:
                return False
            if not States(run, watch).is_done(unit):
                with tried(run, unit.name, log):
                    _do(run, unit, watch, follow_links=follow_links)
            return True
    except (LockedByAnother, LockTakenOver) as error:
        open_console(stderr=True).print(str(error), style="yellow", soft_wrap=True)
        return False


def _require_those_before(run: WorkFolder, unit: Unit, watch: Watch) -> None:
    # a process of another machine that was killed counts as gone no sooner
    until = time.monotonic() + SECONDS_FOR_OTHERS + (2 * watch.patience if unit.after_end_of else 0.0)
    while left := _left_before(unit, States(run, watch)):
        if time.monotonic() > until:
            raise UnitWaits(
                f"{unit.name}: waits for {', '.join(left)}; `autoseg work {run.path} {left[0]}` does the first of them"
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _left_before(unit: Unit, states: States) -> list[str]:
    """Names of the units that must be done before a unit and are not, and of those that must end and run now."""
    not_done = [name for name in unit.waits_for if not states.is_done_by_name(name)]
    return not_done + [name for name in unit.after_end_of if states.runs_by_name(name)]


def _do(run: WorkFolder, unit: Unit, watch: Watch, *, follow_links: bool) -> None:
    if isinstance(run, PredictionsFolder):
        from autoseg.commands.do_prediction import do_prediction

        do_prediction(run, unit, watch, follow_links=follow_links)
        return
    scope = scope_of(run)
    request = scope.request
    if unit.kind == "plan":
        _plan(run, scope)
    elif unit.kind == "prepare":
        _prepare(run, unit, request, watch)
    elif unit.kind == "train":
        _train(run, unit, scope, watch)
    elif unit.kind == "select":
        from autoseg.commands.select import select_at_end

        select_at_end(run, scope.configurations, scope.folds, open_console(), threads=request.threads)
    elif unit.kind == "report":
        _report(run, reported_by(unit), scope)
    elif unit.kind == "study":
        from autoseg.commands.study_unit import write_study_so_far

        if left := write_study_so_far(run, request, States(run, watch)):
            raise UnitWaits(f"{unit.name}: {run.study} shows what is finished; it waits for {listed(left)}")
    else:
        raise InputError(f"{unit.name}: is no unit of a RUN folder; `autoseg predict --engine` predicts in parts")


def plan_options_of(request: Request) -> PlanOptions:
    """The options of the plan that a request names."""
    return PlanOptions(
        budget=request.time_budget,
        memory_gb=request.memory,
        device=None if request.device == "auto" else request.device,
        architecture=request.architecture,
        threads=request.threads,
        epochs=request.epochs,
        align=request.align,
        at_once=request.at_once,
    )


def _dataset_of(request: Request) -> Path:
    if request.dataset is None:
        raise InputError(
            "the data set is not known here: it was a table in memory, its path is not in UTF-8, or the RUN folder is "
            "of an earlier release; give `autoseg run DATASET -o RUN` with the path of the data set"
        )
    return Path(request.dataset)


def _plan(run: RunFolder, scope: Scope) -> None:
    from autoseg.commands.preparation import prepare

    request = scope.request
    prepared = prepare(
        _dataset_of(request),
        run,
        plan_options_of(request),
        () if scope.of_study else request.configurations,
        ct=request.ct,
        spacing=request.spacing,
        grid=None if request.grid is None else request.grid.grid,
        folds=request.folds if scope.of_study else None,
        plan_only=True,
        workers=request.workers,
        trust_times=request.trust_times,
        follow_links=request.follow_links,
    )
    _remove_other_cases(run, prepared.plan)


def _remove_other_cases(run: RunFolder, plan: Plan) -> None:
    """Remove preprocessed cases that the data set no longer has; whoever plans there now does the same."""
    from planner.preprocess import remove_other_cases

    with suppress(LockedByAnother), locked(run.plan, "planning"):
        # the record tells what the data set is now, also where another process has planned since
        cases = {case.name for case in read_record(run).cases}
        for source in {plan.preprocessed_as(name) for name in plan.configurations}:
            remove_other_cases(cases, run.preprocessed(source))


def _prepare(run: RunFolder, unit: Unit, request: Request, watch: Watch) -> None:
    from autoseg.commands.raw_data import default_workers, read_as_recorded
    from planner.preprocess_part import preprocess_part

    name, part, parts = prepared_by(unit)
    plan = read_plan(run.plan)
    dataset, record = read_as_recorded(_dataset_of(request), run)
    workers = request.workers or min(default_workers(dataset), request.threads or available_cores())
    with timed(run, Stage("preprocess", plan.preprocessed_as(name)), shared=True):
        preprocess_part(
            dataset,
            plan,
            name,
            run,
            part=part,
            parts=parts,
            workers=workers,
            record=record,
            patience=watch.patience,
        )


def _train(run: RunFolder, unit: Unit, scope: Scope, watch: Watch) -> None:
    from autoseg.commands.train import require_preprocessed, train_unless_finished
    from autoseg.run_folder.splits import read_splits

    name, fold = trained_in(unit)
    settle_plans(run)
    plan, splits = read_plan(run.plan), read_splits(run.splits)
    require_preprocessed(run, plan, name, [splits[fold]])
    train_unless_finished(
        run,
        name,
        fold,
        device=scope.request.device,
        threads=scope.request.threads,
        epochs=scope.request.epochs,
        time=_time_of(run, plan, scope, (name, fold), watch),
        at_other_pace="go on" if scope.request.epochs else "tell",
    )


def _time_of(run: RunFolder, plan: Plan, scope: Scope, own: Fold, watch: Watch) -> FoldTime:
    """Training time of a fold: what the budget has left, divided by the rounds of folds that are left."""
    if scope.request.epochs is not None:
        return FoldTime(None, 0.0)
    left = [pair for pair in trainings_of(run, scope) if pair != own and not run.is_finished(*pair)]
    running = [pair for pair in left if _runs(run, pair, watch)]
    to_come = [own, *(pair for pair in left if pair not in running)]
    at_once = max(scope.request.at_once, 1)
    return time_of_next_fold(
        run,
        plan,
        to_come,
        # cells share their preprocessed cases, whose time counts too
        tuple(plan.configurations) if scope.of_study else scope.configurations,
        _seconds_of_reports(run, scope),
        edited_fields(run, plan),
        queues=queues_of([*running, *to_come], at_once),
    )


def _seconds_of_reports(run: RunFolder, scope: Scope) -> float | None:
    """Expected seconds of all that follows the trainings; None while nothing is known."""
    request, names = scope.request, scope.configurations
    if scope.of_study:
        from autoseg.commands.study_unit import seconds_of_results

        return seconds_of_results(run, names, request.threads)
    return ReportTime(run, names, threads=request.threads, selects=request.selects).seconds()


def _runs(run: RunFolder, pair: Fold, watch: Watch) -> bool:
    places: Sequence[Path] = (run.work / train_unit(*pair), run.fold(*pair))
    return any(watch.living(place) is not None for place in places)


def _report(run: RunFolder, name: str, scope: Scope) -> None:
    report = report_if_finished(run, name, scope.folds, scope.request.threads)
    if report is not None:
        show_report(open_console(), report)
