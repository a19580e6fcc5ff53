"""Which trained folds predict together, and the mean of their probabilities over one patch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from autoseg.errors import RunFolderError
from autoseg.network.weights import load_network
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.whole_image.patch_probabilities import mean_probabilities


@dataclass(frozen=True, order=True)
class Member:
    """One model of an ensemble.

    Args:
        finished: whether its training has ended as planned; one that was stopped predicts too.
    """

    configuration: str
    fold: int
    finished: bool


def trained_members(run: RunFolder, configuration: str) -> tuple[Member, ...]:
    """Every fold of a configuration that has weights, finished or not, in order."""
    return tuple(
        Member(configuration, fold, run.finished(configuration, fold).exists())
        for fold, _ in run.folds(configuration)
        if run.weights(configuration, fold).exists()
    )


def choose_members(run: RunFolder, configuration: str, folds: Sequence[int] | None) -> tuple[Member, ...]:
    """The members of an ensemble.

    Args:
        run: where the models are.
        configuration: of the members.
        folds: these; None = all that are finished, or, if none is, all that have weights.

    Raises:
        RunFolderError: a fold that was asked for has no weights, or none has.
    """
    trained = trained_members(run, configuration)
    if not trained:
        raise RunFolderError(
            f"{run.models(configuration)}: no fold of {configuration} is trained; "
            f"`autoseg train {run.path} --config {configuration}` does it"
        )
    if folds is None:
        return tuple(m for m in trained if m.finished) or trained
    missing = sorted(set(folds) - {m.fold for m in trained})
    if missing:
        raise RunFolderError(
            f"{run.models(configuration)}: fold {', '.join(map(str, missing))} is not trained; "
            f"trained are {', '.join(str(m.fold) for m in trained)}"
        )
    return tuple(m for m in trained if m.fold in folds)


class Ensemble:
    """Networks that were loaded once; called with a patch it gives their mean probabilities."""

    def __init__(self, networks: Sequence[nn.Module], device: torch.device) -> None:
        self.device = device
        self._networks = tuple(networks)

    @classmethod
    def load(cls, run: RunFolder, plan: Plan, members: Sequence[Member], device: torch.device) -> Ensemble:
        """Read the weights of every member.

        Raises:
            RunFolderError: a member's weights are missing, damaged or of another plan.
        """
        return cls([load_network(run, plan, m.configuration, m.fold, device) for m in members], device)

    def __call__(self, patch: torch.Tensor) -> torch.Tensor:
        """Probabilities (B, K, z, y, x) float32 of a patch (B, C, z, y, x): mean over members' soft-max."""
        return mean_probabilities(self._networks, patch.to(self.device))
