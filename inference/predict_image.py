"""The three parts of predicting an image: read and prepare it, predict it, and bring it to its grid and write it.

The parts of different images may run at the same time, each in its own thread; they share the `LoadedModels` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.text import Text

from autoseg.dataset.case import Case
from autoseg.dataset.fingerprint import Fingerprint
from autoseg.dataset.load import LoadedCase, load_case
from autoseg.errors import AutosegError
from autoseg.image.flat.kind import LABEL_ENDING
from autoseg.image.geometry import to_canonical
from autoseg.image.image import read_geometry, write_image
from autoseg.image.resampled_size import resampled_voxels
from autoseg.plan.plan import Plan
from autoseg.preprocessing.align import aligned_as_planned
from autoseg.preprocessing.prepare import PreparedCase, prepare_case
from autoseg.preprocessing.region import Part, part_of
from autoseg.results import WrittenFile
from autoseg.run_folder.lesion_scores import LesionScores
from autoseg.run_folder.selection import ClassRule
from autoseg.terminal import styled
from autoseg.whole_image.case_memory import case_bytes
from autoseg.whole_image.case_probabilities import CaseProbabilities, quantized
from autoseg.whole_image.export import export_probabilities
from autoseg.whole_image.mixture import Mixture
from autoseg.whole_image.prepared_case import predict_prepared_case
from inference.ensemble_groups import Group, groups_that_see
from inference.input_check import require_pixel_size, require_possible_size, require_predictable, unusual
from inference.lesion_scores.components import predicted_lesions
from inference.lesion_scores.table import LesionTable, Row, rows_of
from inference.post_processing import post_processed
from inference.predicted_part import notes
from inference.writers import Writer

Tell = Callable[[Text], None]
Wrote = Callable[[WrittenFile], None]


@dataclass(frozen=True)
class LoadedModels:
    """Models and settings that are the same for every image.

    Args:
        plan: plan of the run.
        fingerprint: properties of the training cases, to warn about images that differ far from them.
        groups: loaded models, one group for each configuration; their probabilities are averaged on the image's grid.
        rules: post-processing rule of each foreground class, in the order of the class indices.
        save_probabilities: whether the probability of each class is written too.
        scores: how predicted lesions are scored, by class name.
        table: `predicted_lesions.csv`; None where the plan has no lesions and there is no such file.
        writer: writes the predictions in their format; None where nothing is written.
        wrote: called with each file of an image once it is written.
    """

    plan: Plan
    fingerprint: Fingerprint
    groups: tuple[Group, ...]
    rules: tuple[ClassRule, ...]
    save_probabilities: bool
    scores: Mapping[str, LesionScores]
    table: LesionTable | None
    writer: Writer | None = None
    wrote: Wrote = lambda file: None

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
        first: the image prepared for the first group.
        waiting: the image as it was read, once for each further group.
    """

    groups: tuple[Group, ...]
    part: Part
    warnings: tuple[Text, ...]
    first: PreparedCase | None
    waiting: list[LoadedCase]


@dataclass
class PredictedImage:
    """The prediction of an image; the probabilities are removed from it as soon as they are used.

    Args:
        part: part of the image that was predicted.
        members: probabilities by each group of models.
    """

    part: Part
    members: list[CaseProbabilities]


def image_bytes(predictor: LoadedModels, case: Case) -> int | None:
    """Largest memory in bytes that an image takes from its files to its label map; None where its header says nothing.

    Args:
        predictor: gives the spacing of each configuration, and the numbers of channels and classes.
        case: names the files of the image.
    """
    plan = predictor.plan
    path = next((image for image in case.images if image is not None), None)
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
    return case_bytes(math.prod(grid.shape), prepared, len(plan.channels), plan.labels.outputs)


def prepare_image(predictor: LoadedModels, case: Case) -> PreparedImage:
    """Read and check an image, and prepare it for the first group of models.

    The further groups' are made when they predict: all of them at once would take more memory.

    Raises:
        AutosegError: the image cannot be predicted.
    """
    plan, told = predictor.plan, list[Text]()
    if predictor.writer is not None:
        predictor.writer.require(case)
    loaded = load_case(case, None, plan.orientation)
    require_predictable(loaded, tuple(channel.name for channel in plan.channels))
    require_pixel_size(loaded, predictor.fingerprint)
    loaded = aligned_as_planned(loaded, plan, case)
    part = part_of(loaded, plan.region)
    groups = groups_that_see(predictor.groups, plan, loaded, told.append)
    for group in groups:
        require_possible_size(loaded, plan, group.configuration)
    odd = [unusual(loaded, plan, predictor.fingerprint, group.configuration) for group in groups]
    for warning in dict.fromkeys((*loaded.warnings, *loaded.done, *chain.from_iterable(odd))):
        told.append(styled("yellow", case.name, f": {warning}"))
    # each group removes one entry of the list, so that the last group frees the whole image, which may be large
    waiting = [loaded] * len(groups)
    del loaded
    first = prepare_case(waiting.pop(), plan, groups[0].configuration, case.name, part)
    return PreparedImage(groups, part, tuple(told), first, waiting)


def predict_image(
    predictor: LoadedModels, image: PreparedImage, name: str, tell: Tell, on_window: Callable[[int, int], None]
) -> PredictedImage:
    """Predict a prepared image by each group of models.

    With several groups the probabilities are stored in 8 bit, to save memory; selection compares pairs in 8 bit too.

    Args:
        predictor: models and settings.
        image: prepared image, which is empty afterwards.
        name: name of the case.
        tell: prints a line.
        on_window: called after each batch of windows with the number of finished and of all windows.
    """
    plan = predictor.plan
    for warning in image.warnings:
        tell(warning)
    members = []
    for group in image.groups:
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
        )
        record = prepared.record
        del prepared
        overlapping = plan.labels.overlapping
        kept = quantized(probabilities, overlapping=overlapping) if len(predictor.groups) > 1 else probabilities
        members.append(CaseProbabilities(kept, record, overlapping))
        del probabilities, kept
    return PredictedImage(image.part, members)


def finish_image(predictor: LoadedModels, image: PredictedImage, name: str, target: Path, tell: Tell) -> None:
    """Bring a prediction to the grid of its image, and write the label map and what else was asked for.

    Args:
        predictor: settings, and the table of predicted lesions.
        image: prediction, which is empty afterwards.
        name: name of the case.
        target: file of the label map.
        tell: prints a line.
    """
    plan, members, writer = predictor.plan, image.members, predictor.writer
    assert writer is not None, "models without a writer predict into memory alone"
    image.members = []
    if predictor.save_probabilities:
        folder = target.parent / "probabilities" / name
        kind = "region" if plan.labels.overlapping else "label"
        # PNG holds no fractions
        ending = writer.probability_ending or target.name.removeprefix(name).replace(LABEL_ENDING, ".nii.gz")
        for value, probability in export_probabilities(members, plan.labels):
            file = folder / f"{kind}_{value}{ending}"
            write_image(file, probability)
            predictor.wrote(WrittenFile(name, f"probability of {kind} {value}", file))
    record = members[0].record
    classes = post_processed(members, predictor.rules, plan.labels)
    if not plan.lesions and not writer.wants_probabilities:
        members = []
    for note in notes(image.part, classes):
        tell(styled("yellow", name, f": {note}"))
    if predictor.table is not None:
        predictor.table.begin(name)
    for written in writer.write(name, target, classes, record, members):
        predictor.wrote(written)
    if predictor.table is not None and plan.lesions:
        predictor.table.add(_lesion_rows(predictor, name, classes, Mixture(members)))


def _lesion_rows(predictor: LoadedModels, case: str, classes: NDArray[np.uint8], mixture: Mixture) -> Iterator[Row]:
    """Rows of `predicted_lesions.csv` of one case."""
    plan, grid = predictor.plan, mixture.record.reoriented
    for name in plan.lesions:
        index = plan.labels.foreground.index(name) + 1
        found = predicted_lesions(plan.labels.mask(classes, index), mixture, index)
        yield from rows_of(case, name, found, predictor.scores.get(name), grid)
