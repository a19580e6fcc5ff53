"""Two runs beside each other, by one plan that was made while the machine was quiet, and one of the kind alone."""

from __future__ import annotations

from autoseg.files import folder_replaced_when_done
from autoseg.plan.plan import read_plan, read_reasons, write_plan
from autoseg.run_folder.paths import RunFolder
from benchmarks.clock.bench import Bench
from benchmarks.clock.disturbed import LATEST_END
from benchmarks.clock.table import Found, figure
from benchmarks.clock.timed_run import CONFIG
from benchmarks.quiet import wait_until_quiet

PART = 0.5
"""Of the budget of a run of the other rows, that each of these has."""

LEAST_STEPS = 0.4
"""Of those that a run takes alone."""


def two(bench: Bench) -> Found:
    """Each ends in time, with its share of the steps."""
    source = planned(bench)
    (alone,) = bench.timed([bench.job("two-alone", parts=PART, source=source)])
    together = bench.timed([bench.job(name, parts=PART, source=source) for name in ("two-first", "two-second")])
    lines = [figure("alone: ended at", alone.data, alone.ended_at, "share", most=LATEST_END, note=alone.remark)]
    for name, run in zip(("first", "second"), together, strict=True):
        steps = sum(run.steps) / sum(alone.steps)
        note = f"{sum(run.steps)} steps of all folds, alone {sum(alone.steps)}"
        lines += [
            figure(f"{name}: ended at", run.data, run.ended_at, "share", most=LATEST_END, note=run.remark),
            figure(f"{name}: steps of those alone", run.data, steps, "share", least=LEAST_STEPS, note=note),
            figure(f"{name}: budget used", run.data, run.share_used, "share"),
            figure(f"{name}: mean Dice minus alone", run.data, run.mean_dice - alone.mean_dice, "difference"),
        ]
    return lines, [alone, *together]


def planned(bench: Bench) -> RunFolder:
    """A RUN folder that is planned and preprocessed; made where it is missing."""
    run = bench.run("two-planned")
    if not run.path.exists():
        job = bench.job("two-planned", parts=PART)
        wait_until_quiet()
        with folder_replaced_when_done(run.path) as making:
            budget = ["--time-budget", f"{job.budget:g}s"]
            bench.call(job.name, ["plan-and-preprocess", job.dataset, "-o", making, *budget])
            keep_planned(RunFolder(making))
    return run


def keep_planned(run: RunFolder) -> None:
    """Mark the plan as one that has been made again already: steps are compared by one and the same plan."""
    for path in (run.plan, run.planned):
        plan = read_plan(path)
        write_plan(path, plan.changed(planned_again=(CONFIG,)), read_reasons(path))
