"""Measures which share of a part of a prediction is its start: Python, torch, and the models.

    python -m benchmarks.start_up_share RUN IMAGES [--threads N] [--device cpu] [--pairs 3] [--json FILE]

RUN is a RUN folder with finished folds, all of which predict; IMAGES is a folder with at least ten images, a file each,
or a `cases.csv` with at least ten rows.
`autoseg predict` is called for one image and for ten, in turns, as a user calls it. The start ends when the first case
is claimed, which is seen in the folder of the predictions; what remains is divided by the cases. The end, in which
tables are written and the process is left, counts as a part of the start-up that is told: it too comes once a command.
The first call is not counted: it brings libraries and weights into the system's cache. Nothing else may compute
meanwhile.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from autoseg.terminal import open_console
from benchmarks.beside.figures import machine, our_versions
from inference.shared_output import FOLDER

FEW, MANY = 1, 10
PARTS = (8, 32, 128)
"""Numbers of cases of a part of which the share is told."""

GOAL = 0.05
SECONDS_BETWEEN_LOOKS = 0.005


@dataclass(frozen=True)
class Call:
    """What a call of the command took.

    Args:
        cases: number of images.
        before: seconds until the first case was claimed.
        seconds: seconds until the process had ended.
    """

    cases: int
    before: float
    seconds: float


@dataclass(frozen=True)
class Found:
    """What follows from all calls.

    Args:
        before: seconds until the first case is claimed, median.
        start_up: seconds that a command takes beside its cases, at its begin and its end.
        a_case: seconds of a case.
    """

    before: float
    start_up: float
    a_case: float

    def share(self, cases: int) -> float:
        """Share of the start-up of a part of so many cases."""
        return self.start_up / (self.start_up + cases * self.a_case)

    @property
    def cases_for_goal(self) -> int:
        """Least number of cases with which the share is below `GOAL`."""
        return int(self.start_up * (1 - GOAL) / (GOAL * self.a_case)) + 1


def inputs(images: Path, count: int, folder: Path) -> list[Path]:
    """The first images, or a table in a folder with its first rows."""
    if images.is_dir():
        found = sorted(path for path in images.iterdir() if path.is_file())[:count]
        return found if len(found) == count else sys.exit(f"{images}: holds {len(found)} images, and not {count}")
    header, *rows = csv.reader(images.read_text(encoding="utf-8").splitlines())
    if len(rows) < count:
        sys.exit(f"{images}: holds {len(rows)} cases, and not {count}")
    # a table names its files by their paths from its own folder
    beside = images.absolute().parent
    whole = [[str(beside / cell) if cell and (beside / cell).is_file() else cell for cell in row] for row in rows]
    table = folder / f"first_{count}.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *whole[:count]])
    return [table]


def called(run: Path, images: Path, count: int, output: Path, options: Sequence[str]) -> Call:
    """Call the command for the first images, and watch for its first claim."""
    given = map(str, inputs(images, count, output.parent))
    command = [sys.executable, "-m", "autoseg", "predict", str(run), "-i", *given, "-o", str(output)]
    claims, before = output / FOLDER / "cases", float("nan")
    with output.with_suffix(".txt").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen([*command, *options], stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            if before != before and claims.exists():
                before = time.perf_counter() - began
            time.sleep(SECONDS_BETWEEN_LOOKS)
        seconds = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{output.with_suffix('.txt').read_text(encoding='utf-8')}")
    return Call(count, before, seconds)


def found_in(calls: Sequence[Call]) -> Found:
    """Seconds of a case from the calls of many and of one image, and what is left of the latter."""
    few, many = (statistics.median(call.seconds for call in calls if call.cases == n) for n in (FEW, MANY))
    a_case = (many - few) / (MANY - FEW)
    return Found(statistics.median(call.before for call in calls), few - FEW * a_case, a_case)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("images", type=Path, metavar="IMAGES")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pairs", type=int, default=3, help="calls of each number of images")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "measured" / "start_up_share.json")
    given = parser.parse_args(arguments)
    options = ["--threads", str(given.threads), "--device", given.device]
    with tempfile.TemporaryDirectory() as folder:
        called(given.run, given.images, FEW, Path(folder) / "first", options)
        calls = [
            called(given.run, given.images, count, Path(folder) / f"out_{pair}_{count}", options)
            for pair in range(given.pairs)
            for count in (FEW, MANY)
        ]
    found = found_in(calls)
    table = Table("cases of a part", "share of the start-up", title="Start-up of a part of a prediction")
    for cases in PARTS:
        table.add_row(str(cases), f"{found.share(cases):.1%}")
    open_console().print(table)
    print(
        f"{found.before:.1f} s until the first case, {found.start_up:.1f} s of start-up in all, {found.a_case:.2f} s a "
        f"case; below {GOAL:.0%} from {found.cases_for_goal} cases on"
    )
    kept = {
        "name": "start_up_share",
        "machine": machine(),
        "versions": our_versions(),
        "load": os.getloadavg()[1],
        "found": asdict(found),
        "calls": [asdict(call) for call in calls],
    }
    given.json.write_text(json.dumps(kept, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
