"""`python -m tests.torture`: every kind of rough treatment, hundreds of times.

python -m tests.torture                       all kinds in full, about an hour on two cores
python -m tests.torture kills bytes --count 20 --seed 3
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.torture.outcome import Outcome

FULL = {"kills": 200, "bytes": 200, "plan_edits": 200, "images": 500}
"""The kinds, which are modules of this package with a function `attempts`, and how often each is tried."""


def main() -> int:
    """Try what was asked for; print each fault, and the counts of each kind. The exit status is 1 after a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"some of {', '.join(FULL)}; all if none is named")
    parser.add_argument("--count", type=int, help="how often each kind is tried")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    faults = 0
    for kind in given.kinds or FULL:
        module = importlib.import_module(f"tests.torture.{kind}")
        with tempfile.TemporaryDirectory(prefix=f"torture-{kind}-") as folder:
            outcomes = itertools.islice(module.attempts(Path(folder), given.seed), given.count or FULL[kind])
            faults += _tell(kind, outcomes)
    return int(faults > 0)


def _tell(kind: str, outcomes: itertools.islice[Outcome]) -> int:
    """Print each outcome that is a fault, and the counts; return the number of faults."""
    counts: Counter[str] = Counter()
    for number, outcome in enumerate(outcomes):
        counts[outcome.verdict] += 1
        if outcome.verdict == "fault":
            print(f"{kind} {number}: {outcome.what}\n    {outcome.ending}", flush=True)
        elif sys.stdout.isatty():
            print(f"{kind} {number}: {outcome.verdict}", end="\r", flush=True)
    print(f"{kind}: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())), flush=True)
    return counts["fault"]


if __name__ == "__main__":
    sys.exit(main())
