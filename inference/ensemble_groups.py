"""Groups the members of an ensemble by configuration, and tells which groups can predict a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.text import Text

from autoseg.dataset.case import Case
from autoseg.dataset.load import LoadedCase
from autoseg.errors import ImageError
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import seen_sequences
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.trained_by import refuse_other_plan_than_trained
from autoseg.terminal import styled
from inference.ensemble import Ensemble, Member, choose_members


@dataclass(frozen=True)
class Group:
    """Members of one configuration; they share the preprocessed image, and are averaged patch by patch.

    Args:
        name: name of the configuration.
        configuration: settings of the configuration, from the plan.
        ensemble: the loaded networks of the members.
        mirror: axes (0 = z, 1 = y, 2 = x) that are mirrored as test-time augmentation.
        folds: index of the fold of each member, in the order of the ensemble.
    """

    name: str
    configuration: Configuration
    ensemble: Ensemble
    mirror: tuple[int, ...]
    folds: tuple[int, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """Name of each member: configuration and fold, such as `3d_0`."""
        return tuple(f"{self.name}_{fold}" for fold in self.folds)


def load_group(
    run: RunFolder,
    plan: Plan,
    name: str,
    folds: Sequence[int] | None,
    *,
    device: torch.device,
    mirror: bool | None,
    console: Console,
) -> Group:
    """Load the members of one configuration, and print which they are.

    Args:
        run: RUN folder that holds the trained folds.
        plan: plan of the run.
        name: name of the configuration.
        folds: folds to use; None = all finished folds, or, if none is finished, all that have weights.
        device: device on which the networks predict.
        mirror: whether to mirror as test-time augmentation, see `mirror_axes`; None = as the plan says.
        console: prints the members and warnings.

    Raises:
        RunFolderError: a fold is not trained, is damaged, or was trained with another plan.
        PlanError: the configuration is not in the plan.
    """
    planned = plan.configuration(name)
    refuse_other_plan_than_trained(run, plan, name)
    members = choose_members(run, name, folds)
    tell_members(name, members, console)
    if mirror and not planned.training.mirror:
        console.print(
            styled("yellow", "not mirrored", ": no axis was mirrored in training, so mirroring would mislead")
        )
    if mirror is None and (unseen := set(planned.prediction.mirror) - set(planned.training.mirror)):
        axes = ", ".join("zyx"[axis] for axis in sorted(unseen))
        console.print(styled("yellow", f"not mirrored along {axes}", ": training was not, so mirroring would mislead"))
    ensemble = Ensemble.load(run, plan, members, device)
    return Group(name, planned, ensemble, mirror_axes(planned, mirror), tuple(member.fold for member in members))


def mirror_axes(configuration: Configuration, mirror: bool | None) -> tuple[int, ...]:
    """Axes (0 = z, 1 = y, 2 = x) of test-time mirroring; only axes that training mirrored are among them.

    Args:
        configuration: says which axes training mirrored, and which ones prediction is planned to mirror.
        mirror: True = every axis that training mirrored; False = none; None = as planned.
    """
    if mirror is None:
        return configuration.mirrored_in_prediction
    return configuration.training.mirror if mirror else ()


def groups_that_see(
    groups: Sequence[Group], plan: Plan, loaded: LoadedCase, tell: Callable[[Text], None]
) -> tuple[Group, ...]:
    """The groups whose network sees at least one sequence of the case; `tell` is called with the left-out groups.

    Raises:
        ImageError: no group sees a sequence of the case.
    """
    there = {channel.name for channel, present in zip(plan.channels, loaded.present, strict=True) if present}
    seeing = tuple(group for group in groups if there.intersection(seen_sequences(plan, group.configuration)))
    if not seeing:
        needed = dict.fromkeys(sequence for group in groups for sequence in seen_sequences(plan, group.configuration))
        raise ImageError(f"no sequence is there that the network sees: {', '.join(needed)}")
    if blind := [group.name for group in groups if group not in seeing]:
        tell(styled("yellow", f"{', '.join(blind)} left out", ": the case has none of its sequences"))
    return seeing


def members_of(case: Case, groups: Sequence[Group], plan: Plan) -> tuple[str, ...]:
    """Names of the members whose network sees at least one of a case's images."""
    given = zip(plan.channels, case.images, strict=True)
    there = {channel.name for channel, image in given if image is not None}
    seeing = [group for group in groups if there.intersection(seen_sequences(plan, group.configuration))]
    return tuple(member for group in seeing for member in group.members)


def tell_members(configuration: str, members: Sequence[Member], console: Console) -> None:
    """Print which folds of a configuration predict, and which of them were not trained to their end."""
    folds = ", ".join(str(member.fold) for member in members)
    console.print(f"Predicting with {configuration}, fold {folds}.")
    stopped = ", ".join(str(member.fold) for member in members if not member.finished)
    if stopped:
        console.print(f"fold {stopped}: training was stopped before its end", style="yellow")
