"""The script of a Slurm job, as text that a person can read and send with sbatch."""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoseg.errors import InputError
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.work.engines.slurm_jobs import Job
from autoseg.work.unit import Needs

SECONDS_TO_STOP = 120
"""So long before its time limit a job is asked to stop; Slurm may ask up to a minute earlier."""

TIME_MARGIN = 1.5
"""A job's time limit is so many times the seconds that its units are expected to take, …"""

SECONDS_TO_BEGIN = 600
"""… and these seconds more, for starting Python and for stopping."""

_MIB = 2**20
_PLAIN = re.compile(r"[\w%@+=:,./-]*", re.ASCII)
_INSTEAD = {
    "cpus-per-task": {"cpus-per-task", "cpus-per-gpu"},
    "mem": {"mem", "mem-per-cpu", "mem-per-gpu"},
    "gres": {"gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket"},
    "time": {"time"},
    "signal": {"signal"},
}
"""Options that autoseg sets, each with those of a person that take its place."""


@dataclass(frozen=True)
class SlurmOptions:
    """How jobs are sent.

    Args:
        retries: how often a job begins again after its first turn, whatever ended that.
        passed_on: options of sbatch that the user gives, keyed by their names; they go before those of autoseg.
        follow_links: whether links in the RUN folder may lead out of it.
    """

    retries: int
    passed_on: Mapping[str, str] = field(default_factory=dict)
    follow_links: bool = False


def script_of(run: WorkFolder, job: Job, options: SlurmOptions) -> str:
    """Return the script of a job.

    Args:
        run: RUN folder that all nodes see under the same path.
        job: units of the job.
        options: retries, and options that the user passes on.

    Raises:
        InputError: the path of the RUN folder cannot stand in a script.
    """
    directives = "\n".join(f"#SBATCH --{line}" for line in _directives(run, job, options))
    python = shlex.quote(sys.executable)
    afterwards = _SENDS_THE_REST.format(python=python, options=_again(options)) if job.kind == "plan" else ""
    number = "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" if job.numbers else "$SLURM_JOB_ID"
    return _SCRIPT.format(
        directives=directives,
        run=shlex.quote(place_of(run)),
        unit=_in_bash(job),
        number=number,
        retries=options.retries,
        python=python,
        links=" --follow-links" if options.follow_links else "",
        afterwards=afterwards,
    )


def place_of(run: WorkFolder) -> str:
    """The RUN folder's path as all nodes know it, which is also the folder in which its jobs run.

    Raises:
        InputError: the path cannot stand in a script.
    """
    path = str(run.path.resolve())
    if not path.isprintable() or any(sign in path for sign in '"\\'):
        raise InputError(
            f"{path}: a path with a quotation mark, backslash or line break cannot stand in a job's script"
        )
    return path


def _directives(run: WorkFolder, job: Job, options: SlurmOptions) -> list[str]:
    """Options of sbatch, one a line, without their dashes in front."""
    array = {"array": ",".join(map(str, job.numbers))} if job.numbers else {}
    given = options.passed_on
    asked = {
        name: value
        for name, value in {**_asked_for(job.needs), "signal": f"B:USR1@{SECONDS_TO_STOP}"}.items()
        if not _INSTEAD[name] & given.keys()
    }
    always = {
        "chdir": f'"{place_of(run)}"',
        "output": f'"{place_of(run).replace("%", "%%")}/work/logs/{_of_log(job)}.log"',
        "open-mode": "append",
        "requeue": "",
        "kill-on-invalid-dep": "yes",
    }
    passed_on = {name: _quoted(value) for name, value in given.items()}
    every = {"job-name": _quoted(job.name), **array, **asked, **passed_on, **always}
    return [f"{name}={value}" if value else name for name, value in every.items()]


def _quoted(value: str) -> str:
    """A value as sbatch reads it: outside of quotation marks, a space ends it, and a # begins a comment."""
    return value if _PLAIN.fullmatch(value) else f'"{value}"'


def _of_log(job: Job) -> str:
    """Name of the job's log, in which Slurm puts the number in the place of %a; any other % stands for itself."""
    before, after = (part.replace("%", "%%") for part in (job.before, job.after))
    return f"{before}%a{after}" if job.numbers else before


def _in_bash(job: Job) -> str:
    """The name of the unit as bash reads it; a name comes from the plan, and nothing in it is run."""
    parts = [shlex.quote(part) for part in (job.before, job.after) if part]
    return '"${SLURM_ARRAY_TASK_ID}"'.join(parts if job.after else [*parts, ""]) if job.numbers else parts[0]


def _asked_for(needs: Needs) -> dict[str, str]:
    """What a unit needs, as options of sbatch; what is not known is left to the cluster's own defaults."""
    asked = {"cpus-per-task": str(needs.cores)}
    if needs.memory_bytes is not None:
        asked["mem"] = f"{math.ceil(needs.memory_bytes / _MIB)}M"
    if needs.gpus:
        asked["gres"] = f"gpu:{needs.gpus}"
    if needs.seconds is not None:
        asked["time"] = time_limit(needs.seconds)
    return asked


def time_limit(seconds: float) -> str:
    """Time limit of a job as Slurm writes it, DAYS-HOURS:MINUTES:SECONDS, from the seconds that its work takes."""
    minutes = math.ceil((seconds * TIME_MARGIN + SECONDS_TO_BEGIN) / 60)
    days, hours = divmod(minutes // 60, 24)
    return f"{days}-{hours:02d}:{minutes % 60:02d}:00"


def _again(options: SlurmOptions) -> str:
    """The options as they are given to the command that sends the other units."""
    passed_on = [f"--slurm-option={name}{value and f'={value}'}" for name, value in options.passed_on.items()]
    return shlex.join([f"--retries={options.retries}", *passed_on])


_SENDS_THE_REST = """
# what the other units need follows from the plan, so they are sent now
if [ "$status" -eq 0 ]; then
    {python} -P -m autoseg.work.engines.slurm "$run" {options}
    status=$?
fi
"""

_SCRIPT = """\
#!/bin/bash
{directives}

run={run}
unit={unit}
job="{number}"
retries={retries}

# USR1 comes before the time limit: the work stops with its state saved, and goes on in the job's next turn.
# TERM comes to every process of the job when it is cancelled: the work stops for good.
trap 'heard=yes; kill -TERM $!' USR1
trap 'heard=yes; cancelled=yes' TERM

echo "== $unit: job $job, turn $((${{SLURM_RESTART_COUNT:-0}} + 1)), on $SLURMD_NODENAME"
if [ "${{SLURM_RESTART_COUNT:-0}}" -gt "$retries" ]; then
    # Slurm itself puts the jobs of a node that goes down back into the queue, however often
    echo "== $unit: not begun again, since all $retries retries are used up" >&2
    exit 1
fi
{python} -P -m autoseg work "$run" "$unit" --log "$run/work/logs/$unit.log"{links} &
# a signal ends `wait` before the work has ended
heard=yes
while [ "$heard" ]; do
    heard=
    wait $!
    status=$?
done
{afterwards}
# 0: done. 2: something that a person has to mend. 75: stopped with its state saved. Anything else: failed.
if [ "$status" -eq 0 ] || [ "$status" -eq 2 ] || [ "$cancelled" ]; then
    exit "$status"
fi
if [ "${{SLURM_RESTART_COUNT:-0}}" -ge "$retries" ]; then
    echo "== $unit: ended with status $status, and all $retries retries are used up" >&2
    exit "$status"
fi
echo "== $unit: ended with status $status, and is put back into the queue"
scontrol requeue "$job"
exit "$status"
"""
