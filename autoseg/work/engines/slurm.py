"""The engine `slurm`: sends the units of a RUN as jobs and job arrays, with what each needs and waits for.

Nothing stays on the login node. As long as there is no plan, the unit `plan` alone is sent: what the others need, and
how many there are, follows from it, so its job sends them at its end. The scripts are text (`scripts_of`), which a
person can read, and send by giving it to bash. Slurm alone remembers the jobs: they are found in its queue by the RUN
folder and the names of their units, so that a unit that waits or runs is not sent again.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autoseg.errors import AutosegError, InputError
from autoseg.names import listed
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.terminal import open_console
from autoseg.work.engine import Asked, giving, record_of
from autoseg.work.engines import slurm_commands
from autoseg.work.engines.slurm_commands import QueuedJob
from autoseg.work.engines.slurm_jobs import Job, jobs_of
from autoseg.work.engines.slurm_options import read_slurm_options
from autoseg.work.engines.slurm_script import SlurmOptions, place_of, script_of
from autoseg.work.state import State, units_left
from autoseg.work.tries import mark_cancelled
from autoseg.work.unit import Unit
from autoseg.work.units import follows_links

SECONDS_TO_SETTLE, SECONDS_BETWEEN_LOOKS = 60.0, 1.0
"""A job that is cancelled leaves the queue within this time: it has Slurm's KillWait, 30 s as a rule, to stop."""

PLAN = "plan"
"""Name of the unit whose job sends the others."""

Send = Callable[[Job, str, Sequence[str], Sequence[str]], str]
"""Sends a job, given its script, the ids of the jobs that must end well before it, and of those that must end at all;
returns its id."""


def options_of(run: WorkFolder, asked: Asked) -> SlurmOptions:
    """Check what a person asked of this engine.

    Raises:
        InputError: `--slurm-option` is malformed, or names an option that autoseg sets itself; the path of the RUN
            folder cannot stand in a script.
    """
    place_of(run)
    return SlurmOptions(asked.retries, read_slurm_options(asked.slurm_options))


def submit(run: WorkFolder, units: Sequence[Unit], options: SlurmOptions) -> None:
    """Send jobs for the units that are not done, and are not in the queue.

    Args:
        run: RUN folder that all nodes see under the same path.
        units: units that are not done, in an order in which each comes after those that it waits for.
        options: retries, and options that the user passes on.

    Raises:
        InputError: Slurm is not at hand, or does not take a job; those that were sent before it stay in the queue.
    """
    console, jobs_sent = open_console(), list[str]()

    def send(job: Job, script: str, after: Sequence[str], after_end_of: Sequence[str]) -> str:
        try:
            sent = slurm_commands.send(script, after, after_end_of)
        except InputError as error:
            raise InputError(f"{error}\n{_what_was_sent(jobs_sent, options)}") from None
        jobs_sent.append(sent)
        console.print(f"job {sent}: {_told(job.unit_names)}", soft_wrap=True, highlight=False)
        return sent

    run.logs.mkdir(parents=True, exist_ok=True)
    queue = _without_those_to_send_again(units, _settled_queue(run))
    waiting = [unit.name for unit in units if unit.name in queue]
    if waiting:
        console.print(f"in the queue already: {_told(waiting)}", soft_wrap=True, highlight=False)
    options = replace(options, follow_links=follows_links(run))
    _send_all(run, units, options, {name: job.id for name, job in queue.items()}, send)


def _what_was_sent(jobs: Sequence[str], options: SlurmOptions) -> str:
    """What is told after a job that Slurm does not take: what of it the user gave, what was sent, and what to do."""
    given = ", ".join(f"{key}={value}" if value else key for key, value in options.passed_on.items())
    of_user = f"By --slurm-option came {given}. " if given else ""
    if not jobs:
        return f"{of_user}Nothing was sent; once this is mended, give the command again"
    return f"{of_user}Sent before it, and still in the queue: {listed(jobs)}; the command again sends the rest"


def scripts_of(
    run: WorkFolder,
    units: Sequence[Unit],
    options: SlurmOptions,
    *,
    written: Mapping[Path, str],
    removed: Sequence[Path] = (),
    follow_links: bool = False,
) -> str:
    """Return a script for bash that does what `submit` would do, and writes down what is written before that.

    Nothing is written here, and nothing is asked of Slurm.

    Args:
        run: RUN folder that all nodes see under the same path.
        units: units that are not done, in an order in which each comes after those that it waits for.
        options: retries, and options that the user passes on.
        written: text of each file in RUN from which the units know what to do, in ASCII.
        removed: files in RUN that the script removes.
        follow_links: whether links in the RUN folder may lead out of it.
    """

    def place(path: Path) -> str:
        return shlex.quote(f"{place_of(run)}/{path.relative_to(run.path)}")

    files = [_WRITTEN.format(place=place(path), text=text) for path, text in written.items()]
    files += [f"rm -f -- {place(path)}\n" for path in removed]
    record = {"engine": record_of("slurm"), "record": place(run.engine)}
    head = _HEAD.format(run=shlex.quote(place_of(run)), logs=place(run.logs), files="".join(files), **record)
    parts, options = [head], replace(options, follow_links=follow_links)

    def write(job: Job, script: str, after: Sequence[str], after_end_of: Sequence[str]) -> str:
        name = f"job_{len(parts)}"
        waits_for = slurm_commands.dependency(after, after_end_of)
        waits = f' --dependency="{waits_for}"' if waits_for else ""
        parts.append(f"# {_told(job.unit_names)}\n{name}=$(sbatch --parsable{waits} <<'SCRIPT'\n{script}SCRIPT\n)\n")
        return f"${{{name}}}"

    _send_all(run, units, options, {}, write)
    return "\n".join(parts)


def in_queue(run: WorkFolder, states: Mapping[Unit, State]) -> dict[str, str]:
    """Return what is told of units that are not done: their jobs, or that they have none.

    Args:
        run: RUN folder, or folder of predictions, whose units are told of.
        states: units that are not done, and how far each is.

    Raises:
        InputError: Slurm is not at hand.
    """
    queue = slurm_commands.queued(run)
    comes = any(unit.kind == "plan" and unit.name in queue for unit in states)
    missing = "is sent once the plan is made" if comes else "not in the queue; the same command sends it"
    told = {unit.name: _told_of(queue[unit.name]) for unit in states if unit.name in queue}
    # one that runs without a job was begun by hand
    left = (unit.name for unit, state in states.items() if unit.name not in queue and state.word != "running")
    return told | dict.fromkeys(left, missing)


def _told_of(job: QueuedJob) -> str:
    if job.node:
        return f"job {job.id} on {job.node}"
    return f"in the queue as job {job.id} ({job.reason})"


def held(run: WorkFolder) -> tuple[str, ...]:
    """Return the names of the units in the queue; those that were cancelled just now are waited for.

    Raises:
        InputError: Slurm is not at hand.
    """
    return tuple(sorted(_settled_queue(run)))


def cancel(run: WorkFolder) -> tuple[str, ...]:
    """Cancel every job of a RUN, also several of one unit; work that runs saves its state.

    Returns:
        Names of the units that were in the queue.
    """
    cancelled = dict[str, str]()
    while new := [(name, job) for name, job in slurm_commands.every_queued(run) if job.id not in cancelled]:
        slurm_commands.cancel(job.id for _, job in new)
        cancelled |= {job.id: name for name, job in new}
        for name in {name for name, job in new if job.node}:
            # Slurm kills work that takes longer to stop than its KillWait
            mark_cancelled(run, name)
        if not any(name == PLAN and job.node for name, job in new):
            break
        # a job that plans may be sending the others just now
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return tuple(sorted(set(cancelled.values())))


def _settled_queue(run: WorkFolder) -> dict[str, QueuedJob]:
    """The queue once no job is about to leave it, as those that were cancelled just now, or after some time."""
    until = time.monotonic() + SECONDS_TO_SETTLE
    while True:
        queue = slurm_commands.queued(run)
        if time.monotonic() > until or all(job.state != "COMPLETING" for job in queue.values()):
            return queue
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _without_those_to_send_again(units: Sequence[Unit], queue: dict[str, QueuedJob]) -> dict[str, QueuedJob]:
    """The queue without jobs that wait for the end of units which are sent only now; these are taken out of it."""
    new = {unit.name for unit in units} - queue.keys()
    early = [
        unit.name
        for unit in units
        if unit.name in queue and queue[unit.name].state == "PENDING" and not new.isdisjoint(unit.after_end_of)
    ]
    slurm_commands.cancel(queue[name].id for name in early)
    return {name: job for name, job in queue.items() if name not in early}


def _send_all(run: WorkFolder, units: Sequence[Unit], options: SlurmOptions, queue: dict[str, str], send: Send) -> None:
    """Send the jobs of all units that are not in the queue, in order; `queue` has the id of each that is in it."""
    plan = [unit for unit in units if unit.kind == "plan"]
    ids, arrays = dict(queue), dict[str, set[str]]()
    for job in jobs_of([unit for unit in plan or units if unit.name not in queue]):
        waits = ({ids[n] for n in names if n in ids} for names in (job.waits_for, job.after_end_of))
        after, after_end_of = (_after(some, arrays) for some in waits)
        sent = send(job, script_of(run, job, options), after, after_end_of)
        of_units = [f"{sent}_{number}" for number in job.numbers] or [sent]
        ids |= dict(zip(job.unit_names, of_units, strict=True))
        arrays[sent] = set(of_units)


def _after(ids: set[str], arrays: dict[str, set[str]]) -> list[str]:
    """Ids of the jobs that a job waits for; a job array that was sent now, and is waited for as a whole, has one id."""
    whole = {array: elements for array, elements in arrays.items() if elements <= ids}
    return sorted(whole) + sorted(ids.difference(*whole.values()))


def _told(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} units, {names[0]} to {names[-1]}"


_HEAD = """\
#!/usr/bin/env bash
# Sends the units of work of a RUN to Slurm. On a machine that has sbatch, give this to bash.
set -euo pipefail
run={run}
jobs="$(squeue --me --noheader --format=%Z)"
if [[ $'\\n'"$jobs"$'\\n' == *$'\\n'"$run"$'\\n'* ]]; then
    echo "$run: has jobs in the queue, so nothing is sent. Wait for their end, or use autoseg cancel" >&2
    exit 1
fi
mkdir -p {logs}
# from this each unit knows what to do
{files}# so that `autoseg status` and `autoseg cancel` ask Slurm
echo '{engine}' >{record}
"""

_WRITTEN = """\
cat >{place} <<'WRITTEN'
{text}
WRITTEN
"""


def _send_the_rest(arguments: Sequence[str]) -> None:
    """`python -m autoseg.work.engines.slurm RUN`: what the job of the unit `plan` calls at its end."""
    parser = argparse.ArgumentParser(prog="autoseg.work.engines.slurm", description=_send_the_rest.__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--retries", type=int, required=True)
    parser.add_argument("--slurm-option", action="append", default=[])
    given = parser.parse_args(arguments)
    run, options = RunFolder(given.run), SlurmOptions(given.retries, read_slurm_options(given.slurm_option))
    # a person may give the same command just now; who comes second finds in the queue what the first has sent
    with giving(run, "slurm", waits=True):
        submit(run, units_left(run), options)


if __name__ == "__main__":
    try:
        _send_the_rest(sys.argv[1:])
    except AutosegError as error:
        open_console(stderr=True).print(
            f"Error: {error}\nThe other units are not sent. The command that gave the work to Slurm sends them.",
            soft_wrap=True,
        )
        sys.exit(error.exit_status)
