"""Validation on whole cases: at the plan's spacing during training, at the original geometry at the end.

In: a network and preprocessed cases. Out: Dice; at the end also label maps and probabilities of the validation cases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from autoseg.image.image import read_label, write_image
from autoseg.metrics import count_voxels
from autoseg.network.build import network_by_plan, on_device
from autoseg.network.unet import UNet
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import open_case
from autoseg.terminal import progress_bar
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
    dice = {}
    with progress_bar() as bar:
        for case_name in bar.track(cases, description="Validation"):
            case = open_case(run.case(plan.preprocessed_as(name), case_name))
            probabilities = predict(case.image[:], case.record.present)
            write_probabilities(run.probabilities(name), case.record, probabilities)
            predicted = export_labels(probabilities, case.record, plan.labels)
            write_image(run.cross_validation(name) / f"{case_name}.nii.gz", predicted)
            reference = read_label(case.reference).array
            dice[case_name] = [
                count_voxels(reference == value, predicted.array == value).dice for value in plan.labels.values[1:]
            ]
    return dice
