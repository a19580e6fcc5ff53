"""The parts of scheduling that `benchmarks.scale` measures: claims of preparation and prediction, units and states."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

import inference.ensemble
from autoseg.commands import do_unit as doing
from autoseg.commands.guards import require_requested_run
from autoseg.commands.raw_data import read_as_recorded
from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.inputs import read_inputs
from autoseg.dataset.record import DatasetRecord
from autoseg.files import replaced_when_done
from autoseg.results import LABEL_MAP, WrittenFile
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.work.request import MOST_PARTS
from autoseg.work.state import States
from autoseg.work.tries import tried
from autoseg.work.units import prepare_unit, train_unit, units_of
from benchmarks.scale_costs import Cost, alone, import_what_needs, replaced, together
from benchmarks.scale_run import CLASSES, Made, add_stand_ins, finish_folds, made, prepare_nothing
from inference import predict as predicting
from inference.case_table import Row as TableRow
from inference.lasting_marks import FOLDER as MARKS
from inference.lasting_marks import digest_of
from inference.outputs import Outputs
from inference.part_of_many import PartOfMany
from inference.shared_output import sharing
from planner import preprocess as preprocessing
from planner import preprocess_part as preparing

PARTS = 64
"""Parts of the preparation of which units are told; as many as the most workers."""

TRAINED_ON = 100
"""Cases of the RUN folder that predicts, at most."""


def of_preparation(many: Made, workers: Sequence[int], limit: float) -> list[Cost]:
    """Claims of preparation by each number of workers, and a part that comes when all is prepared."""
    cases, place, costs = len(many.dataset.cases), many.run.preprocessed("3d"), []
    plan = doing.read_plan(many.run.plan)

    def part(number: int, parts: int, dataset: Dataset = many.dataset, record: DatasetRecord = many.record) -> None:
        preparing.preprocess_part(dataset, plan, "3d", many.run, part=number, parts=parts, workers=1, record=record)

    with replaced(preprocessing, preprocess_case=prepare_nothing):
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
        with replaced(doing, _do=lambda *_, **__: None):
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
    """Claims of a prediction by commands that each have all cases, and one that comes when all is predicted."""
    with _stand_ins(many) as predict:
        costs = [_listed(many)]
        for count in workers:
            costs += _claimed(
                many, "claims of prediction, all cases each", [predict] * count, limit, afterwards=predict
            )
    return costs


def of_parts(many: Made, workers: Sequence[int], limit: float) -> list[Cost]:
    """Claims of a prediction by the parts of an engine, each of which has its own cases."""
    costs, alike = list[Cost](), PartOfMany(digest_of("models and options"), tuple)
    with _stand_ins(many) as predict:
        for count in workers:
            parts = [partial(predict, part=(number, count), of_many=alike) for number in range(count)]
            costs += _claimed(many, "claims of prediction, a part each", parts, limit)
        shortest, output = partial(predict, part=(0, MOST_PARTS), of_many=alike), many.run.path.parent / "shortest"
        costs.append(alone(f"one of {MOST_PARTS} parts, alone", len(many.dataset.cases), lambda: shortest(output)))
    return costs


def _listed(many: Made) -> Cost:
    cases = len(many.dataset.cases)
    return alone("images, listed by each command", cases, lambda: read_inputs([many.images], ("T1",)))


@contextmanager
def _stand_ins(many: Made) -> Iterator[Callable[..., None]]:
    """A prediction of all cases, or a part, in which nothing is computed; it takes the folder of its predictions."""
    # how many cases were trained on is another matter
    run = made(many.run.path.parent / "models", min(len(many.dataset.cases), TRAINED_ON), 1).run
    finish_folds(run, read_splits(run.splits))
    images, first = read_inputs([many.images], ("T1",)), many.run.path.parent / "first"
    stand_ins = {
        "prepare_image": lambda *_: None,
        "predict_image": lambda *_: None,
        "write_outputs": _write_a_few_bytes,
    }
    with (
        replaced(predicting, **stand_ins),
        replaced(inference.ensemble, load_network=lambda *_: torch.nn.Identity()),
    ):
        import_what_needs(lambda: _predict(run, images[:1], first))
        shutil.rmtree(first)
        yield partial(_predict, run, images)
    shutil.rmtree(run.path.parent)


def _predict(
    run: RunFolder,
    cases: Sequence[Case],
    output: Path,
    part: tuple[int, int] = (0, 1),
    of_many: PartOfMany | None = None,
) -> None:
    problems = predicting.predict_cases(
        run, cases, output, configuration="3d", device="cpu", threads=1, agreement=False, part=part, of_many=of_many
    )
    assert not problems, problems


def _claimed(
    many: Made,
    what: str,
    work: Sequence[Callable[[Path], None]],
    limit: float,
    afterwards: Callable[[Path], None] | None = None,
) -> list[Cost]:
    """Predictions of several processes into one folder, and one that comes when all is predicted."""
    output, cases = many.run.path.parent / "predicted", len(many.dataset.cases)
    # somebody who takes part from the beginning to the end, so that what is done stays known
    with sharing(output, "another job"):
        marks = output / MARKS / "done"
        # a mark lies in the folder of its job, and in earlier commits beside the others
        costs = [together(what, cases, [partial(each, output) for each in work], partial(_files, marks), limit)]
        if costs[0].done is None and costs[0].seconds is not None and afterwards is not None:
            said = "{} files and {} folders while it runs".format(*_count(output))
            late = partial(afterwards, output)
            costs.append(alone("a prediction that finds all predicted", cases, late, said))
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
