"""Images that are predicted in three overlapping parts, beside the same images one after the other."""

import threading

import numpy as np
import pytest

from autoseg.dataset.inputs import read_inputs
from autoseg.errors import AutosegError
from autoseg.machine import overlap
from inference import outputs, predict_image
from tests.inference.bright_run import SHAPE, predict, run, voxels, write

__all__ = ["run"]

ALWAYS, NEVER = frozenset({"cpu"}), frozenset()
"""Types of devices beside which parts overlap."""


def bytes_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def images(tmp_path):
    """Six images of different sizes, of which the second is damaged and the fourth is constant."""
    for i in range(6):
        write(tmp_path / "in" / f"{i}.nii.gz", voxels(i, (SHAPE[0] + i, SHAPE[1], SHAPE[2])))
    (tmp_path / "in" / "1.nii.gz").write_bytes(b"\x1f\x8bnothing")
    write(tmp_path / "in" / "3.nii.gz", np.full(SHAPE, 7, np.float32))
    return read_inputs([tmp_path / "in"], ("T1",))


def test_files_and_problems_are_the_same(run, images, tmp_path, monkeypatch) -> None:
    in_thread = []
    real = predict_image.prepare_case

    def prepare(*arguments):
        in_thread.append(threading.current_thread() is not threading.main_thread())
        return real(*arguments)

    monkeypatch.setattr(predict_image, "prepare_case", prepare)
    told = {}
    for way, types in (("sequence", NEVER), ("overlap", ALWAYS)):
        monkeypatch.setattr(overlap, "OVERLAPPING", types)
        in_thread.clear()
        told[way] = predict(run, images, tmp_path / way, save_probabilities=True)[0]
        assert any(in_thread) == (way == "overlap")
    assert told["sequence"] == told["overlap"]
    assert [problem.split(":")[0] for problem in told["overlap"]] == ["1", "3"]
    sequence, overlapping = bytes_in(tmp_path / "sequence"), bytes_in(tmp_path / "overlap")
    # a label map and two probabilities of each, the names of the classes in two files, and the measurements
    assert len(sequence) == 4 * 3 + 3 and sequence == overlapping


@pytest.mark.parametrize("part", ["prepare_case", "predict_prepared_case", "post_processed"])
def test_an_error_of_any_part_is_told_of_its_image_and_the_others_go_on(run, tmp_path, monkeypatch, part) -> None:
    monkeypatch.setattr(overlap, "OVERLAPPING", ALWAYS)
    images = read_inputs([write(tmp_path / "in" / f"{i}.nii.gz", voxels(i)).parent for i in range(4)][:1], ("T1",))
    module = outputs if part == "post_processed" else predict_image
    real, calls = getattr(module, part), []

    def fails_at_the_second(*arguments, **options):
        calls.append(part)
        # preparation is tried once more, alone
        if len(calls) in ((2, 3) if part == "prepare_case" else (2,)):
            raise AutosegError("broken on purpose")
        return real(*arguments, **options)

    monkeypatch.setattr(module, part, fails_at_the_second)
    assert predict(run, images, tmp_path / "out")[0] == ("1: broken on purpose",)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == ["0.nii.gz", "2.nii.gz", "3.nii.gz"]


def test_where_memory_is_short_nothing_overlaps(run, images, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(overlap, "OVERLAPPING", ALWAYS)
    monkeypatch.setattr(overlap, "free_memory", lambda: 1)
    others = []
    real = predict_image.prepare_case

    def prepare(*arguments):
        others.append(threading.current_thread() is threading.main_thread())
        return real(*arguments)

    monkeypatch.setattr(predict_image, "prepare_case", prepare)
    predict(run, images, tmp_path / "out")
    assert others and all(others)


def test_the_bytes_of_an_image_follow_from_its_header(run, images, tmp_path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(overlap, "OVERLAPPING", ALWAYS)
    monkeypatch.setattr(predict_image, "case_bytes", lambda *arguments: asked.append(arguments) or 1)
    predict(run, images, tmp_path / "out")
    sizes = {arguments[0] for arguments in asked}
    assert sizes == {(SHAPE[0] + i) * SHAPE[1] * SHAPE[2] for i in (0, 2, 4, 5)} | {SHAPE[0] * SHAPE[1] * SHAPE[2]}
    assert all(arguments[1] == [arguments[0]] and arguments[2:] == (1, 2, 2) for arguments in asked), "spacing of 1 mm"
