"""Items worked on in threads of this process, where processes would take longer to start than they save."""

import os
import threading
import time
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from autoseg.dataset import disk_space
from autoseg.dataset.case import Case
from autoseg.errors import DatasetError
from autoseg.machine.map_cases import map_cases


def threads_of_blas() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_threads_work_side_by_side_and_results_come_in_the_items_order() -> None:
    together = threading.Barrier(2, timeout=60)

    def work(number: int) -> tuple[int, int]:
        together.wait()
        return number, os.getpid()

    assert map_cases(work, range(4), 2, "together", small=True) == [(n, os.getpid()) for n in range(4)]


def test_threads_compute_with_one_thread_each_and_leave_the_process_as_it_was() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads_of_blas()
        assert before and set(before) == {2}, "numpy brings one"
        found = map_cases(lambda _: threads_of_blas(), [0, 1], 2, "threads", small=True)
        assert found == [[1] * len(before)] * 2
        assert threads_of_blas() == before


def test_an_error_in_a_thread_is_raised_here_and_nothing_further_is_begun() -> None:
    begun: list[int] = []

    def fail(number: int) -> None:
        begun.append(number)
        time.sleep(0.01)
        raise DatasetError([f"case_{number}: spoilt"])

    with pytest.raises(DatasetError, match="spoilt"):
        map_cases(fail, range(1000), 2, "failing", small=True)
    assert len(begun) < 1000


@pytest.mark.parametrize(("size", "small"), [(9, True), (10, False)])
def test_small_is_told_by_all_files_together(tmp_path: Path, monkeypatch, size: int, small: bool) -> None:
    monkeypatch.setattr(disk_space, "SMALL_BYTES", 10)
    slices = tmp_path / "dicom"
    slices.mkdir()
    for name in ("dicom/1.dcm", "dicom/2.dcm", "several_channels.nii"):
        (tmp_path / name).write_bytes(b"xx")
    (tmp_path / "label.nii").write_bytes(b"x" * (size - 6))
    two = tmp_path / "several_channels.nii"
    cases = [
        Case("a", (slices, None), tmp_path / "label.nii"),
        Case("b", (two, two), None, several_channels_in_one_file=True),
        Case("missing", (tmp_path / "missing.nii", None)),
    ]
    assert disk_space.is_small(cases) is small
