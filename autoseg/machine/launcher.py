"""Whether torch's launcher (`torchrun`) started this process, and as which of several; torch itself is not loaded."""

from __future__ import annotations

import os


def rank_of_launcher() -> int | None:
    """Number of this process among those that torch's launcher started, from 0; None where it was started otherwise.

    The launcher tells it by variables of the environment, which is its own protocol.
    """
    return int(os.environ.get("RANK", "0")) if "TORCHELASTIC_RUN_ID" in os.environ else None


def leads_launch() -> bool:
    """Whether this process is the first of those that torch's launcher started, or was started alone."""
    return rank_of_launcher() in (None, 0)
