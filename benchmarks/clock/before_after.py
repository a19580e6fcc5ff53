"""Real data, on a quiet machine, as another checkout and as this one make use of the same budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import pandas as pd

from benchmarks.clock.bench import Bench, Job
from benchmarks.clock.table import Figure, Found, figure
from benchmarks.clock.timed_run import TimedRun
from inference.study.statistics import bootstrap_interval

DATASETS = ("hippocampus40", "abdomen20")
MINUTES = (5, 20)
PLANS_SEED = 1234
"""That a plan has unless it is edited."""

LEAST_DIFFERENCE = -0.01
WHICH = ("before", "after")


@dataclass(frozen=True)
class Difference:
    """After minus before, over cases; a case that several seeds have counts once, by the mean of its differences.

    Args:
        mean: over cases.
        low, high: its 95 % bootstrap interval.
        cases: how many.
    """

    mean: float
    low: float
    high: float
    cases: int

    @property
    def holds(self) -> bool:
        """Whether nothing is lost, as far as the cases tell."""
        return self.mean >= LEAST_DIFFERENCE and self.high >= 0


def before_after(bench: Bench) -> Found:
    """Every data set with every budget; one that misses its limit again with more seeds, all pooled."""
    lines: list[Figure] = []
    runs: list[TimedRun] = []
    for dataset in DATASETS:
        for minutes in MINUTES:
            first, *others = bench.seeds
            pairs = [pair_of(bench, dataset, minutes, first)]
            if not difference(pairs).holds:
                pairs += [pair_of(bench, dataset, minutes, seed) for seed in others]
            lines += lines_of(pairs, minutes)
            runs += [run for pair in pairs for run in pair]
    return lines, runs


def pair_of(bench: Bench, dataset: str, minutes: int, seed: int) -> tuple[TimedRun, TimedRun]:
    """The two runs of a data set, a budget and a seed."""
    named = f"{dataset}-{minutes}" if seed == PLANS_SEED else f"{dataset}-{minutes}-seed{seed}"
    before, after = (
        bench.found_or_timed(
            Job(
                name=f"{which}-{named}",
                dataset=bench.data / dataset,
                data=f"{dataset} (real)",
                budget=60.0 * minutes,
                program=program,
                seed=None if seed == PLANS_SEED else seed,
            )
        )
        for which, program in zip(WHICH, (bench.before, bench.ours), strict=True)
    )
    return before, after


def difference(pairs: Sequence[tuple[TimedRun, TimedRun]]) -> Difference:
    """Of the Dice of cases that both runs of a pair have."""
    of_seeds = pd.DataFrame([pd.Series(after.dice) - pd.Series(before.dice) for before, after in pairs])
    values = of_seeds.mean().dropna().to_numpy(np.float64)
    mean = float(values.mean())
    low, high = bootstrap_interval(values, 0)
    return Difference(mean, mean if low is None else low, mean if high is None else high, len(values))


def lines_of(pairs: Sequence[tuple[TimedRun, TimedRun]], minutes: int) -> list[Figure]:
    """Lines of a data set and a budget."""
    found, data = difference(pairs), pairs[0][0].data
    seeds = "" if len(pairs) == 1 else f", {len(pairs)} seeds"
    note = f"{found.low:+.3f} to {found.high:+.3f}; {found.cases} cases{seeds}"
    lines = [
        figure(
            f"{minutes} min: Dice after minus before",
            data,
            found.mean,
            "difference",
            least=LEAST_DIFFERENCE,
            note=f"95 % interval {note}",
        ),
        figure(f"{minutes} min: upper end of its interval", data, found.high, "difference", least=0.0),
    ]
    for place, which in enumerate(WHICH):
        runs = [pair[place] for pair in pairs]
        used, ended = median(run.share_used for run in runs), median(run.ended_at for run in runs)
        dice = f"mean Dice {median(run.mean_dice for run in runs):.3f}"
        remarks = "; ".join(dict.fromkeys(run.remark for run in runs if run.remark))
        lines += [
            figure(f"{minutes} min: budget used, {which}", data, used, "share", note=dice),
            figure(f"{minutes} min: ended at, {which}", data, ended, "share", note=remarks),
        ]
    return lines
