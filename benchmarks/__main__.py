"""Compares autoseg with nnU-Net v2 on the same machine and data; writes a table and benchmarks/RESULTS.md.

    python -m benchmarks --data DATA --nnunet ENVIRONMENT [--folder FOLDER] [ROW ...]

DATA holds the folders hippocampus40 and abdomen20. ENVIRONMENT is a virtual environment in which an unmodified
nnU-Net v2 is installed (`pip install nnunetv2`). Each row is measured once and kept in benchmarks/measured. The same
command again measures the missing rows only; with `--again` it measures all rows that are named. Runs and logs are
in FOLDER. Nothing else may compute on the machine meanwhile.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.table import Table

from autoseg.files import write_text
from autoseg.terminal import open_console
from benchmarks.beside import augmentation, curve, export, iteration, predict, predict_memory, preprocess, size
from benchmarks.beside.bench import DATASETS, Bench
from benchmarks.beside.figures import HEADS, Figure, Row, as_markdown, machine, our_versions, read_row, write_row
from benchmarks.beside.rival import Rival

BY_HAND = "## In short"
"""Heading in RESULTS.md; the text from it to the end is written by hand, and is kept."""

RESULTS = Path(__file__).parent / "RESULTS.md"
MEASURED = Path(__file__).parent / "measured"
BY_DATASET = {"preprocess": preprocess, "iteration": iteration, "curve": curve, "predict": predict}
ROWS: dict[str, Callable[[Bench], list[Figure]]] = {
    f"{name}-{dataset}": partial(module.figures, name=dataset)
    for name, module in BY_DATASET.items()
    for dataset in DATASETS
} | {
    "augmentation": augmentation.figures,
    "predict_memory": predict_memory.figures,
    "export": export.figures,
    "size": size.figures,
}


def main() -> None:
    options = parse()
    folder: Path = options.folder.resolve()
    bench = Bench(
        data=options.data.resolve(),
        folder=folder,
        measured=MEASURED,
        rival=Rival(options.nnunet.absolute(), folder / "nnunet"),
        most_epochs=options.most_epochs,
        most_minutes=options.most_minutes,
    )
    for name in options.rows or ROWS:
        path = bench.row_file(name)
        if options.again or not path.exists():
            versions = our_versions() | bench.rival.versions
            figures = tuple(ROWS[name](bench))
            write_row(path, Row(name=name, machine=machine(), versions=versions, figures=figures))
    measured = [name for name in ROWS if bench.row_file(name).exists()]
    rows = [read_row(bench.row_file(name)) for name in measured]
    missing = [name for name in ROWS if name not in measured]
    before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    by_hand = "".join(before.partition(BY_HAND)[1:])
    write_text(RESULTS, f"# autoseg beside nnU-Net v2\n\n{as_markdown(rows, missing).rstrip()}\n\n{by_hand}")
    show(rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)} [default: all]")
    parser.add_argument("--data", type=Path, required=True, help="folder of hippocampus40 and abdomen20")
    parser.add_argument("--nnunet", type=Path, required=True, help="virtual environment of nnU-Net v2")
    parser.add_argument("--folder", type=Path, default=Path("benchmark_runs"), help="for runs and logs")
    parser.add_argument(
        "--most-epochs",
        type=int,
        default=20,
        help="longest of nnU-Net's trainers to run; 20 epochs take over two hours",
    )
    parser.add_argument(
        "--most-minutes", type=float, default=16, help="longest of autoseg's budgets for a fold in the curve"
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="measure rows again; of the curve what is missing",
    )
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    return options


def show(rows: list[Row]) -> None:
    table = Table(*HEADS)
    for row in rows:
        for figure in row.figures:
            table.add_row(*figure.cells())
    open_console().print(table)


if __name__ == "__main__":
    main()
