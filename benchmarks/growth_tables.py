"""Measures how time and memory grow with the length of tables, lists and pages.

    python -m benchmarks.growth_tables [--seconds SECONDS] [ROW ...]

Each row makes its input at three sizes, each twice as large as the one before, and runs one part of autoseg on it in a
process of its own. It prints seconds, the peak of memory above that of the imports, and the exponent of growth: 1 is
linear, 2 is quadratic. A part that takes longer than SECONDS is stopped, and its row says so.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.errors import AutosegError
from autoseg.terminal import open_console
from benchmarks.process import own_peak_bytes

MIB = 2**20
SPAWN = multiprocessing.get_context("spawn")
Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One row of the benchmark.

    Args:
        what: what grows in this row, in words.
        prepare: function of folder and size that makes the input, and returns what is timed.
        sizes: numbers of what grows, smallest first; three of them.
    """

    what: str
    prepare: Callable[[Path, int], Work]
    sizes: tuple[int, int, int]


@dataclass(frozen=True)
class Took:
    """Time in seconds and memory in MiB of one size; None = stopped."""

    seconds: float
    mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)} [default: all]")
    parser.add_argument("--seconds", type=float, default=60, help="longest time of one size")
    options = parser.parse_args()
    console = open_console()
    console.print(" | ".join(("row", "what grows", "sizes", "s", "MiB", "exponent of time", "of memory")))
    for name in options.rows or ROWS:
        row = ROWS[name]
        took = [measured(name, size, options.seconds) for size in row.sizes]
        seconds = [None if one is None else one.seconds for one in took]
        mib = [None if one is None else one.mib for one in took]
        cells = (
            ", ".join(f"{size:,}" for size in row.sizes),
            ", ".join(f"> {options.seconds:g}" if one is None else f"{one:.2f}" for one in seconds),
            ", ".join("–" if one is None else f"{one:.0f}" for one in mib),
        )
        # each row at once, since some take long
        console.print(" | ".join((name, row.what, *cells, exponent(row.sizes, seconds), exponent(row.sizes, mib))))


def measured(name: str, size: int, seconds: float) -> Took | None:
    """Time and memory of one size in a process of its own; None if it took longer than `seconds`."""
    ours, theirs = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=_measure, args=(theirs, name, size))
    process.start()
    theirs.close()
    try:
        # the input is made and the libraries are imported first, which is not timed
        ours.recv()
        return Took(*ours.recv()) if ours.poll(seconds) else None
    finally:
        process.kill()
        process.join()


def exponent(sizes: tuple[int, int, int], values: list[float | None]) -> str:
    """Exponent of growth from the smallest to the largest size, as text; `–` where a value is too small or missing."""
    first, last = values[0], values[-1]
    if first is None or last is None or first < 0.005 or last < 0.005:
        return "–"
    return f"{math.log(last / first) / math.log(sizes[-1] / sizes[0]):.1f}"


def _measure(connection, name: str, size: int) -> None:  # type: ignore[no-untyped-def]
    with tempfile.TemporaryDirectory() as folder:
        work = ROWS[name].prepare(Path(folder), size)
        before = own_peak_bytes()
        connection.send(None)
        start = time.perf_counter()
        with suppress(AutosegError):
            work()
        connection.send((time.perf_counter() - start, (own_peak_bytes() - before) / MIB))


def wrong_entries(folder: Path, size: int) -> Work:
    """A `dataset.json` whose every entry is wrong."""
    from autoseg.dataset.read import read_dataset

    document = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "a"}, "training": [{"image": 1}] * size}
    (folder / "dataset.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    return lambda: read_dataset(folder)


def shared_files(folder: Path, size: int) -> Work:
    """A `cases.csv` whose rows all name the same files."""
    from autoseg.dataset.read import read_dataset

    (folder / "a.nii.gz").touch()
    rows = [f"case_{i},a.nii.gz,a.nii.gz,{i}" for i in range(size)]
    (folder / "cases.csv").write_text("\n".join(["case,T1,label,age", *rows]), encoding="utf-8")
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "a": 1}}), encoding="utf-8")

    def read() -> None:
        dataset = read_dataset(folder)
        # the problems are told together
        "\n".join(problem for case in dataset.cases for problem in case.problems)

    return read


def table_rows(folder: Path, size: int) -> Work:
    """A `cases.csv` with files of its own for each case, and a column that names a folder beside the table."""
    from autoseg.dataset.read import read_dataset

    (folder / "images").mkdir()
    for i in range(size):
        (folder / "images" / f"{i}.nii.gz").touch()
    rows = [f"case_{i},images/{i}.nii.gz,images/{i}.nii.gz,images" for i in range(size)]
    (folder / "cases.csv").write_text("\n".join(["case,T1,label,site", *rows]), encoding="utf-8")
    (folder / "dataset.json").write_text(
        json.dumps({"labels": {"background": 0, "a": 1}, "channel_names": {"0": "T1"}}), encoding="utf-8"
    )

    def read() -> None:
        from autoseg.dataset.csv_rows import read_table

        read_table(folder / "cases.csv").sequence_columns()
        with suppress(AutosegError):
            read_dataset(folder)

    return read


def components(folder: Path, size: int) -> Work:
    """Post-processing of a label map with so many lesions, each predicted."""
    from inference.selection import post_processing_outcomes

    side = round(size ** (1 / 3))
    shape = (3 * side,) * 3
    truth = np.zeros(shape, bool)
    truth[1::3, 1::3, 1::3] = True
    own = np.where(truth, 0.9, 0.01).astype(np.float32)
    whole = tuple(slice(0, n) for n in shape)
    spacing = (1.0, 1.0, 1.0)
    return lambda: post_processing_outcomes._outcomes(own, 1 - own, truth, whole, spacing)


def folder_of_images(folder: Path, size: int) -> Work:
    """The images that `evaluate --images` shows: as many cases as the folder has files."""
    from inference.compare import Pair
    from inference.evaluation import evaluate

    for i in range(size):
        (folder / f"case_{i}_0000.nii.gz").touch()
    pairs = [Pair(f"case_{i}", folder, folder) for i in range(size)]
    return lambda: evaluate._backgrounds(pairs, folder)


def strata(folder: Path, size: int) -> Work:
    """The summary of a run whose cases have each a stratum of their own."""
    from autoseg.metrics import summarize

    rows = case_rows(size, 2)
    values = {row.case: {"identity": row.case} for row in rows}
    return lambda: summarize(rows, dataset="benchmark", strata=values)


def report_page(folder: Path, size: int) -> Work:
    """The page of a report: 300 cases and so many classes; the size of the page counts as memory does."""
    from autoseg.metrics import summarize
    from inference.report.page import page

    rows = case_rows(300, size)
    summary = summarize(rows, dataset="benchmark")
    return lambda: page(summary, rows, pictures=[], facts=None, folds={})


def folds(folder: Path, size: int) -> Work:
    """The strata that folds are drawn by, of so many cases in groups of five."""
    from autoseg.dataset.case import Case
    from planner.splits import strata_of

    class NoFingerprint:
        cases = ()

    cases = [Case(str(i), (Path(str(i)),), strata={"site": str(i // 5)}) for i in range(size)]
    return lambda: strata_of(cases, NoFingerprint(), 5)  # type: ignore[arg-type]


def series_of_a_folder(folder: Path, size: int) -> Work:
    """The files of so many series in one folder, each chosen by its number, with ten slices each."""
    from autoseg.image.dicom.sources import files_of
    from benchmarks.dicom import write_series

    for number in range(size):
        write_series(folder, slices=10, number=number, size=4)
    return lambda: [files_of(Path(f"{folder}?series={number}")) for number in range(size)]


def case_rows(cases: int, classes: int) -> list:
    """Metrics of so many cases and classes, drawn at random."""
    from autoseg.metrics import CaseMetrics
    from autoseg.metrics.lesions import Lesion, LesionMatch
    from autoseg.metrics.surface import SurfaceMetrics
    from autoseg.metrics.voxel import Counts

    random = np.random.default_rng(0)

    def row(case: int, index: int) -> CaseMetrics:
        tp, fp, fn = (int(n) for n in random.integers(50, 5000, 3))
        surface = SurfaceMetrics(float(random.uniform(1, 20)), float(random.uniform(0.3, 1)))
        lesion = Lesion(*(float(random.uniform(0.1, 1)) for _ in range(5)))
        counts = Counts(tp, fp, fn, 10**6 - tp - fp - fn)
        return CaseMetrics(f"case_{case:05d}", f"class {index}", 0.001, counts, surface, LesionMatch((lesion,), 1, 0))

    return [row(case, index) for case in range(cases) for index in range(classes)]


ROWS: dict[str, Row] = {
    "dataset-errors": Row("wrong entries of dataset.json", wrong_entries, (250, 500, 1000)),
    "shared-files": Row("rows of cases.csv with the same files", shared_files, (1250, 2500, 5000)),
    "table": Row("rows of cases.csv, a column that names a folder", table_rows, (500, 1000, 2000)),
    "components": Row("components in post-processing", components, (13**3, 17**3, 34**3)),
    "images": Row("files beside evaluate", folder_of_images, (250, 500, 1000)),
    "strata": Row("strata of a report", strata, (500, 1000, 2000)),
    "folds": Row("cases that folds are drawn for", folds, (5000, 10000, 20000)),
    "series": Row("series of one folder, ten files each", series_of_a_folder, (25, 50, 100)),
    "report": Row("classes of a report of 300 cases", report_page, (5, 10, 20)),
}


if __name__ == "__main__":
    main()
