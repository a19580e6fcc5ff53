"""Plans for devices that are not here, or have less memory than nnU-Net's plans are made for."""

import pytest
import torch

import autoseg
from autoseg.errors import InputError, PlanError, RunFolderError
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from tests.autoseg.commands.stand_ins import install
from tests.autoseg.commands.test_planning_again import SLOW, costs_at


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return install(monkeypatch, planning=False)


def plan(dataset, run, **options):
    return autoseg.plan_and_preprocess(dataset, run.path, plan_only=True, workers=1, **options)


def test_without_a_gpu_the_reference_plan_is_made_for_one_and_it_is_said(without_gpu, dataset, run, capsys) -> None:
    followed, reference = plan(dataset, run, device="cuda"), read_plan(run.reference_plan)
    assert followed.device == "cuda" and followed.time_budget_seconds is None
    for name, configuration in followed.configurations.items():
        full = reference.configurations[name]
        assert (configuration.patch_size, configuration.batch_size) == (full.patch_size, full.batch_size)
        assert configuration.network == full.network
    told = " ".join(capsys.readouterr().out.split())
    assert "This machine has no cuda device, so that no training step was measured" in told


def test_a_time_budget_cannot_be_planned_for_a_gpu_that_is_not_here(without_gpu, dataset, run) -> None:
    with pytest.raises(InputError, match=r"--time-budget: .*no cuda device"):
        plan(dataset, run, device="cuda", time_budget="2h")
    assert not run.plan.exists()


def test_auto_memory_needs_a_gpu(without_gpu, dataset, run) -> None:
    with pytest.raises(PlanError, match="--memory auto"):
        plan(dataset, run, memory="auto", device="cpu")


@pytest.fixture
def card(monkeypatch):
    """A second card with 5 GB free, on which a step costs little."""
    devices = []

    def measure(plan, configuration, device, **_):
        devices.append(device)
        return costs_at(SLOW)(plan, configuration, device, None)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("autoseg.machine.device_memory.free_device_memory", lambda device: 5 * 2**30)
    monkeypatch.setattr("trainer.measure.measure_step", measure)
    install(monkeypatch, planning=False)
    return devices


def test_a_small_card_lowers_the_plan_that_is_followed_alone(card, dataset, run) -> None:
    followed = plan(dataset, run, device="cuda:1")
    assert (followed.memory_gb, read_plan(run.reference_plan).memory_gb) == (4.5, 8)
    assert set(card) == {"cuda:1"} and followed.device == "cuda"
    # the same wish is none for another plan
    plan(dataset, run, device="cuda:1", memory=8)
    with pytest.raises(RunFolderError, match="for 8 GB of memory, not 4"):
        plan(dataset, run, device="cuda:1", memory=4)


def test_auto_memory_plans_for_what_is_free(card, dataset, run) -> None:
    plan(dataset, run, device="cuda:1", memory="auto")
    assert read_plan(run.reference_plan).memory_gb == 4.5
