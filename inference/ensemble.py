"""Chooses the trained folds that predict together, and averages their probabilities over a patch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from autoseg.errors import RunFolderError
from autoseg.network.weights import load_network
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.whole_image.patch_probabilities import mean_and_members, mean_probabilities


@dataclass(frozen=True, order=True)
class Member:
    """One model of an ensemble: a trained fold.

    Args:
        configuration: name of the configuration.
        fold: index of the fold.
        finished: whether the training ended as planned; a fold that was stopped early can predict too.
    """

    configuration: str
    fold: int
    finished: bool


def trained_members(run: RunFolder, configuration: str) -> tuple[Member, ...]:
    """Every fold of a configuration that has weights, finished or not, in the order of the folds."""
    return tuple(
        Member(configuration, fold, run.is_finished(configuration, fold))
        for fold, _ in run.folds(configuration)
        if run.weights(configuration, fold).exists()
    )


def choose_members(run: RunFolder, configuration: str, folds: Sequence[int] | None) -> tuple[Member, ...]:
    """Choose the members of an ensemble.

    Args:
        run: RUN folder that holds the trained folds.
        configuration: name of the configuration that all members share.
        folds: folds to use; None = all finished folds, or, if none is finished, all that have weights.

    Raises:
        RunFolderError: a fold in `folds` has no weights, or no fold of the configuration has.
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
    """Networks that are loaded once; a call with a patch returns the mean of their probabilities.

    Args:
        networks: networks in evaluation mode, on the device.
        device: device on which they predict.
        overlapping: whether their outputs are regions, which may overlap.
        members: fold of each network; empty where nobody asks for it.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        device: torch.device,
        *,
        overlapping: bool = False,
        members: Sequence[Member] = (),
    ) -> None:
        self.device = device
        self.members = tuple(members)
        self._overlapping = overlapping
        self._networks = tuple(networks)

    @classmethod
    def load(cls, run: RunFolder, plan: Plan, members: Sequence[Member], device: torch.device) -> Ensemble:
        """Load the network of every member onto the device.

        Raises:
            RunFolderError: a member's weights are missing, damaged or made with another plan.
        """
        networks = [load_network(run, plan, m.configuration, m.fold, device) for m in members]
        return cls(networks, device, overlapping=plan.labels.overlapping, members=members)

    def one_by_one(self) -> tuple[Ensemble, ...]:
        """Each network as an ensemble of its own, in the order of the members."""
        return tuple(
            Ensemble([network], self.device, overlapping=self._overlapping, members=[member])
            for member, network in zip(self.members, self._networks, strict=True)
        )

    def __call__(self, patch: torch.Tensor) -> torch.Tensor:
        """Mean of the members' probabilities (B, K, z, y, x) in float32 of patches (B, C, z, y, x)."""
        return mean_probabilities(self._networks, patch.to(self.device), overlapping=self._overlapping)

    def with_members(self, patch: torch.Tensor) -> list[torch.Tensor]:
        """As a call, to the same bits, followed by the probabilities (B, K, z, y, x) of each member."""
        return mean_and_members(self._networks, patch.to(self.device), overlapping=self._overlapping)
