"""Measures what scheduling costs with many cases and workers: the real code, with a stand-in for the work.

    python -m benchmarks.scale FOLDER [--cases 10 1000 10000 100000] [--workers 1 8 64] [--seconds 120]
        [--what preparation units prediction parts] [--json FILE]

For each number of cases a data set and a RUN folder are made (`benchmarks.scale_run`). Then are measured: what every
command does first, the units and their states, the begin of a unit that trains; and the claims of preparation and of a
prediction by so many processes of this machine, each of which does its work by autoseg's own functions, where only
preprocessing, the network, and the writing of a label map are replaced by the writing of a few bytes. Last comes a
process that finds all done. Processor time is that of all processes together: on a cluster each worker has its own
machine, and what counts is that time divided by the workers.

"opened" is the number of files and folders that were opened or listed; with a server of files each costs a question or
two. A row of more than --seconds is broken off, and its time extrapolated from the cases that were done, which is
marked. FOLDER should be on the kind of disk that is asked about, and is emptied afterwards. Linux alone, since the
processes are forked.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from autoseg.errors import AutosegError
from autoseg.terminal import open_console
from benchmarks.beside.figures import machine, our_versions
from benchmarks.scale_costs import Cost
from benchmarks.scale_measures import PARTS, of_parts, of_prediction, of_preparation, of_units
from benchmarks.scale_run import made

MEASURES = {"preparation": of_preparation, "units": of_units, "prediction": of_prediction, "parts": of_parts}


def measured(folder: Path, cases: int, workers: Sequence[int], limit: float, what: Sequence[str]) -> list[Cost]:
    """Measure with so many cases; what autoseg refuses is noted, and what needs it left out.

    Args:
        folder: where data set and RUN folder are made.
        cases: number of cases.
        workers: numbers of processes.
        limit: seconds after which a row of several processes is broken off.
        what: which of `MEASURES`.
    """
    costs, place = list[Cost](), folder / f"cases_{cases}"
    shutil.rmtree(place, ignore_errors=True)
    try:
        began = time.perf_counter()
        many = made(place, cases, PARTS)
        print(f"{cases} cases made in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        for name in what:
            try:
                costs += MEASURES[name](many, workers, limit)
            except AutosegError as error:
                costs.append(Cost("refused", cases, 1, None, note=str(error)))
            print(f"{cases} cases: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return costs


def table_of(costs: Sequence[Cost]) -> Table:
    """The costs as a table."""
    table = Table("what", "cases", "workers", "s", "processor s", "a case: ms", "opened", "")
    for cost in costs:
        a_case = None if cost.processor is None else 1000 * cost.processor / cost.cases
        numbers = (_told(cost.seconds, 2), _told(cost.processor, 2), _told(a_case, 3))
        marked = "~" if cost.done is not None else ""
        table.add_row(
            cost.what,
            f"{cost.cases:,}",
            str(cost.workers),
            *(f"{marked}{number}" for number in numbers),
            "" if cost.opened is None else f"{cost.opened:,}",
            cost.note,
        )
    return table


def _told(number: float | None, digits: int) -> str:
    return "" if number is None else f"{number:.{digits}f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table for each number of cases, and keep all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where data set and RUN folder are made")
    parser.add_argument("--cases", type=int, nargs="+", default=[10, 1_000, 10_000, 100_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--what", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--seconds", type=float, default=120.0, help="after which a row of several workers ends")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "measured" / "scale.json")
    given = parser.parse_args(arguments)
    costs = list[Cost]()
    for cases in given.cases:
        of_these = measured(given.folder, cases, given.workers, given.seconds, given.what)
        costs += of_these
        open_console().print(table_of(of_these))
        kept = {
            "name": "scale",
            "machine": machine(),
            "versions": our_versions(),
            "load": os.getloadavg()[1],
            "rows": [asdict(cost) for cost in costs],
        }
        given.json.write_text(json.dumps(kept, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
