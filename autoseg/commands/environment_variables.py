"""Repairs environment variables that libraries read while they are imported, and that would end a command there."""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping

THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Variables that hold a number of threads, or, in OpenMP's, one for each nested level."""


def repair_thread_counts(variables: MutableMapping[str, str] = os.environ) -> list[str]:
    """Remove numbers of threads that are none, and keep the first of several.

    Args:
        variables: environment variables by name, which are changed; those of this process and its children.

    Returns:
        A sentence for each variable that was removed.
    """
    told = []
    for name in THREAD_COUNTS:
        if (value := variables.get(name)) is None:
            continue
        if first := re.match(r"\s*([1-9]\d{0,4})\s*(,|$)", value):
            variables[name] = first[1]
        else:
            del variables[name]
            told.append(f"{name}={value} is no number of threads and is ignored")
    return told
