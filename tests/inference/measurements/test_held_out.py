"""Agreement in cross-validation: of mirrored or jittered predictions of the network that did not see the case."""

import io
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
import torch
from rich.console import Console

import inference.ensemble
import inference.measurements.held_out
from autoseg.metrics import count_voxels
from autoseg.plan.plan import read_plan, write_plan
from autoseg.run_folder.preprocessed_case import open_case
from autoseg.run_folder.splits import read_splits
from inference.measurements.held_out import FILE, LESIONS_FILE, write_held_out_agreement
from inference.measurements.jitter import Jitter, jittered
from tests.inference.run_fixture import CASES, make_run


class OneSided(torch.nn.Module):
    """A network that finds less towards the end of each axis, so that mirrored predictions differ."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z, y, width = (torch.linspace(-0.4, 0.4, n) for n in x.shape[2:])
        ramp = z[:, None, None] + 0.5 * y[:, None] + 0.3 * width
        body, lesion = x[:, :1] - 0.5 - ramp, x[:, 1:] - 0.5 - ramp
        return 20 * torch.cat([torch.zeros_like(body), body, lesion], 1)


@pytest.fixture
def loaded(monkeypatch) -> list[int]:
    """Folds whose network was loaded."""
    folds: list[int] = []

    def load(run, plan, configuration, fold, device):
        folds.append(fold)
        return OneSided()

    monkeypatch.setattr(inference.ensemble, "load_network", load)
    return folds


def run_with(folder, mirror: tuple[int, ...]):
    run = make_run(folder)
    plan = read_plan(run.plan)
    planned = plan.configuration("3d")
    mirrored = planned.changed(
        training=planned.training.changed(mirror=mirror), prediction=planned.prediction.changed(mirror=())
    )
    write_plan(run.plan, plan.changed(configurations={"3d": mirrored}), {})
    return run


def written(run, **options) -> tuple[pd.DataFrame | None, str]:
    console = Console(file=io.StringIO(), width=200)
    write_held_out_agreement(run, read_plan(run.plan), "3d", device="cpu", console=console, **options)
    path = run.cross_validation("3d") / FILE
    return (pd.read_csv(path) if path.exists() else None), console.file.getvalue()


def by_hand(run, case: str, axes: tuple[int, ...]) -> list[float]:
    """Mean Dice of every two predictions, of the whole image as one patch."""
    image = torch.from_numpy(open_case(run.case("3d", case)).image[:])[None]
    maps = []
    for dims in [[], *([axis + 2] for axis in axes)]:
        with torch.inference_mode():
            maps.append(OneSided()(image.flip(dims)).flip(dims)[0].argmax(0).numpy())
    dice = [[count_voxels(a == k, b == k).dice for a, b in combinations(maps, 2)] for k in (1, 2)]
    return [np.mean([d for d in of_class if d is not None]) for of_class in dice]


def test_it_is_that_of_the_network_that_did_not_see_the_case(tmp_path, loaded) -> None:
    run = run_with(tmp_path / "run", (0, 2))
    found, told = written(run)
    assert loaded == [0, 1] and str(FILE) in told
    assert found["case"].unique().tolist() == list(CASES) and set(found["predictions"]) == {3}
    for fold, split in enumerate(read_splits(run.splits)):
        assert set(found.loc[found["fold"] == fold, "case"]) == set(split.val)
    for case in CASES[1:3]:
        agreed = found.loc[found["case"] == case, "agreement"]
        assert agreed.tolist() == pytest.approx(by_hand(run, case, (0, 2)), abs=0.02)
        assert agreed.between(0.1, 0.99).any()


def test_where_training_mirrored_nothing_jittered_predictions_are_compared(tmp_path, loaded) -> None:
    run = run_with(tmp_path / "run", ())
    found, told = written(run)
    assert "training mirrored no axis" in told and set(found["predictions"]) == {4}
    assert found["case"].unique().tolist() == list(CASES) and loaded == [0, 1]
    plan = read_plan(run.plan)
    case = open_case(run.case("3d", CASES[1]))
    image = np.asarray(case.image[:])
    noisy = jittered(image, Jitter(noise=0.2), case.record.present, seed=plan.seed, case=CASES[1])
    maps = []
    for one in (image, 0.8 * image, 1.25 * image, noisy):
        with torch.inference_mode():
            maps.append(OneSided()(torch.from_numpy(np.float32(one))[None])[0].argmax(0).numpy())
    dice = [[count_voxels(a == k, b == k).dice for a, b in combinations(maps, 2)] for k in (1, 2)]
    expected = [np.mean([d for d in of_class if d is not None]) for of_class in dice]
    agreed = found.loc[found["case"] == CASES[1], "agreement"]
    assert agreed.tolist() == pytest.approx(expected, abs=0.02) and agreed.between(0.1, 0.999).any()


def test_lesions_that_the_network_finds_have_their_own_agreement(tmp_path, loaded) -> None:
    run = run_with(tmp_path / "run", ())
    plan = read_plan(run.plan)
    of_class = plan.labels.foreground[0]
    write_plan(run.plan, plan.changed(lesions=(of_class,)), {})
    written(run)
    table = pd.read_csv(run.cross_validation("3d") / LESIONS_FILE)
    case = open_case(run.case("3d", CASES[1]))
    with torch.inference_mode():
        found = OneSided()(torch.from_numpy(np.asarray(case.image[:]))[None])[0].argmax(0).numpy() == 1
    parts, count = scipy.ndimage.label(found, np.ones((3, 3, 3)))
    # lesions are counted on the grid of the image, which is finer
    finer = np.prod(case.record.cropped_shape) / found.size
    sizes = sorted((finer * np.bincount(parts.ravel())[1:]).tolist(), reverse=True)
    of_case = table[table["case"] == CASES[1]]
    assert count and of_case["lesion"].tolist() == list(range(1, count + 1)) and of_case["voxels"].tolist() == sizes
    assert table["agreement"].between(0, 1).all() and set(table["class"]) == {of_class}


def test_a_case_that_its_fold_was_trained_on_is_left_out(tmp_path, loaded, monkeypatch) -> None:
    run = run_with(tmp_path / "run", (0,))
    real = inference.measurements.held_out.cross_validated

    def overlapping(*arguments):
        found = real(*arguments)
        first = found.splits[0].changed(train=(*found.splits[0].train, CASES[0]), allow_overlap=True)
        return type(found)(found.of_run, (first, *found.splits[1:]), found.pairs, found.unfinished, found.lost)

    monkeypatch.setattr(inference.measurements.held_out, "cross_validated", overlapping)
    found, _ = written(run)
    assert CASES[0] not in set(found["case"]) and len(set(found["case"])) == len(CASES) - 1
