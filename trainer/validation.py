"""Validation on whole cases: at the plan's spacing during training, at the original geometry at the end.

In: a network and preprocessed cases. Out: Dice; at the end also label maps and probabilities of the validation cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.errors import AutosegError
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses, known_outputs
from autoseg.image.image import read_label, write_image
from autoseg.image.labels import Labels
from autoseg.machine.overlap import may_overlap, overlapped
from autoseg.metrics import count_voxels
from autoseg.network.build import network_by_plan, on_device
from autoseg.network.unet import UNet
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import PreprocessedCase, open_case, read_record
from autoseg.terminal import progress_bar
from autoseg.whole_image.case_memory import case_bytes
from autoseg.whole_image.export import export_labels
from autoseg.whole_image.out_of_fold import write_probabilities
from autoseg.whole_image.patch_probabilities import mean_probabilities
from autoseg.whole_image.prepared_case import predict_prepared_case

OnWindow = Callable[[int, int], None]


def evaluation_network(
    plan: Plan, configuration: Configuration, weights: dict[str, torch.Tensor], device: torch.device
) -> UNet:
    """A network in evaluation mode with the given weights."""
    module = network_by_plan(plan, configuration)
    module.load_state_dict(weights)
    return on_device(module, device).eval()


def dice_at_plan_spacing(
    module: UNet,
    folders: Sequence[Path],
    plan: Plan,
    configuration: Configuration,
    device: torch.device,
    on_window: OnWindow | None = None,
) -> float:
    """Mean foreground Dice over preprocessed cases, at the plan's spacing, without mirroring.

    The voxels of all cases are pooled for each class. A class that neither reference nor prediction has is left out.
    A voxel belongs to a region where its probability exceeds one half. Ignored voxels do not count, nor does a class in
    a case in which nobody looked for it.

    Args:
        module: network in evaluation mode, on the device.
        folders: folders of the preprocessed cases.
        plan: plan that holds the sequences and the classes.
        configuration: configuration that the network was built from.
        device: device that holds the network and predicts.
        on_window: function called after each window of the prediction; None = none.
    """
    predict = partial(
        predict_prepared_case,
        partial(mean_probabilities, (module,), overlapping=plan.labels.overlapping),
        plan=plan,
        configuration=configuration,
        mirror=(),
        device=device,
        on_window=on_window,
    )
    counts = np.zeros((3, len(plan.labels.foreground)))
    for folder in folders:
        case = open_case(folder)
        of_case = _counts(predict(case.image[:], case.record.present), case.label[:], plan.labels)
        counts += of_case * known_outputs(plan.labels, case.record.annotated)
    return pooled_dice(counts)


def _counts(probabilities: NDArray[np.float16], reference: NDArray[np.uint8], labels: Labels) -> NDArray[np.float64]:
    """Numbers of true positive, predicted and reference voxels (3, F) of each foreground class or region of a case.

    Args:
        probabilities: probabilities (K, z, y, x) of the network's outputs.
        reference: class indices (z, y, x).
        labels: classes and regions of the data set.
    """
    annotated = labels.annotated(reference)
    if labels.overlapping:
        pairs = [(labels.mask(reference, i), p > 0.5) for i, p in enumerate(probabilities, start=1)]
        if annotated is not None:
            pairs = [(truth & annotated, predicted & annotated) for truth, predicted in pairs]
        return np.array([[(a & b).sum(), b.sum(), a.sum()] for a, b in pairs], dtype=np.float64).T
    predicted, classes = probabilities.argmax(0), labels.classes
    if annotated is not None:
        predicted, reference = predicted[annotated], reference[annotated]
    right = predicted[predicted == reference]
    return np.array([np.bincount(of.ravel(), minlength=classes)[1:] for of in (right, predicted, reference)], float)


def pooled_dice(counts: np.ndarray) -> float:
    """Mean Dice over the classes, from numbers of true positive, predicted and reference voxels (3, K).

    A class that neither reference nor prediction has is left out. The result is 0 if no class is left.
    """
    total = counts[1] + counts[2]
    return float((2 * counts[0][total > 0] / total[total > 0]).mean()) if (total > 0).any() else 0.0


def predict_validation_cases(
    run: RunFolder,
    plan: Plan,
    name: str,
    cases: Sequence[str],
    module: UNet,
    device: torch.device,
    on_window: OnWindow | None = None,
) -> dict[str, list[float | None]]:
    """Predict whole cases; write label maps at the original geometry and probabilities at the plan's spacing.

    While a case is predicted, the next one is read and the one before is written, where `may_overlap` allows it.

    Args:
        run: RUN folder that holds the preprocessed cases and gets the predictions.
        plan: plan in the RUN folder.
        name: name of the configuration that the network was trained for.
        cases: names of the validation cases.
        module: network in evaluation mode, on the device.
        device: device that holds the network and predicts.
        on_window: function called after each window of the prediction; None = none.

    Returns:
        For each case the Dice of each foreground class at the original resolution; None where neither reference nor
        prediction has the class, or nobody looked for it.
    """
    configuration = plan.configuration(name)
    predict = partial(
        predict_prepared_case,
        partial(mean_probabilities, (module,), overlapping=plan.labels.overlapping),
        plan=plan,
        configuration=configuration,
        mirror=configuration.mirrored_in_prediction,
        device=device,
        on_window=on_window,
    )

    def prepare(case_name: str) -> _Read:
        case = open_case(run.case(plan.preprocessed_as(name), case_name))
        return _Read(case, [case.image[:]])

    def compute(case_name: str, read: _Read) -> _Predicted:
        # removed from the list, so that each array is freed once it has been used
        return _Predicted(read.case, [predict(read.image.pop(), read.case.record.present)])

    with progress_bar() as bar:
        task = bar.add_task("Validation", total=len(cases))

        def finish(case_name: str, predicted: _Predicted) -> list[float | None]:
            dice = _write_prediction(run, plan, name, case_name, predicted.case, predicted.probabilities.pop())
            bar.advance(task)
            return dice

        together = may_overlap(device, partial(_bytes_of, run, plan, name))
        return dict(zip(cases, overlapped(cases, prepare, compute, finish, together=together), strict=True))


class _Read(NamedTuple):
    """A preprocessed case, and its image (channel, z, y, x) in a list."""

    case: PreprocessedCase
    image: list[NDArray[np.float32]]


class _Predicted(NamedTuple):
    """A preprocessed case, and its probabilities (K, z, y, x) in a list."""

    case: PreprocessedCase
    probabilities: list[NDArray[np.float16]]


def _bytes_of(run: RunFolder, plan: Plan, name: str, case_name: str) -> int | None:
    """Largest memory in bytes that the prediction of a case takes; None where its record cannot be read."""
    try:
        record = read_record(run.case(plan.preprocessed_as(name), case_name))
    except (AutosegError, OSError):
        # it is told when the case is read
        return None
    sizes = math.prod(record.stored.shape), math.prod(record.shape)
    return case_bytes(sizes[0], sizes[1:], len(record.present), plan.labels.outputs)


def _write_prediction(
    run: RunFolder,
    plan: Plan,
    name: str,
    case_name: str,
    case: PreprocessedCase,
    probabilities: NDArray[np.float16],
) -> list[float | None]:
    """Write probabilities and label map of a case, and return the Dice of each foreground class."""
    write_probabilities(run.probabilities(name), case.record, probabilities, overlapping=plan.labels.overlapping)
    predicted = export_labels(probabilities, case.record, plan.labels)
    del probabilities
    write_image(run.cross_validation(name) / f"{case_name}.nii.gz", predicted)
    return _dice(read_label(case.reference).array, predicted.array, plan.labels, case.record.annotated)


def _dice(
    reference: NDArray, predicted: NDArray, labels: Labels, annotated_classes: AnnotatedClasses = EVERY
) -> list[float | None]:
    """Dice of each foreground class or region, None where nobody looked for it; ignored voxels do not count."""
    truth, guess = labels.to_classes(reference), labels.to_classes(predicted)
    if (annotated := labels.annotated(truth)) is not None:
        truth, guess = truth * annotated, guess * annotated
    known = known_outputs(labels, annotated_classes)
    return [
        count_voxels(labels.mask(truth, index), labels.mask(guess, index)).dice if is_known else None
        for index, is_known in enumerate(known, start=1)
    ]
