"""What the user passes on to Slurm: `--slurm-option KEY=VALUE`, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Sequence

from autoseg.errors import InputError

OURS = {
    "array": "autoseg numbers the units of a job array itself",
    "chdir": "a job runs in its RUN folder, by which autoseg finds it",
    "clusters": "set the variable SLURM_CLUSTERS, so that autoseg finds the jobs there",
    "dependency": "autoseg says itself what a job waits for",
    "error": "what a job prints is in RUN/work/logs",
    "job-name": "jobs have the names of their units, by which autoseg finds them",
    "kill-on-invalid-dep": "autoseg sets it, so that no job waits for one that failed",
    "no-requeue": "use --retries 0",
    "open-mode": "what a job prints is added to its log",
    "output": "what a job prints is in RUN/work/logs",
    "parsable": "autoseg reads the number of the job itself",
    "requeue": "autoseg sets it; --retries says how often",
    "test-only": "use --dry-run",
    "wait": "autoseg waits for no job",
    "wrap": "autoseg writes the job's script itself",
}
"""Options of sbatch that a person may not set, and why."""

_KEY = re.compile(r"[a-z][a-z0-9-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_BARE = (
    "contiguous",
    "exclusive",
    "get-user-env",
    "hold",
    "nice",
    "no-kill",
    "overcommit",
    "oversubscribe",
    "propagate",
    "reboot",
    "spread-job",
    "use-min-nodes",
)
"""Options that sbatch takes without a value; any other would take the next line of the script for its value."""

_SIGNAL = re.compile(r"B:USR1@[0-9]{1,5}")


def read_slurm_options(given: Sequence[str]) -> dict[str, str]:
    """Read the values of `--slurm-option`.

    Args:
        given: texts KEY=VALUE, such as `partition=gpu`; KEY is the name of an option of sbatch without its dashes. An
            option without a value, such as `exclusive`, is KEY alone.

    Returns:
        The value of each option, keyed by its name; empty for one without a value.

    Raises:
        InputError: a text is malformed, lacks its value, an option is given twice, or is one that autoseg sets itself.
    """
    options: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.removeprefix("--")
        if _KEY.fullmatch(key) is None or (equals and not value):
            raise InputError(
                f"--slurm-option {text}: it must be KEY=VALUE, such as partition=gpu, with the long name of an option "
                "of sbatch"
            )
        if _VALUE.fullmatch(value) is None or '"' in value or "\\" in value:
            raise InputError(
                f"--slurm-option {key}: its value {value!r} has a sign that does not go into a job's script"
            )
        if key in OURS:
            raise InputError(f"--slurm-option {key}: {OURS[key]}; leave it out")
        if meant := next((name for name in OURS if name.startswith(key)), None):
            raise InputError(f"--slurm-option {key}: sbatch may take it for {meant}; write the option's whole name")
        if not equals and key not in _BARE:
            raise InputError(f"--slurm-option {key}: give a value, {key}=VALUE; without one go {', '.join(_BARE)}")
        if key == "signal" and _SIGNAL.fullmatch(value) is None:
            raise InputError(f"--slurm-option {text}: jobs of autoseg stop at USR1; give signal=B:USR1@SECONDS")
        if key in options:
            raise InputError(f"--slurm-option {key} is given twice")
        options[key] = value
    return options
