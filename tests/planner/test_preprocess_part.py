"""Processes share the cases of a configuration: each is made once, and that of a dead process by another one."""

import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.dataset.fingerprint import write_fingerprint
from autoseg.dataset.read import read_dataset
from autoseg.dataset.record import record_of
from autoseg.errors import DatasetError
from autoseg.run_folder.lock import locked_if_free
from autoseg.run_folder.lock_holder import COUNT, Watch
from autoseg.run_folder.paths import RunFolder
from planner import preprocess as module
from planner.claims import do_each
from planner.fingerprint import measure_fingerprint
from planner.preprocess import follows_plan, grid_of, preprocess_dataset
from planner.preprocess_part import _measured_grids, preprocess_part
from tests.autoseg.small_dataset import make_dataset
from tests.example_plan import example_plan
from tests.words import on_one_line

PATIENCE = 1.0


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_dataset(make_dataset(tmp_path_factory.mktemp("data") / "balls", cases=4))


@pytest.fixture
def plan(dataset, tmp_path):
    return example_plan(labels=dataset.labels)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture
def made(monkeypatch):
    """Names of the cases that were preprocessed, each as often as it was."""
    names = []
    real = module.preprocess_case

    def counted(task):
        names.append(task.case.name)
        return real(task)

    monkeypatch.setattr(module, "preprocess_case", counted)
    return names


def part(dataset, plan, run, number, parts=2, **options):
    record = record_of(dataset, workers=1)
    preprocess_part(dataset, plan, "3d", run, part=number, parts=parts, workers=1, record=record, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_parts_at_the_same_time_make_each_case_once_and_the_same_as_one_process(dataset, plan, run, tmp_path, made):
    parts = [threading.Thread(target=part, args=(dataset, plan, run, number)) for number in range(2)]
    for one in parts:
        one.start()
    for one in parts:
        one.join(timeout=120)
    assert sorted(made) == [f"ball_{number}" for number in range(4)]
    whole = RunFolder(tmp_path / "whole")
    preprocess_dataset(dataset, plan, "3d", whole, workers=1)
    assert contents(run.preprocessed("3d")) == contents(whole.preprocessed("3d"))


def test_a_whole_data_set_beside_parts_makes_each_case_once(dataset, plan, run, made):
    both = [
        threading.Thread(target=part, args=(dataset, plan, run, 0, 1)),
        threading.Thread(target=preprocess_dataset, args=(dataset, plan, "3d", run), kwargs={"workers": 1}),
    ]
    for one in both:
        one.start()
    for one in both:
        one.join(timeout=120)
    assert sorted(made) == [f"ball_{number}" for number in range(4)]
    assert sorted(path.name for path in run.preprocessed("3d").iterdir()) == sorted(made)


def test_a_whole_data_set_waits_for_the_case_of_a_process_that_lives(dataset, plan, run, made, capsys):
    def give_up():
        until = time.monotonic() + 60
        while "ball_3" not in made and time.monotonic() < until:
            time.sleep(0.02)
        assert "ball_1" not in made
        shutil.rmtree(holder)

    with locked_if_free(run.case("3d", "ball_1"), "preprocessing a case", Watch()) as holder:
        giving_up = threading.Thread(target=give_up)
        giving_up.start()
        preprocess_dataset(dataset, plan, "3d", run, workers=1)
        giving_up.join()
    assert made == ["ball_0", "ball_2", "ball_3", "ball_1"]
    assert "1 case is prepared by other processes; waits for them" in on_one_line(capsys.readouterr().err)


def test_a_part_begins_at_its_place_and_takes_what_is_left(dataset, plan, run, made):
    part(dataset, plan, run, 1)
    assert made == ["ball_2", "ball_3", "ball_0", "ball_1"]
    part(dataset, plan, run, 0)
    assert len(made) == 4


def elsewhere(run: RunFolder, case: str) -> Path:
    """The file with the count of a process of another machine that is at a case."""
    holder = run.preprocessed("3d") / f".{case}.held" / f"{'0' * 8}.1.1.{'0' * 8}"
    holder.mkdir(parents=True)
    (holder / COUNT).write_text(f"{0:020d}\nprocess 1 on other\nworking\n")
    return holder / COUNT


def test_the_case_of_a_process_that_died_elsewhere_is_made_after_a_while(dataset, plan, run, made):
    elsewhere(run, "ball_1")
    began = time.monotonic()
    part(dataset, plan, run, 0, parts=1, patience=PATIENCE)
    assert made[-1] == "ball_1" and len(made) == 4
    assert time.monotonic() - began > PATIENCE


def test_the_case_of_a_process_that_lives_elsewhere_is_left_to_it(dataset, plan, run, made):
    count, ended = elsewhere(run, "ball_1"), threading.Event()

    def count_on():
        number = 0
        while not ended.wait(0.1):
            number += 1
            with count.open("r+b") as file:
                file.write(f"{number:020d}".encode())

    counting = threading.Thread(target=count_on)
    counting.start()
    try:
        part(dataset, plan, run, 0, parts=1, patience=30.0)
    finally:
        ended.set()
        counting.join()
    assert sorted(made) == ["ball_0", "ball_2", "ball_3"]


def test_files_that_changed_since_the_plan_was_made_are_refused(dataset, plan, run, tmp_path):
    record = record_of(dataset, workers=1)
    first = dataset.cases[0].images[0]
    facts = first.stat()
    content = first.read_bytes()
    # of the same size
    first.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with pytest.raises(DatasetError, match=r"ball_0: .*ball_0_0000.* has changed since the plan") as refused:
            preprocess_part(dataset, plan, "3d", run, part=0, parts=1, workers=1, record=record)
    finally:
        first.write_bytes(content)
        os.utime(first, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert not run.preprocessed("3d").exists()
    # the advice is no problem of the data set
    assert len(refused.value.problems) == 1 and "same `autoseg run` or `autoseg study`" in refused.value.advice


def test_a_label_that_was_only_touched_is_no_change(dataset, plan, run, made):
    record = record_of(dataset, workers=1)
    label = dataset.cases[0].label
    facts = label.stat()
    os.utime(label, ns=(facts.st_atime_ns, facts.st_mtime_ns + 10**9))
    try:
        preprocess_part(dataset, plan, "3d", run, part=0, parts=1, workers=1, record=record)
    finally:
        os.utime(label, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert len(made) == 4


def test_a_case_that_is_gone_since_the_plan_was_made_is_told(dataset, plan, run):
    record = record_of(dataset, workers=1)
    fewer = replace(dataset, cases=dataset.cases[1:])
    with pytest.raises(DatasetError, match=r"ball_0: is gone since the plan was made"):
        preprocess_part(fewer, plan, "3d", run, part=0, parts=1, workers=1, record=record)


def test_a_case_is_done_where_it_was_made_from_the_files_on_record(dataset, plan, run):
    preprocess_dataset(dataset, plan, "3d", run, workers=1)
    (source, *_), folder = record_of(dataset, workers=1).cases, run.case("3d", "ball_0")
    assert follows_plan(folder, plan, "3d", source) and follows_plan(folder, plan, "3d")
    moved = source.changed(images=tuple(file.changed(path="x", modified=1) for file in source.images))
    assert follows_plan(folder, plan, "3d", moved)
    other = source.changed(label=source.label.changed(sha256="0" * 64))
    assert not follows_plan(folder, plan, "3d", other)
    assert not follows_plan(folder, plan, "3d", source.changed(images=(None, *source.images)))


def test_other_sequences_than_when_the_plan_was_made_are_told(dataset, plan, run):
    record = record_of(dataset, workers=1)
    first, *others = dataset.cases
    changed = replace(dataset, cases=(replace(first, images=first.images * 2), *others))
    with pytest.raises(DatasetError, match=f"{first.name}: has 2 sequences, and others when the plan was made"):
        preprocess_part(changed, plan, "3d", run, part=0, parts=1, workers=1, record=record)


def test_a_case_that_others_have_made_since_takes_no_lock(dataset, plan, run, made, monkeypatch):
    (task, *others) = module.tasks_of(dataset, plan, "3d", run, record_of(dataset, workers=1))
    module.preprocess_case(task)
    monkeypatch.setattr("planner.claims.locked_if_free", lambda *_: pytest.fail("takes a lock"))
    assert do_each([task], 1, "", small=True, waits=False) == ()
    assert made == [task.case.name] and not any(other.folder.exists() for other in others)


def test_grids_are_those_that_were_measured_and_no_header_is_read_again(dataset, plan, run, made, monkeypatch):
    measured = measure_fingerprint(dataset, workers=1)
    write_fingerprint(run.fingerprint, measured)
    grids = _measured_grids(run)
    for case in dataset.cases:
        grid = grid_of(case, plan)
        assert (grids[case.name].shape, grids[case.name].spacing) == (grid.shape, grid.spacing)
    monkeypatch.setattr("planner.preprocess.grid_of", lambda *_: pytest.fail("reads a header"))
    part(dataset, plan, run, 0, parts=1)
    assert len(made) == 4
