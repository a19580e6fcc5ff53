import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.dataset.read import read_dataset
from autoseg.dataset.record import changed_cases, content_hash, record_of
from autoseg.errors import LockTakenOver, RunFolderError
from autoseg.run_folder.dataset_record import read_record, write_record
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.report_folder import report_folder
from autoseg.run_folder.time_spent import add_time, read_time_spent, timed
from autoseg.run_folder.timed_stage import Stage
from tests.autoseg.small_dataset import make_dataset


def test_time_adds_up_over_stages_and_restarts(tmp_path):
    run = RunFolder(tmp_path / "run")
    assert read_time_spent(run).total == 0
    for _ in range(2):
        with timed(run, Stage("plan")):
            time.sleep(0.05)
    add_time(run, Stage("check"), 3.0)
    spent = read_time_spent(run)
    assert 0.1 <= spent.seconds["plan"] < 0.5
    assert spent.total == pytest.approx(3.0 + spent.seconds["plan"])
    assert (spent.of(Stage("check")), spent.of(Stage("select"))) == (3.0, 0)


def test_the_time_of_a_killed_process_is_kept(tmp_path):
    code = (
        "import os, sys, time; from pathlib import Path; from autoseg.run_folder.paths import RunFolder\n"
        "from autoseg.run_folder.timed_stage import Stage; from autoseg.run_folder.time_spent import timed\n"
        "with timed(RunFolder(Path(sys.argv[1])), Stage('train', '3d', 0), every=0.05):\n"
        "    time.sleep(0.6); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], timeout=60)
    assert done.returncode == -9
    assert 0.3 < read_time_spent(RunFolder(tmp_path / "run")).of(Stage("train", "3d", 0)) < 2


def test_several_processes_may_add_time_at_once(tmp_path):
    run = RunFolder(tmp_path)
    adders = [
        threading.Thread(target=lambda: [add_time(run, Stage("check"), 1.0) for _ in range(10)]) for _ in range(4)
    ]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()
    assert read_time_spent(run).seconds == {"check": 40.0}


def test_a_failure_inside_still_counts_and_passes(tmp_path):
    with pytest.raises(ValueError, match="inside"), timed(RunFolder(tmp_path), Stage("plan")):
        raise ValueError("inside")
    assert "plan" in read_time_spent(RunFolder(tmp_path)).seconds


def test_the_record_survives_the_disk_and_names_no_absolute_path(tmp_path):
    folder = make_dataset(tmp_path / "data", cases=3)
    run = RunFolder(tmp_path / "run")
    record = record_of(read_dataset(folder))
    write_record(run, record)
    assert read_record(run) == record
    assert str(tmp_path) not in run.dataset.read_text(encoding="utf-8")
    assert [case.name for case in record.cases] == ["ball_0", "ball_1", "ball_2"]
    assert record.cases[0].images[0].size == (folder / "imagesTr" / "ball_0_0000.nii.gz").stat().st_size


def test_changed_new_and_missing_cases_are_named(tmp_path):
    folder = make_dataset(tmp_path / "data", cases=4)
    dataset = read_dataset(folder)
    before = record_of(dataset)
    assert changed_cases(before, record_of(dataset)) == ()
    os.utime(folder / "labelsTr" / "ball_1.nii.gz", (1, 1))
    turn_a_byte_unseen(folder / "labelsTr" / "ball_2.nii.gz")
    without = replace(dataset, cases=dataset.cases[1:])
    assert changed_cases(before, record_of(without)) == ("ball_0", "ball_2")


def turn_a_byte_unseen(path):
    """Change a file's content and keep its size and time, as a careless copy may."""
    facts = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_content_decides_and_times_are_trusted_only_where_asked(tmp_path):
    folder = make_dataset(tmp_path / "data", cases=3)
    dataset = read_dataset(folder)
    before = record_of(dataset)
    turn_a_byte_unseen(folder / "imagesTr" / "ball_1_0000.nii.gz")
    assert changed_cases(before, record_of(dataset, before)) == ("ball_1",)
    assert changed_cases(before, record_of(dataset, before, trust_times=True)) == ()
    os.utime(folder / "imagesTr" / "ball_1_0000.nii.gz", (1, 1))
    assert changed_cases(before, record_of(dataset, before, trust_times=True)) == ("ball_1",), "its time is another"


def test_a_record_of_an_earlier_release_goes_by_size_and_time(tmp_path):
    folder = make_dataset(tmp_path / "data", cases=2)
    now = record_of(read_dataset(folder))
    cases = tuple(case.changed(images=tuple(file.changed(sha256=None) for file in case.images)) for case in now.cases)
    assert changed_cases(now.changed(cases=cases), now) == ()
    os.utime(folder / "imagesTr" / "ball_1_0000.nii.gz", (1, 1))
    assert changed_cases(now.changed(cases=cases), record_of(read_dataset(folder))) == ("ball_1",)


def test_a_data_set_that_moved_has_not_changed(tmp_path):
    folder = make_dataset(tmp_path / "data", cases=2)
    before = record_of(read_dataset(folder))
    moved = folder.rename(tmp_path / "elsewhere")
    assert changed_cases(before, record_of(read_dataset(moved))) == ()


def test_other_labels_change_every_case(tmp_path):
    folder = make_dataset(tmp_path / "data", cases=2)
    record = record_of(read_dataset(folder))
    other = record.changed(channels=("T2",))
    assert changed_cases(record, other) == ("ball_0", "ball_1")


def test_a_damaged_record_names_file_and_field(tmp_path):
    run = RunFolder(tmp_path)
    with pytest.raises(RunFolderError, match="plan-and-preprocess"):
        read_record(run)
    run.dataset.write_text('{"name": 3}', encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"dataset\.json.*channels"):
        read_record(run)


def test_the_configuration_reported_first_keeps_the_report(tmp_path):
    run = RunFolder(tmp_path / "run")
    assert report_folder(run, "3d") == run.report
    run.report.mkdir(parents=True)
    (run.report / "summary.json").write_text('{"configuration": "3d", "cases": 4}', encoding="utf-8")
    assert report_folder(run, "3d") == run.report
    assert report_folder(run, "2d") == run.report / "2d"


@pytest.mark.parametrize("ending", [".mhd", ".nhdr", ".hdr", ".mha"])
def test_voxels_beside_a_header_count_as_its_content(tmp_path, ending):
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    path = tmp_path / f"voxels{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(voxels), path)
    before = content_hash(path)
    assert content_hash(path) == before
    sitk.WriteImage(sitk.GetImageFromArray(voxels + 1), path)
    assert content_hash(path) != before


def test_who_stood_still_while_it_wrote_its_time_goes_on(tmp_path, monkeypatch):
    run, times = RunFolder(tmp_path), []

    def taken_over(*given):
        times.append(given)
        raise LockTakenOver("another process has taken over")

    monkeypatch.setattr("autoseg.run_folder.time_spent.add_times", taken_over)
    with timed(run, Stage("plan"), every=0.01):
        while len(times) < 2:
            time.sleep(0.01)
    assert len(times) > 2
