"""The three parts of predicting an image: read and prepare it, predict it, and bring it to its grid and write it.

The parts of different images may run at the same time, each in its own thread; they share the `LoadedModels` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import torch
from rich.text import Text

from autoseg.dataset.case import Case
from autoseg.dataset.fingerprint import Fingerprint
from autoseg.dataset.load import LoadedCase, load_case
from autoseg.errors import AutosegError
from autoseg.image.geometry import to_canonical
from autoseg.image.image import read_geometry
from autoseg.image.resampled_size import resampled_voxels
from autoseg.plan.plan import Plan
from autoseg.preprocessing.align import aligned_as_planned
from autoseg.preprocessing.prepare import PreparedCase, prepare_case
from autoseg.preprocessing.region import Part, part_of
from autoseg.run_folder.selection import ClassRule
from autoseg.terminal import styled
from autoseg.whole_image.case_memory import case_bytes
from autoseg.whole_image.case_probabilities import CaseProbabilities, quantized
from autoseg.whole_image.prepared_case import predict_prepared_case
from inference.ensemble_groups import Group, groups_that_see
from inference.input_check import require_pixel_size, require_possible_size, require_predictable, unusual
from inference.measurements.agreement import MemberMap
from inference.measurements.kept_members import KeptMembers, member_maps
from inference.slice_check import require_learned_slices

Tell = Callable[[Text], None]


@dataclass(frozen=True)
class LoadedModels:
    """Models and settings that are the same for every image.

    Args:
        plan: plan of the run.
        fingerprint: properties of the training cases, to warn about images that differ far from them.
        groups: loaded models, one group for each configuration; their probabilities are averaged on the image's grid.
        rules: post-processing rule of each foreground class, in the order of the class indices.
        kept: how label maps of the single models are made; None = they are not.
    """

    plan: Plan
    fingerprint: Fingerprint
    groups: tuple[Group, ...]
    rules: tuple[ClassRule, ...]
    kept: KeptMembers | None = None

    @property
    def device(self) -> torch.device:
        """Device on which the networks predict."""
        return self.groups[0].ensemble.device


@dataclass
class PreparedImage:
    """An image that is ready to be predicted; its arrays are removed from it as soon as they are used.

    Args:
        groups: groups of models that see a sequence of the image.
        part: part of the image that is predicted.
        warnings: what the user is told of the image.
        odd: in what the image is unlike the training cases, a sentence each.
        first: the image prepared for the first group.
        waiting: the image as it was read, once for each further group.
    """

    groups: tuple[Group, ...]
    part: Part
    warnings: tuple[Text, ...]
    odd: tuple[str, ...]
    first: PreparedCase | None
    waiting: list[LoadedCase]


@dataclass
class PredictedImage:
    """The prediction of an image; the probabilities are removed from it as soon as they are used.

    Args:
        part: part of the image that was predicted.
        members: probabilities by each group of models.
        maps: label maps of the single models; empty where they were not made.
        odd: in what the image is unlike the training cases, a sentence each.
        lacking: names of the single models whose label maps the memory did not hold.
    """

    part: Part
    members: list[CaseProbabilities]
    maps: list[MemberMap]
    odd: tuple[str, ...]
    lacking: tuple[str, ...] = ()


def image_bytes(predictor: LoadedModels, case: Case) -> int | None:
    """Largest memory in bytes that an image takes from its files to its label map; None where its header says nothing.

    Args:
        predictor: gives the spacing of each configuration, and the numbers of channels and classes.
        case: names the files of the image.
    """
    plan = predictor.plan
    path = case.first_image
    try:
        if path is None:
            return None
        grid, _ = read_geometry(path, case.pixel_spacing)
    except (AutosegError, OSError, ValueError):
        # it is told when the case is read
        return None
    if plan.orientation == "canonical":
        grid = to_canonical(grid).apply_to_geometry(grid)
    prepared = [resampled_voxels(grid, group.configuration.target_spacing(grid.spacing)) for group in predictor.groups]
    folds = 0 if predictor.kept is None else max(len(group.folds) for group in predictor.groups)
    return case_bytes(math.prod(grid.shape), prepared, len(plan.channels), plan.labels.outputs, folds)


def prepare_image(predictor: LoadedModels, case: Case) -> PreparedImage:
    """Read and check an image, and prepare it for the first group of models.

    The further groups' are made when they predict: all of them at once would take more memory.

    Raises:
        AutosegError: the image cannot be predicted.
    """
    plan, told = predictor.plan, list[Text]()
    loaded = load_case(case, None, plan.orientation)
    require_predictable(loaded, tuple(channel.name for channel in plan.channels))
    groups = groups_that_see(predictor.groups, plan, loaded, told.append)
    require_learned_slices(loaded, plan, predictor.fingerprint, [group.configuration for group in groups])
    require_pixel_size(loaded, predictor.fingerprint)
    loaded = aligned_as_planned(loaded, plan, case)
    part = part_of(loaded, plan.region)
    for group in groups:
        require_possible_size(loaded, plan, group.configuration)
    of_groups = [unusual(loaded, plan, predictor.fingerprint, group.configuration) for group in groups]
    odd = tuple(dict.fromkeys(chain.from_iterable(of_groups)))
    for warning in dict.fromkeys((*loaded.warnings, *loaded.done, *odd)):
        # those of reading name the case already
        told.append(styled("yellow", case.name, f": {warning.removeprefix(f'{case.name}: ')}"))
    # each group removes one entry of the list, so that the last group frees the whole image, which may be large
    waiting = [loaded] * len(groups)
    del loaded
    first = prepare_case(waiting.pop(), plan, groups[0].configuration, case.name, part)
    return PreparedImage(groups, part, tuple(told), odd, first, waiting)


def predict_image(
    predictor: LoadedModels, image: PreparedImage, name: str, tell: Tell, on_window: Callable[[int, int], None]
) -> PredictedImage:
    """Predict a prepared image by each group of models.

    With several groups the probabilities are stored in 8 bit, to save memory; selection compares pairs in 8 bit too.

    Args:
        predictor: groups of models, and how they predict.
        image: prepared image, which is empty afterwards.
        name: name of the case.
        tell: prints a warning about the case.
        on_window: called after each batch of windows with the number of finished and of all windows.
    """
    plan = predictor.plan
    for warning in image.warnings:
        tell(warning)
    members, maps, lacking = [], list[MemberMap](), list[str]()
    for group in image.groups:
        kept_of = None if predictor.kept is None else predictor.kept.of(group)
        prepared, image.first = image.first, None
        if prepared is None:
            prepared = prepare_case(image.waiting.pop(), plan, group.configuration, name, image.part)
        probabilities = predict_prepared_case(
            group.ensemble,
            prepared.image,
            prepared.record.present,
            plan=plan,
            configuration=group.configuration,
            mirror=group.mirror,
            device=predictor.device,
            on_window=on_window,
            members=kept_of,
        )
        record = prepared.record
        del prepared
        overlapping = plan.labels.overlapping
        kept = quantized(probabilities, overlapping=overlapping) if len(predictor.groups) > 1 else probabilities
        members.append(CaseProbabilities(kept, record, overlapping))
        del probabilities, kept
        if kept_of is not None:
            if not kept_of.maps:
                lacking += group.members
            maps += member_maps(group, kept_of, record)
    return PredictedImage(image.part, members, maps, image.odd, tuple(lacking))
