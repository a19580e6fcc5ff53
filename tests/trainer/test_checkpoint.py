from pathlib import Path

import pytest
import torch

from tests.trainer.tiny_run import make_plan, make_training
from trainer import checkpoint
from trainer.checkpoint import Requested, State
from trainer.data.batch import Batch
from trainer.learner import Learner


def make_learner() -> Learner:
    training = make_training()
    plan = make_plan(training)
    return Learner(plan, plan.configurations["3d"], training, torch.device("cpu"), seed=1)


def make_state(step: int = 3) -> State:
    return State(
        step=step,
        training=make_training(),
        requested=Requested(),
        seconds=1.0,
        threads=1,
        torch_version="2",
        plan_sha256="",
    )


def saved_and_restored(folder: Path, learner: Learner, other: Learner) -> None:
    checkpoint.write(folder, checkpoint.take(make_state(), learner))
    found = checkpoint.load(folder)
    assert found is not None
    checkpoint.restore(found, other)


def test_the_loss_scale_of_half_precision_goes_on(tmp_path: Path) -> None:
    learner, other = make_learner(), make_learner()
    learner.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    other.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    weight = torch.nn.Parameter(torch.ones(()))
    optimizer = torch.optim.SGD([weight], 0.0)
    for gradient in (float("inf"), 1.0, 1.0):
        learner.scaler.scale(weight * gradient).backward()
        learner.scaler.step(optimizer)
        learner.scaler.update()
        optimizer.zero_grad()
    saved_and_restored(tmp_path, learner, other)
    assert other.scaler.get_scale() == 512.0, "halved by the gradient that was not finite"
    # two of the three steps after which it grows were done before
    other.scaler.scale(weight * 1.0).backward()
    other.scaler.step(optimizer)
    other.scaler.update()
    assert other.scaler.get_scale() == 1024.0


def test_without_half_precision_there_is_no_scale(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, checkpoint.take(make_state(), make_learner()))
    found = checkpoint.load(tmp_path)
    assert found is not None and found.state.loss_scale == {}
    other = make_learner()
    other.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    checkpoint.restore(found, other)
    assert other.scaler.get_scale() == 8.0


def test_checkpoints_within_an_epoch_leave_the_last_two_ends_of_an_epoch(tmp_path: Path) -> None:
    learner = make_learner()
    assert make_state().training.iterations_per_epoch == 4
    left = []
    for step in (0, 4, 6, 7, 8, 9):
        checkpoint.write(tmp_path, checkpoint.take(make_state(step), learner))
        left.append([int(folder.name.removeprefix("step_")) for folder in checkpoint.generations(tmp_path)])
    assert left == [[0], [4, 0], [6, 4, 0], [7, 4, 0], [8, 4], [9, 8, 4]]
    newest = checkpoint.load(tmp_path)
    assert newest is not None and newest.state.step == 9
    assert [found.state.step for found in checkpoint.load_validated(tmp_path, 4)] == [4, 8]
    # set back to where the epoch began, what came after is gone
    checkpoint.write(tmp_path, checkpoint.take(make_state(8), learner))
    assert [folder.name for folder in checkpoint.generations(tmp_path)] == ["step_00000008", "step_00000004"]


def test_a_snapshot_does_not_follow_the_training(tmp_path: Path) -> None:
    learner = make_learner()
    state = make_state(4)
    before = checkpoint.take(state, learner)
    kept = {name: tensor.clone() for name, tensor in before.tensors.items()}
    batch = Batch(torch.randn(2, 1, 8, 12, 12), torch.zeros(2, 8, 12, 12, dtype=torch.uint8), 0)
    learner.step(batch, 1e-3, 0)
    state.step += 1
    assert before.state.step == 4
    assert all(torch.equal(kept[name], tensor) for name, tensor in before.tensors.items())
    assert not torch.equal(
        torch.cat([w.ravel() for w in learner.module.state_dict().values()]),
        torch.cat([v.ravel() for k, v in kept.items() if k.startswith("weights.")]),
    )


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_optimiser_goes_on_in_the_layout_of_the_weights(tmp_path: Path, optimizer: str) -> None:
    training = make_training(optimizer=optimizer)
    plan = make_plan(training)
    learner, other = (Learner(plan, plan.configurations["3d"], training, torch.device("cpu"), seed=1) for _ in range(2))
    image, label = torch.randn(2, 1, 8, 12, 12), torch.zeros(2, 8, 12, 12, dtype=torch.uint8)
    learner.step(Batch(image, label, 0), 1e-3, 0)
    saved_and_restored(tmp_path, learner, other)
    compared = 0
    for before, after in zip(learner.module.parameters(), other.module.parameters(), strict=True):
        for name, value in learner.optimizer.state[before].items():
            if isinstance(value, torch.Tensor):
                restored = other.optimizer.state[after][name]
                assert torch.equal(value, restored)
                if value.ndim == 5:
                    assert restored.stride() == after.stride()
                    compared += 1
    assert compared


def test_folders_of_other_names_are_no_checkpoints(tmp_path):
    for name in ("step_", "step_-1", "step_x", "step_00000003", "step_" + "9" * 200):
        (tmp_path / name).mkdir()
    assert [folder.name for folder in checkpoint.generations(tmp_path)] == ["step_00000003"]
