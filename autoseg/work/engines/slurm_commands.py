"""Calls of Slurm's own commands: sbatch sends a job, squeue says where jobs are, scancel ends them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autoseg.errors import InputError
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.work.engines.slurm_script import place_of

_KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")
"""Variables of Slurm that say where the cluster is."""

_NO_CLUSTER = re.compile("configuration (source|file)")
"""What Slurm's commands say where they do not find out which cluster is meant."""

_SECONDS = 120
"""Slurm answers within this time, or not at all."""


@dataclass(frozen=True)
class QueuedJob:
    """A job, or one of a job array, that waits or runs.

    Args:
        id: its id; of one of a job array, ID_NUMBER.
        state: Slurm's word, such as PENDING, RUNNING or COMPLETING.
        node: name of the node on which it runs; empty = on none yet.
        reason: Slurm's word for why it waits, such as Resources or Dependency; `None` where it does not.
    """

    id: str
    state: str
    node: str
    reason: str


def send(script: str, after: Sequence[str], after_end_of: Sequence[str] = ()) -> str:
    """Send a job.

    Args:
        script: text of the job's script.
        after: ids of the jobs that must have ended well before it begins.
        after_end_of: ids of the jobs that must have ended, well or not.

    Returns:
        The id of the job.

    Raises:
        InputError: Slurm does not take the job, or is not at hand; the message holds what it says.
    """
    waits = [f"--dependency={dependency(after, after_end_of)}"] if after or after_end_of else []
    said = _call(["sbatch", "--parsable", *waits], script)
    # on a federation of clusters the name of the cluster follows
    return said.strip().split(";")[0]


def dependency(after: Sequence[str], after_end_of: Sequence[str] = ()) -> str:
    """The value of sbatch's `--dependency` for a job that begins once others have ended well, or ended at all."""
    # a job that is put back into the queue has not ended
    kinds = {"afterok": after, "afterany": after_end_of}
    return ",".join(":".join([kind, *ids]) for kind, ids in kinds.items() if ids)


def queued(run: WorkFolder) -> dict[str, QueuedJob]:
    """Ask Slurm for the job of each unit of a RUN that waits or runs; arguments and errors as in `every_queued`.

    Returns:
        A job by the name of its unit; of several of one unit the last.
    """
    return dict(every_queued(run))


def every_queued(run: WorkFolder) -> tuple[tuple[str, QueuedJob], ...]:
    """Ask Slurm for the jobs of a RUN that wait or run; they are found by folder and name, however they were sent.

    Returns:
        Name of the unit and job, of all that this user has in the queue. A job that has ended is missing.

    Raises:
        InputError: Slurm is not at hand; the message holds what it says.
    """
    said = _call(["squeue", "--me", "--array", "--noheader", "--format=%F|%K|%T|%N|%r|%j|%Z"])
    place, found = place_of(run), list[tuple[str, QueuedJob]]()
    for line in said.split("\n"):
        fields = line.split("|", 6)
        # names of other jobs may hold anything
        if len(fields) == 7 and fields[-1] == place:
            job, number, state, node, reason, name, _ = fields
            one = QueuedJob(job if number == "N/A" else f"{job}_{number}", state, node, reason)
            found.append((name.replace("%a", number), one))
    return tuple(found)


def cancel(ids: Iterable[str]) -> None:
    """Cancel jobs; those that run have Slurm's KillWait to save their state. One that has ended is no error.

    Raises:
        InputError: Slurm refuses, or is not at hand; the message holds what it says.
    """
    asked = sorted(set(ids))
    if asked:
        _call(["scancel", "--quiet", *asked])


def _call(command: Sequence[str], given: str | None = None) -> str:
    """Run a command of Slurm, and return what it prints."""
    # a job that sends others would hand on what it knows of itself, such as how often it was put back into the queue
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_") or k in _KEPT}
    try:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise InputError(
            f"{command[0]} is not found; --engine slurm is for a machine with Slurm's commands, such as a login node"
        ) from None
    except subprocess.TimeoutExpired:
        raise InputError(f"{command[0]} does not answer; try again when the cluster's controller runs") from None
    if done.returncode:
        said = done.stderr.strip().removeprefix(f"{command[0]}: ") or f"it ended with status {done.returncode}"
        no_cluster = "\nNo cluster is set up here: use a login node, or let SLURM_CONF name Slurm's configuration file"
        raise InputError(f"{command[0]}: {said}{no_cluster if _NO_CLUSTER.search(said) else ''}")
    return done.stdout
