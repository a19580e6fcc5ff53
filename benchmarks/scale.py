"""Measures what scheduling costs with many cases and workers: the real code, with a stand-in for the work.

    python -m benchmarks.scale FOLDER [--cases 10 1000 10000 100000] [--workers 1 8 64] [--seconds 120]
        [--what preparation units prediction] [--json FILE]

For each number of cases a data set and a RUN folder are made (`benchmarks.scale_run`). Then are measured: what every
command does first, the units and their states, the begin of a unit that trains; and the claims of preparation and of a
prediction by so many processes of this machine, each of which does its part by autoseg's own functions, where only
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
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from rich.table import Table

import inference.ensemble
from autoseg.commands import do_unit as doing
from autoseg.commands.guards import require_requested_run
from autoseg.commands.raw_data import read_as_recorded
from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.inputs import read_inputs
from autoseg.dataset.record import DatasetRecord
from autoseg.errors import AutosegError
from autoseg.files import replaced_when_done
from autoseg.results import LABEL_MAP, WrittenFile
from autoseg.run_folder.splits import read_splits
from autoseg.terminal import open_console
from autoseg.work.state import States
from autoseg.work.tries import tried
from autoseg.work.units import prepare_unit, train_unit, units_of
from benchmarks.beside.figures import machine, our_versions
from benchmarks.scale_run import CLASSES, Made, add_stand_ins, finish_folds, made, prepare_nothing
from inference import predict as predicting
from inference.case_table import Row as TableRow
from inference.outputs import Outputs
from inference.shared_output import FOLDER, sharing
from planner import preprocess as preprocessing
from planner import preprocess_part as preparing

PARTS = 64
"""Parts of the preparation of which units are told; as many as the most workers."""

TRAINED_ON = 100
"""Cases of the RUN folder that predicts, at most."""

_FORK = multiprocessing.get_context("fork")
_OPENING = {"open", "os.listdir", "os.scandir"}


@dataclass(frozen=True)
class Cost:
    """What something took.

    Args:
        what: what was done.
        cases: number of cases.
        workers: number of processes.
        seconds: wall time; None where it was refused.
        processor: seconds of processor time of all processes.
        opened: number of files and folders that were opened or listed; None = not counted.
        done: cases that were done when it was broken off, from which the seconds are extrapolated; None = it ended.
        note: what else is to be known, such as why it was refused.
    """

    what: str
    cases: int
    workers: int
    seconds: float | None
    processor: float | None = None
    opened: int | None = None
    done: int | None = None
    note: str = ""


def alone(what: str, cases: int, function: Callable[[], object], note: str = "") -> Cost:
    """Measure a function in a process of its own."""
    ours, theirs = _FORK.Pipe(duplex=False)

    def inside() -> None:
        _say_nothing()
        opened = [0]
        sys.addaudithook(lambda event, _: opened.__setitem__(0, opened[0] + (event in _OPENING)))
        began, processor = time.perf_counter(), time.process_time()
        try:
            function()
        except AutosegError as error:
            theirs.send((None, None, None, str(error)))
            return
        theirs.send((time.perf_counter() - began, time.process_time() - processor, opened[0], note))

    process = _FORK.Process(target=inside)
    process.start()
    process.join()
    if process.exitcode or not ours.poll():
        raise RuntimeError(f"{what}: the process ended with {process.exitcode}")
    seconds, processor, count, said = ours.recv()
    return Cost(what, cases, 1, seconds, processor, count, note=said)


def import_what_needs(function: Callable[[], object]) -> None:
    """Import what a function imports where it is called, so that forked processes need not do it each."""
    ours, theirs = _FORK.Pipe(duplex=False)

    def inside() -> None:
        _say_nothing()
        function()
        theirs.send([name for name, module in sys.modules.items() if isinstance(module, ModuleType)])

    process = _FORK.Process(target=inside)
    process.start()
    # so that nothing is waited for where the process fails
    theirs.close()
    for name in ours.recv():
        # some modules are no files of their own
        with suppress(Exception):
            importlib.import_module(name)
    process.join()


def together(
    what: str, cases: int, work: Sequence[Callable[[], object]], done: Callable[[], int], limit: float
) -> Cost:
    """Let processes work at the same time, and measure until the last one ends.

    Args:
        what: what they do.
        cases: number of cases.
        work: what each of them does.
        done: tells how many cases are done.
        limit: seconds after which they are killed.
    """
    begin = _FORK.Event()

    def inside(function: Callable[[], object]) -> None:
        _say_nothing()
        begin.wait()
        function()

    processes = [_FORK.Process(target=inside, args=(function,)) for function in work]
    for process in processes:
        process.start()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    begin.set()
    for process in processes:
        process.join(max(0.0, began + limit - time.perf_counter()))
    seconds, broken_off = time.perf_counter() - began, any(process.is_alive() for process in processes)
    for process in processes:
        process.kill()
        process.join()
    if not broken_off and any(process.exitcode for process in processes):
        raise RuntimeError(f"{what}: a process ended with {[process.exitcode for process in processes]}")
    after, count = resource.getrusage(resource.RUSAGE_CHILDREN), done()
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if not broken_off:
        note = "" if count == cases else f"only {count} cases are done"
        return Cost(what, cases, len(work), seconds, processor, note=note)
    scale = cases / count if count else float("nan")
    note = f"broken off after {seconds:.0f} s"
    return Cost(what, cases, len(work), seconds * scale, processor * scale, done=count, note=note)


def _say_nothing() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


@contextmanager
def _replaced(module: ModuleType, **stand_ins: object) -> Iterator[None]:
    """Put stand-ins in the place of a module's functions while the block runs."""
    former = {name: getattr(module, name) for name in stand_ins}
    try:
        for name, stand_in in stand_ins.items():
            setattr(module, name, stand_in)
        yield
    finally:
        for name, function in former.items():
            setattr(module, name, function)


def of_preparation(many: Made, workers: Sequence[int], limit: float) -> list[Cost]:
    """Claims of preparation by each number of workers, and a part that comes when all is prepared."""
    cases, place, costs = len(many.dataset.cases), many.run.preprocessed("3d"), []
    plan = doing.read_plan(many.run.plan)

    def part(number: int, parts: int, dataset: Dataset = many.dataset, record: DatasetRecord = many.record) -> None:
        preparing.preprocess_part(dataset, plan, "3d", many.run, part=number, parts=parts, workers=1, record=record)

    with _replaced(preprocessing, preprocess_case=prepare_nothing):
        one = replace(many.dataset, cases=many.dataset.cases[:1])
        import_what_needs(lambda: part(0, 1, one, many.record.changed(cases=many.record.cases[:1])))
        for count in workers:
            shutil.rmtree(place, ignore_errors=True)
            work = [partial(part, number, count) for number in range(count)]
            costs.append(together("claims of preparation", cases, work, lambda: _entries(place), limit))
        _prepare_all(many)
        costs.append(alone("a part that finds all prepared", cases, lambda: part(0, 1)))
    return costs


def _prepare_all(many: Made) -> None:
    """Prepare the cases that are not, with as many files as after real preprocessing."""
    plan = doing.read_plan(many.run.plan)
    for task in preparing.tasks_of(many.dataset, plan, "3d", many.run, many.record):
        if not task.folder.exists():
            prepare_nothing(task)
    add_stand_ins(many.run.preprocessed("3d"))


def of_units(many: Made, _workers: Sequence[int], _limit: float) -> list[Cost]:
    """What a command, the list of units, their states and the begin of a training cost, once all is prepared."""
    run, cases = many.run, len(many.dataset.cases)
    _prepare_all(many)
    files, folders = _count(run.path)
    said = f"{files} files and {folders} folders"
    costs = [alone("what every command does first", cases, lambda: require_requested_run(run.path), said)]
    units = [*units_of(run, needs_of_cases=False)] if _tells_less() else []
    costs.append(alone("units, with what each needs", cases, lambda: units_of(run), f"{PARTS} parts"))

    def states() -> None:
        known = States(run)
        for unit in units or units_of(run):
            known.of(unit)

    def begin(fold: int) -> None:
        with _replaced(doing, _do=lambda *_: None):
            doing.do_unit(run, train_unit("3d", fold))

    costs.append(alone("states, prepared by hand", cases, states, "every mark is read"))
    costs.append(alone("begin of a training, prepared by hand", cases, lambda: begin(0), "every mark is read"))
    for part in range(PARTS):
        with tried(run, prepare_unit("3d", part, PARTS)):
            pass
    costs.append(alone("states, prepared by units", cases, states))
    costs.append(alone("begin of a training, prepared by units", cases, lambda: begin(1)))
    costs.append(alone("data set and record, read by each part", cases, lambda: _read_again(many)))
    return costs


def _tells_less() -> bool:
    """Whether units can be told without a look at the cases; earlier commits are measured too."""
    return "needs_of_cases" in (units_of.__kwdefaults__ or {})


def _read_again(many: Made) -> None:
    read_as_recorded(many.images.parent, many.run)


def of_prediction(many: Made, workers: Sequence[int], limit: float) -> list[Cost]:
    """Claims of a prediction by each number of workers, and one that comes when all is predicted."""
    cases, costs = len(many.dataset.cases), list[Cost]()
    # how many cases were trained on is another matter
    run = made(many.run.path.parent / "models", min(cases, TRAINED_ON), 1).run
    finish_folds(run, read_splits(run.splits))
    images = read_inputs([many.images], ("T1",))
    costs.append(alone("images, listed by each command", cases, lambda: read_inputs([many.images], ("T1",))))

    def predict(output: Path, cases: Sequence[Case] = images) -> None:
        problems = predicting.predict_cases(
            run, cases, output, configuration="3d", device="cpu", threads=1, agreement=False
        )
        assert not problems, problems

    stand_ins = {
        "prepare_image": lambda *_: None,
        "predict_image": lambda *_: None,
        "write_outputs": _write_a_few_bytes,
    }
    with (
        _replaced(predicting, **stand_ins),
        _replaced(inference.ensemble, load_network=lambda *_: torch.nn.Identity()),
    ):
        import_what_needs(lambda: predict(many.run.path.parent / "first", images[:1]))
        shutil.rmtree(many.run.path.parent / "first")
        for count in workers:
            output = many.run.path.parent / f"predicted_{count}"
            # somebody who takes part from the beginning to the end, so that what is done stays known
            with sharing(output, "another job"):
                marks = output / FOLDER / "done"
                work = [partial(predict, output)] * count
                # a mark lies in the folder of its job, and in earlier commits beside the others
                costs.append(together("claims of prediction", cases, work, partial(_files, marks), limit))
                if costs[-1].done is None:
                    said = "{} files and {} folders while it runs".format(*_count(output))
                    late = "a prediction that finds all predicted"
                    costs.append(alone(late, cases, partial(predict, output), said))
            shutil.rmtree(output)
    return costs


def _write_a_few_bytes(
    outputs: Outputs, _models: object, _image: object, case: Case, target: Path, _tell: object
) -> None:
    """Stand-in for the writing of a prediction: a small file, and a row for each class."""
    outputs.measurements.begin(case.name)
    with replaced_when_done(target) as temporary:
        temporary.write_bytes(b"label map")
    outputs.wrote(WrittenFile(case.name, LABEL_MAP, target))
    numbers = (1000, "1.0", 1, "10", "10", "0.9", "", "")
    outputs.measurements.add(
        case.name, [TableRow((case.name, name, *numbers, str(case.first_image))) for name in CLASSES]
    )


def _entries(folder: Path) -> int:
    """Number of entries of a folder that are not hidden; 0 where there is none."""
    return sum(not entry.name.startswith(".") for entry in folder.iterdir()) if folder.is_dir() else 0


def _files(folder: Path) -> int:
    """Number of files in a folder, at any depth."""
    return _count(folder)[0]


def _count(folder: Path) -> tuple[int, int]:
    """Number of files and of folders in a folder, at any depth."""
    walked = [(len(files), len(folders)) for _, folders, files in os.walk(folder)]
    return sum(files for files, _ in walked), sum(folders for _, folders in walked)


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


MEASURES = {"preparation": of_preparation, "units": of_units, "prediction": of_prediction}


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
