"""Memory that does not suffice in training, in the words of torch's libraries; and a full shared memory."""

import pytest

from autoseg.errors import OutOfMemory, TrainingDataError
from autoseg.plan.plan import read_plan
from trainer.data.batches import BatchLoader
from trainer.fold import train_fold
from trainer.learner import Learner


@pytest.mark.parametrize("said", ["CUDA error: CUBLAS_STATUS_ALLOC_FAILED", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"])
def test_a_step_that_lacks_memory_is_told(tiny_run, monkeypatch, said: str) -> None:
    def step(*_: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(OutOfMemory, match=f"device cpu .*does not hold a training step.*{said}"):
        train_fold(tiny_run(), "3d", 0, device="cpu", workers=0)


def test_other_errors_of_a_step_stay(tiny_run, monkeypatch) -> None:
    def step(*_: object) -> None:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        train_fold(tiny_run(), "3d", 0, device="cpu", workers=0)


@pytest.mark.parametrize(
    "said",
    [
        "DataLoader worker (pid 325) is killed by signal: Bus error. It is possible that dataloader's workers",
        "unable to open shared memory object </torch_1394_2> in read-write mode: No space left on device (28)",
    ],
)
def test_a_full_shared_memory_is_told_with_its_cure(tiny_run, said: str) -> None:
    run = tiny_run()
    loader = BatchLoader(
        [run.case("3d", "ball_0")],
        read_plan(run.plan).configuration("3d"),
        labels=read_plan(run.plan).labels,
        seed=0,
        fold=0,
        first_step=0,
        workers=0,
    )
    with pytest.raises(TrainingDataError, match=r"/dev/shm.*--shm-size.*--workers 0"), loader:
        raise RuntimeError(said)
