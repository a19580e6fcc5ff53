"""Memory that a container leaves, from files as control groups write them."""

from pathlib import Path

import psutil
import pytest
import torch

from autoseg.memory import (
    free_memory,
    lacks_memory,
    lacks_own_memory,
    lacks_shared_memory,
    said_of_memory,
    total_memory,
)

GIB = 2**30


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A group `job/step` of a machine with 100 GiB free."""
    own = tmp_path / "own"
    own.write_text("0::/job/step\n", encoding="utf-8")
    (tmp_path / "job" / "step").mkdir(parents=True)
    monkeypatch.setattr("autoseg.memory.GROUPS", tmp_path)
    monkeypatch.setattr("autoseg.memory.OWN_GROUP", own)
    free = psutil.virtual_memory()._replace(available=100 * GIB, total=120 * GIB)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    swap = psutil.swap_memory()._replace(total=4 * GIB)
    monkeypatch.setattr("psutil.swap_memory", lambda: swap)
    return tmp_path


def limit(group: Path, most: str, used: int, cached: int) -> None:
    (group / "memory.max").write_text(f"{most}\n", encoding="utf-8")
    (group / "memory.current").write_text(f"{used}\n", encoding="utf-8")
    (group / "memory.stat").write_text(f"anon {used - cached}\ninactive_file {cached}\n", encoding="utf-8")


def test_without_limits_it_is_the_machines(groups: Path) -> None:
    assert free_memory() == 100 * GIB
    limit(groups / "job" / "step", "max", GIB, 0)
    assert free_memory() == 100 * GIB


def test_the_tightest_group_counts_and_pages_of_files_are_free(groups: Path) -> None:
    limit(groups / "job" / "step", str(16 * GIB), 5 * GIB, 2 * GIB)
    assert free_memory() == 13 * GIB
    limit(groups / "job", str(20 * GIB), 12 * GIB, 0)
    assert free_memory() == 8 * GIB


def test_a_system_without_groups_has_no_limit(groups: Path) -> None:
    (groups / "own").unlink()
    assert free_memory() == 100 * GIB


def test_all_the_memory_that_a_process_can_have_is_the_machines_or_its_tightest_groups(groups: Path) -> None:
    assert total_memory() == 124 * GIB
    limit(groups / "job" / "step", "max", GIB, 0)
    limit(groups / "job", str(20 * GIB), 12 * GIB, 0)
    assert total_memory() == 20 * GIB


@pytest.mark.parametrize(
    "said",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB of which",
        "CUDA error: out of memory",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR (out of memory)",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "GET was unable to find an engine to execute this computation",
        "Unable to find a valid cuDNN algorithm to run convolution",
        "MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1.00 GB, max allowed: 9.07 GB).",
        "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes",
        "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8",
    ],
)
def test_what_libraries_say_of_lacking_memory(said: str) -> None:
    assert lacks_memory(RuntimeError(said)) and lacks_memory(torch.OutOfMemoryError(said))
    assert not lacks_memory(ValueError(said))
    assert lacks_own_memory(RuntimeError(said)) == ("CPUAllocator" in said)


@pytest.mark.parametrize(
    "said", ["cuDNN error: CUDNN_STATUS_INTERNAL_ERROR", "CUDA error: an illegal memory access was encountered"]
)
def test_other_errors_of_a_device_are_none_of_memory(said: str) -> None:
    assert not lacks_memory(RuntimeError(said))


def test_torch_itself_lacks_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55, dtype=torch.uint8)
    assert lacks_memory(caught.value) and lacks_own_memory(caught.value)


def test_how_much_was_asked_for_is_told() -> None:
    assert said_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has")) == (
        "it was asked for 2.50 GiB at once"
    )
    assert said_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED\nmore")) == (
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"
    )
    assert said_of_memory(MemoryError()) == ""


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DataLoader worker (pid 325) is killed by signal: Bus error. It is possible that dataloader's"),
        RuntimeError(
            "unable to open shared memory object </torch_1394_2> in read-write mode: No space left on device (28)"
        ),
        RuntimeError("unable to write to file </torch_1394_2747491098>: No space left on device (28)"),
        RuntimeError(
            "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory"
        ),
        OSError(28, "No space left on device", "/dev/shm/torch_1"),
    ],
)
def test_full_shared_memory_is_known(error: Exception) -> None:
    assert lacks_shared_memory(error)


def test_a_full_disk_is_no_full_shared_memory() -> None:
    assert not lacks_shared_memory(OSError(28, "No space left on device", "/data/run/models/weights.safetensors"))
    assert not lacks_shared_memory(RuntimeError("DataLoader worker (pid 325) is killed by signal: Killed."))
