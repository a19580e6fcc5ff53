"""Runs that are killed again and again and gone on with, and their folds trained once more by what had happened."""

from __future__ import annotations

import filecmp
import random

from benchmarks.clock.bench import Bench, copy_without_results
from benchmarks.clock.course import Others
from benchmarks.clock.disturbed import LATEST_END, THROUGHOUT, busy_until_planned
from benchmarks.clock.table import Figure, Found, figure
from benchmarks.clock.timed_run import CONFIG, TimedRun

TIMES = 5
SEED = 0
FIRST, LAST = 0.15, 0.9
"""Shares of the budget between which the moments are drawn: a run then trains."""


def killed(bench: Bench) -> Found:
    """The rows `planning` and `beside` with kill -9: in time all the same, and to the same bits without it."""
    lines: list[Figure] = []
    runs = []
    beside = {"killed-planning": busy_until_planned(bench, "killed-planning"), "killed-beside": THROUGHOUT}
    for name, others in beside.items():
        run = killed_run(bench, name, others)
        lines += lines_of(bench, run)
        runs.append(run)
    return lines, runs


def killed_run(bench: Bench, name: str, others: Others) -> TimedRun:
    """A run on one budget, however often it is killed; each time the same command goes on at once."""
    budget = bench.job(name).budget
    (run,) = bench.timed([bench.job(name, kills=moments(name, budget))], others)
    return run


def moments(name: str, budget: float) -> tuple[float, ...]:
    """Seconds at which a run is killed, drawn by its name."""
    drawn = random.Random(f"{SEED} {name}")
    return tuple(sorted(budget * drawn.uniform(FIRST, LAST) for _ in range(TIMES)))


def lines_of(bench: Bench, run: TimedRun) -> list[Figure]:
    """What is asked of a killed run."""
    what = run.name.removeprefix("killed-")
    folds = [fold for fold in bench.replayed_folds if fold < len(run.steps)]
    same = [fold for fold in folds if repeats_to_the_same_bits(bench, run.name, fold)]
    others = sorted(set(folds) - set(same))
    note = f"other bits in fold {', '.join(map(str, others))}" if others else f"folds {', '.join(map(str, folds))}"
    return [
        figure(f"{what}: killed", run.data, run.killed, "count", least=TIMES, most=TIMES),
        figure(f"{what}: ended at", run.data, run.ended_at, "share", most=LATEST_END, note=run.remark),
        figure(f"{what}: budget used", run.data, run.share_used, "share"),
        figure(f"{what}: folds repeated to the same bits", run.data, len(same), "count", least=len(folds), note=note),
    ]


def repeats_to_the_same_bits(bench: Bench, name: str, fold: int) -> bool:
    """Whether a fold, trained undisturbed by the events that the killed one had, has its weights, bit for bit."""
    original, again = bench.run(name), bench.run(f"{name}-replay")
    if not again.path.exists():
        copy_without_results(original, again)
    if not again.is_finished(CONFIG, fold):
        followed = original.finished(CONFIG, fold)
        bench.call(f"{name}-replay", ["train", again.path, "--fold", str(fold), "--follow", followed])
    return filecmp.cmp(original.weights(CONFIG, fold), again.weights(CONFIG, fold), shallow=False)
