"""Where patches are augmented: by the shorter step, stored with the fold, and the same bits after a stop."""

import io
import math
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from autoseg.errors import InputError
from autoseg.machine.threads import Threads
from autoseg.plan.plan import read_plan
from autoseg.run_folder.finished_fold import read_finished
from tests.trainer.interrupted import same, stop_after, weights
from tests.trainer.turned_clock import train
from trainer import augment_on, checkpoint
from trainer.augment_on import AugmentationCost, choose_augmentation, measure_augmentation
from trainer.checkpoint import Repeated, Requested
from trainer.data.drawn_batch import DrawnBatch
from trainer.fold import train_fold
from trainer.fold_state import Fold
from trainer.open_fold import open_fold

# a step of two patches in a tenth of a second, which the device makes longer by a tenth; a process makes 25 patches a
# second, or 100 without their images
COST = AugmentationCost(patches=2, workers=1, whole=0.04, drawn=0.01, step=0.1, on_device=0.01)
MPS = torch.device("mps")
PLANNED = Requested()


@pytest.mark.parametrize(
    ("changes", "by_workers", "by_device", "choice"),
    [
        # the process is quick enough: the device would only be slower
        ({}, 0.1, 0.11, "workers"),
        # a step for which one process is too slow
        ({"step": 0.02}, 0.08, 0.03, "device"),
        ({"step": 0.02, "workers": 4}, 0.02, 0.03, "workers"),
        # four sequences
        ({"whole": 0.16, "drawn": 0.03}, 0.32, 0.11, "device"),
        ({"whole": 0.16, "drawn": 0.03, "workers": 4}, 0.1, 0.11, "workers"),
        # equal within five hundredths
        ({"whole": 0.0575}, 0.115, 0.11, "workers"),
        ({"whole": 0.0585}, 0.117, 0.11, "device"),
        # the process that trains makes the patches: nothing overlaps
        ({"workers": 0}, 0.18, 0.13, "device"),
        ({"workers": 0, "on_device": 0.06}, 0.18, 0.18, "workers"),
    ],
)
def test_the_shorter_step_wins_and_processes_where_about_equal(changes, by_workers, by_device, choice) -> None:
    cost = replace(COST, **changes)
    assert cost.by_workers == pytest.approx(by_workers) and cost.by_device == pytest.approx(by_device)
    assert cost.choice == choice


def test_it_is_told_in_one_sentence_with_what_was_measured() -> None:
    told = replace(COST, whole=0.16, drawn=0.04).told()
    assert told.startswith("Patches are augmented by the device: a step takes 0.11 s, the other way 0.32 s (")
    assert "(1 process makes 6.25 and 25 patches a second" in told and "0.01 s" in told and ". " not in told
    assert replace(COST, workers=12).told().startswith("Patches are augmented by processes: a step takes 0.1 s, ")


def opened(run, requested: Requested = PLANNED) -> Fold:
    task = open_fold(run, "3d", 0, torch.device("cpu"), 0, requested, Threads(1))
    task.console = Console(file=io.StringIO(), width=500)
    return task


def repeated(way: str) -> Requested:
    return Requested(follows=Repeated(iterations=12, iterations_per_epoch=4, events=(), augment_on=way))


@pytest.fixture
def measured(monkeypatch) -> list[AugmentationCost]:
    """What measurements are to find, which is taken from the end; where it is empty, none may be made."""
    costs: list[AugmentationCost] = []
    monkeypatch.setattr(augment_on, "measure_augmentation", lambda task, beside: costs.pop())
    return costs


@pytest.mark.parametrize(
    ("device", "plan", "requested", "chosen"),
    [
        ("cpu", "auto", Requested(), "workers"),
        ("cpu", "device", Requested(), "device"),
        ("mps", "auto", Requested(), "workers"),
        ("cuda", "workers", Requested(), "workers"),
        ("cuda", "device", Requested(), "device"),
        # the clock decides nothing where a person set the length, or where another fold is repeated
        ("cuda", "auto", Requested(epochs=3), "workers"),
        ("cuda", "auto", repeated("device"), "device"),
        ("cuda", "workers", repeated("device"), "device"),
        ("cuda", "device", repeated("workers"), "workers"),
    ],
)
def test_what_is_known_is_not_measured(tiny_run, measured, device, plan, requested, chosen) -> None:
    task = opened(tiny_run(augment_on=plan), requested)
    task.learner.device = torch.device(device)
    choose_augmentation(task, 1)
    assert task.state.augment_on == chosen


def test_on_cuda_it_is_measured_told_and_kept(tiny_run, measured) -> None:
    task = opened(tiny_run())
    task.learner.device = torch.device("cuda")
    measured[:] = [replace(COST, step=0.02)]
    choose_augmentation(task, 1)
    assert task.state.augment_on == "device"
    assert task.console.file.getvalue().startswith("Patches are augmented by the device")
    # what was found is not asked for again
    choose_augmentation(task, 1)
    assert task.state.augment_on == "device" and not measured


def test_a_fold_of_an_earlier_release_goes_on_with_processes(tiny_run, measured) -> None:
    task = opened(tiny_run())
    task.learner.device, task.state.step = torch.device("cuda"), 4
    choose_augmentation(task, 1)
    assert task.state.augment_on == "workers"


def test_transforms_of_batchgenerators_stay_with_the_processes(tiny_run, measured) -> None:
    task = opened(tiny_run(augmentation="batchgenerators"))
    task.learner.device = torch.device("cuda")
    choose_augmentation(task, 1)
    assert task.state.augment_on == "workers"


def test_a_device_that_cannot_resample_is_named_with_the_cure(tiny_run, measured) -> None:
    task = opened(tiny_run(augment_on="device"))
    task.learner.device = MPS
    with pytest.raises(InputError, match=r"device mps: .* augment_on: workers in plan.yaml"):
        choose_augmentation(task, 1)


def test_all_processes_that_train_together_do_as_the_first_one_found(tiny_run, measured, monkeypatch) -> None:
    task = opened(tiny_run())
    task.learner.device = torch.device("cuda")
    measured[:] = [replace(COST, step=0.02)]
    monkeypatch.setattr(type(task.ranks), "told", lambda self, text, device: "workers")
    choose_augmentation(task, 1)
    assert task.state.augment_on == "workers"


def drawn_batches(monkeypatch) -> list[tuple[int, ...]]:
    """Shapes of the inputs that the device makes, as they are made."""
    shapes = []
    real = DrawnBatch.ready

    def ready(batch):
        made = real(batch)
        shapes.append(tuple(made.image.shape))
        return made

    monkeypatch.setattr(DrawnBatch, "ready", ready)
    return shapes


def test_both_ways_are_measured_on_the_full_patch_and_nothing_is_changed(tiny_run, monkeypatch) -> None:
    task = opened(tiny_run(patch_growth=3))
    sizes = drawn_batches(monkeypatch)
    before = {name: weight.clone() for name, weight in task.learner.module.state_dict().items()}
    random_state = torch.get_rng_state()
    cost = measure_augmentation(task, 1)
    assert (cost.patches, cost.workers) == (2, 0)
    assert all(0 < s < math.inf for s in (cost.whole, cost.drawn, cost.step, cost.on_device))
    assert set(sizes) == {(2, 1, 8, 12, 12)}
    assert all(torch.equal(before[name], weight) for name, weight in task.learner.module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state) and task.state.step == 0


def test_a_fold_keeps_its_way_and_its_bits_over_a_stop_and_is_repeated_so(tiny_run, monkeypatch) -> None:
    """Its patches grow, so that the batches that were prepared for another size are left out."""
    undisturbed = tiny_run("undisturbed", augment_on="device", patch_growth=3)
    made = drawn_batches(monkeypatch)
    summary = train(undisturbed)
    assert summary.augment_on == "device" and len(made) == summary.steps
    run = tiny_run("stopped", augment_on="device", patch_growth=3)
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            train_fold(run, "3d", 0, device="cpu", workers=0)
    kept = checkpoint.load(run.fold("3d", 0) / "checkpoint")
    assert kept is not None and kept.state.augment_on == "device"
    train_fold(run, "3d", 0, device="cpu", workers=0)
    assert same(weights(run), weights(undisturbed))
    again = tiny_run("again", patch_growth=3)
    train_fold(again, "3d", 0, device="cpu", workers=0, follows=summary)
    finished = read_finished(again, "3d", 0)
    assert finished is not None and finished.augment_on == "device"
    assert same(weights(again), weights(undisturbed))


def test_a_plan_that_asks_batchgenerators_of_the_device_is_refused(tiny_run) -> None:
    run = tiny_run(augmentation="batchgenerators")
    text = run.plan.read_text(encoding="utf-8").replace("augment_on: auto", "augment_on: device")
    run.plan.write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match="augment_on = device: workers with augmentation: batchgenerators"):
        read_plan(run.plan)
