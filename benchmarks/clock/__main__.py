"""What becomes of a time budget, on a quiet machine and on others: one table, and benchmarks/CLOCK.md.

    python -m benchmarks.clock --data DATA --folder FOLDER [--before PYTHON] [ROW ...]

`planning`, `quiet`, `beside`, `between`, `two` and `killed` are runs on the synthetic spines of `autoseg demo`, of six
minutes each: every core busy with other programs until the plan is there; nobody else; another program throughout;
another in the second third; two runs of three minutes beside each other; `planning` and `beside` again, killed five
times. `before-after` compares this checkout with another, on the real data sets in DATA (hippocampus40, abdomen20),
five and twenty minutes each: PYTHON is the interpreter of an environment in which the other is installed. A
comparison that misses its limit is repeated with further `--seeds`, and pooled.

Each row is measured once and kept in benchmarks/measured/clock; given again, the command measures what is missing, and
`--again` the rows that are named, of `before-after` what is ours. Runs and logs are in FOLDER, where what has ended is
not done again; `before-DATASET-MINUTES` and `after-DATASET-MINUTES` there may have been run by hand. Nothing else may
compute meanwhile: before each run that is timed the machine is looked at.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from autoseg.files import write_text
from autoseg.terminal import open_console
from benchmarks.clock import before_after, disturbed, killed, two
from benchmarks.clock.bench import Bench
from benchmarks.clock.program import Program
from benchmarks.clock.table import HEADS, Found, Row, as_markdown, read_row, write_row

RESULTS = Path(__file__).parent.parent / "CLOCK.md"
MEASURED = Path(__file__).parent.parent / "measured" / "clock"


@dataclass(frozen=True)
class Kind:
    """A row of the table.

    Args:
        measure: gives its lines and runs.
        own: pattern of the names of the RUN folders that are made anew where it is measured again.
        options: those of the command that it depends on: with others it is put together anew.
    """

    measure: Callable[[Bench], Found]
    own: str
    options: Callable[[Bench], str] = lambda bench: ""


ROWS = {
    "planning": Kind(disturbed.planning, "planning"),
    "quiet": Kind(disturbed.quiet, "quiet"),
    "beside": Kind(disturbed.beside, "beside*"),
    "between": Kind(disturbed.between, "between"),
    "two": Kind(two.two, "two-*"),
    "killed": Kind(killed.killed, "killed-*", lambda bench: f"folds {bench.replayed_folds}"),
    "before-after": Kind(before_after.before_after, "after-*", lambda bench: f"seeds {bench.seeds}"),
}


def main() -> None:
    options = parse()
    # what was started is ended in every `finally`
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    bench = Bench(
        data=options.data.resolve(),
        folder=options.folder.resolve(),
        measured=MEASURED,
        ours=Program(Path(sys.executable)),
        # an environment's interpreter is a link, which tells where the environment is
        before=None if options.before is None else Program(options.before.absolute(), ours=False),
        seeds=tuple(options.seeds),
        replayed_folds=tuple(options.replayed_folds),
    )
    measure(bench, options.rows, again=options.again)
    show(kept_rows(bench))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.clock", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)} [default: all]")
    parser.add_argument("--data", type=Path, required=True, help="folder of hippocampus40 and abdomen20")
    parser.add_argument("--folder", type=Path, default=Path("benchmark_runs/clock"), help="for runs and logs")
    parser.add_argument("--before", type=Path, help="interpreter with the autoseg that this one is compared with")
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[before_after.PLANS_SEED],
        help="of the comparison; all but the first where it misses its limit",
    )
    parser.add_argument(
        "--replayed-folds", type=int, nargs="+", default=list(range(5)), help="of killed runs [default: all]"
    )
    parser.add_argument("--again", action="store_true", help="measure rows again")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    return options


def measure(bench: Bench, names: list[str], *, again: bool) -> None:
    """Measure what is missing, or all that is named, and write the table after every row."""
    for name in names or ROWS if again else ():
        bench.forget(ROWS[name].own)
        bench.row_file(name).unlink(missing_ok=True)
    for name in names or ROWS:
        path = bench.row_file(name)
        if not path.exists() or read_row(path).options != ROWS[name].options(bench):
            write_row(path, row_of(name, bench))
        write_table(bench)


def row_of(name: str, bench: Bench) -> Row:
    """A row, of the runs that there are and those that are missing."""
    kind = ROWS[name]
    figures, runs = kind.measure(bench)
    return Row(
        name=name,
        options=kind.options(bench),
        machine=runs[-1].machine,
        versions=runs[-1].versions,
        date=runs[-1].date,
        figures=tuple(figures),
        runs=tuple(runs),
    )


def write_table(bench: Bench) -> None:
    """Write benchmarks/CLOCK.md."""
    rows = kept_rows(bench)
    missing = [name for name in ROWS if name not in {row.name for row in rows}]
    write_text(RESULTS, f"# What becomes of a time budget\n\n{as_markdown(rows, missing)}")


def kept_rows(bench: Bench) -> list[Row]:
    """Those that were measured."""
    return [read_row(bench.row_file(name)) for name in ROWS if bench.row_file(name).exists()]


def show(rows: list[Row]) -> None:
    table = Table(*HEADS)
    for row in rows:
        for line in row.figures:
            table.add_row(*(cell.replace("**", "") for cell in line.cells(row.name)))
    open_console().print(table)


if __name__ == "__main__":
    main()
