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
from autoseg.image.image import read_label, write_image
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
        partial(mean_probabilities, (module,)),
        plan=plan,
        configuration=configuration,
        mirror=(),
        device=device,
        on_window=on_window,
    )
    classes = plan.labels.classes
    counts = np.zeros((3, classes))
    for folder in folders:
        case = open_case(folder)
        probabilities = predict(case.image[:], case.record.present)
        predicted, reference = probabilities.argmax(0), case.label[:]
        counts[0] += np.bincount(predicted[predicted == reference], minlength=classes)
        counts[1] += np.bincount(predicted.ravel(), minlength=classes)
        counts[2] += np.bincount(reference.ravel(), minlength=classes)
    return pooled_dice(counts[:, 1:])


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
        prediction has the class.
    """
    configuration = plan.configuration(name)
    predict = partial(
        predict_prepared_case,
        partial(mean_probabilities, (module,)),
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
    return case_bytes(sizes[0], sizes[1:], len(record.present), plan.labels.classes)


def _write_prediction(
    run: RunFolder,
    plan: Plan,
    name: str,
    case_name: str,
    case: PreprocessedCase,
    probabilities: NDArray[np.float16],
) -> list[float | None]:
    """Write probabilities and label map of a case, and return the Dice of each foreground class."""
    write_probabilities(run.probabilities(name), case.record, probabilities)
    predicted = export_labels(probabilities, case.record, plan.labels)
    del probabilities
    write_image(run.cross_validation(name) / f"{case_name}.nii.gz", predicted)
    reference = read_label(case.reference).array
    return [count_voxels(reference == value, predicted.array == value).dice for value in plan.labels.values[1:]]
