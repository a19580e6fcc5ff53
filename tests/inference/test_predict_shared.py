"""Several predictions into one folder, and parts of one, make what a single prediction makes."""

import threading

import pytest

from autoseg.dataset.case import Case
from inference.measurements.table import read_lines
from inference.shared_output import sharing
from tests.inference.bright_run import predict, run, voxels, write

__all__ = ["run"]


@pytest.fixture
def cases(tmp_path):
    return [Case(f"case_{n}", (write(tmp_path / "in" / f"case_{n}.nii.gz", voxels(n)),)) for n in range(4)]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".gz"}


def rows(folder):
    return sorted((line.case, line.class_name, line.voxels) for line in read_lines(folder))


def test_two_predictions_share_the_cases_and_write_each_once(run, cases, tmp_path):
    predict(run, cases, tmp_path / "alone")
    together, written, said = tmp_path / "together", list[str](), list[str]()

    def one():
        problems, told = predict(run, cases, together, wrote=lambda file: written.append(file.case))
        said.append(told)
        assert problems == ()

    # somebody who takes part from the beginning to the end, so that both know of each other
    with sharing(together, "another job"):
        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
    assert sorted(name for name in written if name) == [case.name for case in cases]
    assert files(together) == files(tmp_path / "alone") and rows(together) == rows(tmp_path / "alone")
    assert not [path.name for path in together.iterdir() if path.name.startswith(".")]
    assert any("are left to other processes that predict into the same folder" in told for told in said)


def test_parts_together_are_the_whole(run, cases, tmp_path):
    predict(run, cases, tmp_path / "alone")
    for number, count in ((1, 1), (2, 1), (0, 2)):
        _, told = predict(run, cases, tmp_path / "parts", part=(number, 3))
        assert f"Part {number + 1} of 3: {count} of 4 cases." in told
    assert files(tmp_path / "parts") == files(tmp_path / "alone") and rows(tmp_path / "parts") == rows(
        tmp_path / "alone"
    )


def test_a_part_without_cases_ends_well(run, cases, tmp_path):
    problems, told = predict(run, cases[:1], tmp_path / "out", part=(4, 5))
    assert problems == () and "Part 5 of 5: 0 of 1 cases." in told
