"""A run on a quiet machine, and runs beside other programs: while it is planned, throughout, in between."""

from __future__ import annotations

from statistics import median

from autoseg.machine.cores import available_cores
from autoseg.run_folder.finished_fold import Finished, read_finished
from benchmarks.clock.bench import SYNTHETIC, Bench
from benchmarks.clock.course import NOBODY, Others
from benchmarks.clock.table import Figure, Found, figure
from benchmarks.clock.timed_run import CONFIG, TimedRun
from benchmarks.quiet import wait_until_quiet

LEAST_USED, LEAST_USED_QUIET = 0.85, 0.9
LATEST_END, LATEST_END_QUIET = 1.05, 1.02
DICE_AFTER_PLANNING, DICE_BESIDE = 0.05, 0.1
"""By how much the mean Dice may differ from the quiet run's."""

MOST_TIMES_AS_SLOW = 2.2
PACE_SECONDS, PACE_ROUNDS = 40, 2
"""Training in which the pace of steps is measured, and how often, alone and beside others in turn."""

THROUGHOUT = Others(1, lambda seconds: True)


def quiet(bench: Bench) -> Found:
    """The run with which the others are compared."""
    run = quiet_run(bench)
    lines = [
        figure("budget used", run.data, run.share_used, "share", least=LEAST_USED_QUIET, note=run.remark),
        figure("ended at", run.data, run.ended_at, "share", most=LATEST_END_QUIET),
    ]
    return lines, [run]


def planning(bench: Bench) -> Found:
    """Every core is busy until the plan is there, and idle from then on."""
    against = quiet_run(bench)
    (run,) = bench.timed([bench.job("planning")], busy_until_planned(bench, "planning"))
    lines = [
        figure("budget used", run.data, run.share_used, "share", least=LEAST_USED, note=run.remark),
        figure("ended at", run.data, run.ended_at, "share"),
        dice_against(run, against, DICE_AFTER_PLANNING),
    ]
    return lines, [run]


def beside(bench: Bench) -> Found:
    """Another program computes throughout."""
    against = quiet_run(bench)
    (run,) = bench.timed([bench.job("beside")], THROUGHOUT)
    return [*beside_lines(run, against), pace_figure(bench)], [run]


def between(bench: Bench) -> Found:
    """Another program computes in the second third of the budget."""
    against = quiet_run(bench)
    job = bench.job("between")
    others = Others(1, lambda seconds: job.budget / 3 <= seconds < 2 * job.budget / 3)
    (run,) = bench.timed([job], others)
    return beside_lines(run, against), [run]


def quiet_run(bench: Bench) -> TimedRun:
    """On the synthetic data, alone; made where it is missing."""
    return bench.timed([bench.job("quiet")])[0]


def busy_until_planned(bench: Bench, name: str) -> Others:
    """As many other programs as cores, until there is a plan."""
    plan = bench.run(name).plan
    return Others(available_cores(), lambda seconds: not plan.exists())


def beside_lines(run: TimedRun, against: TimedRun) -> list[Figure]:
    """What is asked of a run beside another program."""
    return [
        figure("budget used", run.data, run.share_used, "share", least=LEAST_USED, note=run.remark),
        figure("ended at", run.data, run.ended_at, "share", most=LATEST_END),
        dice_against(run, against, DICE_BESIDE),
    ]


def dice_against(run: TimedRun, against: TimedRun, within: float) -> Figure:
    """Mean Dice minus that of the quiet run."""
    one, other = (f"{of.mean_dice:.3f} with {of.features} features" for of in (run, against))
    return figure(
        "mean Dice minus the quiet run's",
        run.data,
        run.mean_dice - against.mean_dice,
        "difference",
        least=-within,
        most=within,
        note=f"{one}, quiet {other}",
    )


def pace_figure(bench: Bench) -> Figure:
    """How many times as slow a step of the quiet run's plan is beside another program."""
    alone: list[float] = []
    disturbed: list[float] = []
    told = set()
    for turn in range(PACE_ROUNDS):
        for kind, others, found in (("alone", NOBODY, alone), ("busy", THROUGHOUT, disturbed)):
            finished = trained_for_a_while(bench, f"beside-pace-{kind}-{turn}", others)
            found.append(finished.seconds_training / finished.steps)
            told.add(f"{kind} {finished.steps} steps")
    note = f"{median(alone):.3f} s alone, {median(disturbed):.3f} s beside, {', '.join(sorted(told))}"
    return figure(
        "a step, times as slow as alone",
        SYNTHETIC,
        median(disturbed) / median(alone),
        "times",
        most=MOST_TIMES_AS_SLOW,
        note=note,
    )


def trained_for_a_while(bench: Bench, name: str, others: Others) -> Finished:
    """Fold 0 of the quiet run's plan, trained for some seconds in a copy that has not learned yet."""
    finished = read_finished(bench.run(name), CONFIG, 0)
    if finished is None:
        run = bench.begin(name, bench.run("quiet"))
        wait_until_quiet()
        bench.call(name, ["train", run.path, "--fold", "0", "--time-budget", f"{PACE_SECONDS}s"], others)
        finished = read_finished(run, CONFIG, 0)
    if finished is None:
        raise ValueError(f"{bench.run(name).path}: fold 0 has not finished; see {bench.log(name)}")
    return finished
