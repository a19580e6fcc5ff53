"""The benchmark of agreement against Dice, on data whose answer is known."""

import numpy as np
import pytest
import torch

import inference.ensemble
from autoseg.dataset.case import Case
from autoseg.run_folder.splits import Split
from benchmarks.agreement import Figures, all_figures, figures, measured, without_test_folds
from tests.inference.bright_run import run, straight, write

__all__ = ["run"]


@pytest.mark.parametrize(
    ("agreement", "dice", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5], [0.2, 0.4, 0.5, 0.6, 0.9], Figures(5, 0, 1.0, 1.0)),
        ([0.5, 0.4, 0.3, 0.2, 0.1], [0.2, 0.4, 0.5, 0.6, 0.9], Figures(5, 0, -1.0, 0.0)),
        # of two worst cases one is among the first two: ranks 1, 3, 2 against 1, 2, 3 and so on
        ([1, 3, 2, 4, 5, 6, 7, 8, 9, 10], range(10), Figures(10, 0, 1 - 6 * 2 / 990, 0.5)),
        ([0.1, None, 0.3], [0.5, 0.1, None], Figures(1, 2, None, 1.0)),
        ([None], [None], Figures(0, 1, None, None)),
    ],
)
def test_figures_are_those_of_ranks(agreement, dice, expected: Figures) -> None:
    found = figures(agreement, list(dice))
    assert (found.cases, found.undefined, found.share) == (expected.cases, expected.undefined, expected.share)
    assert found.spearman == (None if expected.spearman is None else pytest.approx(expected.spearman))


def test_test_cases_are_in_no_fold() -> None:
    splits = [Split(train=tuple("abcdefghij".replace(v, "")), val=(v,)) for v in "abcde"]
    for left_out, names in (((3, 4), "abc"), ((1, 2), "ade"), ((0,), "bcd")):
        kept = without_test_folds(splits, left_out)
        assert [(split.train, split.val) for split in kept] == [(tuple(names.replace(v, "")), (v,)) for v in names]


class Unsure(torch.nn.Module):
    """A network that is sure of the brightest voxels, and gives those of half the brightness this logit."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = logit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = torch.where(x > 2, 20.0, torch.where(x > 0.3, self.logit, -20.0))
        return torch.cat([-bright, bright], 1)


def test_cases_on_which_folds_differ_are_those_that_are_wrong(run, tmp_path, monkeypatch) -> None:
    """One fold finds voxels of half the brightness, which the label has not: the more of them, the lower both."""
    logits = {0: -0.3, 1: 9.0}
    monkeypatch.setattr(inference.ensemble, "load_network", lambda r, p, c, fold, d: Unsure(logits[fold]))
    cases = []
    for i in range(5):
        array = np.full(straight().shape, 50, np.float32)
        array[4:12, 4:12, 4:12] = 150
        array[14:16, 2 : 4 + 2 * i, 4:12] = 85
        image = write(tmp_path / "in" / f"case_{i}.nii.gz", array)
        label = write(tmp_path / "labels" / f"case_{i}.nii.gz", np.where(array > 100, 500, 0).astype(np.uint16))
        cases.append(Case(f"case_{i}", (image,), label))
    found = all_figures([measured(run, cases, tmp_path / "out", "cpu")], run)
    assert found == dict.fromkeys(("bright", "order of checking"), Figures(5, 0, pytest.approx(1.0), 1.0))
