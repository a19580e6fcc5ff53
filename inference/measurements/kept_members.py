"""What is kept of the members of an ensemble while an image is predicted, and how it is told where nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.image.labels import Labels
from autoseg.plan.plan import Plan
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.run_folder.selection import ClassRule
from autoseg.whole_image.member_labels import Decide, MemberLabels, by_thresholds, by_weights
from inference.ensemble_groups import Group
from inference.measurements.agreement import MemberMap
from inference.post_processing import class_weights

NO_MEMORY = "how far the folds agree is not measured: the memory does not hold a label map of each fold"


@dataclass(frozen=True)
class KeptMembers:
    """Whether and how the members' label maps are made.

    Args:
        decide: gives each voxel its class from a member's probabilities, with the thresholds of the prediction.
        anywhere: whether they are made also where a GPU's memory does not hold them, which takes time.
    """

    decide: Decide
    anywhere: bool

    def of(self, group: Group) -> MemberLabels:
        """What is kept of a group's members while it predicts an image."""
        return MemberLabels(group.ensemble.with_members, len(group.folds), self.decide, self.anywhere)


def kept_members(
    groups: Sequence[Group], rules: Sequence[ClassRule], plan: Plan, asked: bool | None, *, needed: bool = False
) -> KeptMembers | None:
    """Decide whether the members' label maps are made; None = they are not.

    Args:
        groups: loaded models, one group for each configuration.
        rules: post-processing rule of each foreground class or region.
        plan: gives classes and regions.
        asked: whether agreement is to be measured; None = where it takes hardly any time.
        needed: whether the label maps are wanted themselves.
    """
    count = sum(len(group.folds) for group in groups)
    if not needed and (asked is False or count < 2):
        return None
    return KeptMembers(decide_by(rules, plan.labels), anywhere=needed or asked is True)


def why_not(groups: Sequence[Group], asked: bool | None) -> str | None:
    """Why agreement is measured of no image, for the person; None where it is, or where nobody wants to know."""
    if asked is False or sum(len(group.folds) for group in groups) > 1:
        return None
    return "How far folds agree is not measured: a single fold predicts"


def member_maps(group: Group, kept: MemberLabels, record: CaseRecord) -> list[MemberMap]:
    """The label maps of a group's members; none where the memory did not hold them."""
    # there is one for each member, or none at all
    return [MemberMap(name, labels, record) for name, labels in zip(group.members, kept.maps, strict=False)]


def decide_by(rules: Sequence[ClassRule], labels: Labels) -> Decide:
    """How a voxel gets its class from the probabilities of one model, with the thresholds of the prediction.

    Args:
        rules: post-processing rule of each foreground class or region.
        labels: classes and regions of the data set.
    """
    if not labels.overlapping:
        return by_weights(class_weights(rules))
    indices = [labels.values.index(region.value) for region in labels.regions]
    return by_thresholds([rule.threshold for rule in rules], indices)
