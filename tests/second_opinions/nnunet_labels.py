"""Prints what nnU-Net makes of labels with regions and ignored voxels, as JSON: `python … FILE OUTPUT`.

FILE is an .npz with entries `NAME_labels` (JSON of the labels), `NAME_order` (JSON of `regions_class_order` or null),
`NAME_logits` (B, K, z, y, x), `NAME_reference` and `NAME_prediction` (B, z, y, x), of each of the `names`.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from batchgeneratorsv2.transforms.utils.seg_to_regions import ConvertSegmentationToRegionsTransform
from nnunetv2.evaluation.evaluate_predictions import compute_metrics
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.utilities.label_handling.label_handling import LabelManager


def loss_module(manager: LabelManager, batch_dice: bool, weight_ce: float) -> torch.nn.Module:
    """The loss as `nnUNetTrainer._build_loss` makes it, with one process."""
    dice = {"batch_dice": batch_dice, "smooth": 1e-5, "ddp": False}
    if manager.has_regions:
        return DC_and_BCE_loss(
            {},
            dice | {"do_bg": True},
            weight_ce=weight_ce,
            use_ignore_label=manager.has_ignore_label,
            dice_class=MemoryEfficientSoftDiceLoss,
        )
    return DC_and_CE_loss(
        dice | {"do_bg": False},
        {},
        weight_ce=weight_ce,
        ignore_label=manager.ignore_label,
        dice_class=MemoryEfficientSoftDiceLoss,
    )


def losses(manager: LabelManager, logits: torch.Tensor, reference: torch.Tensor, weight_ce: float) -> list[float]:
    """Loss without and with Dice over the batch."""
    target = reference[:, None]
    if manager.has_regions:
        regions = [*manager.foreground_regions, *([manager.ignore_label] if manager.has_ignore_label else [])]
        convert = ConvertSegmentationToRegionsTransform(regions=regions, channel_in_seg=0)
        target = torch.stack([convert(segmentation=one)["segmentation"] for one in target])
    return [loss_module(manager, batch_dice, weight_ce)(logits, target).item() for batch_dice in (False, True)]


def metrics(manager: LabelManager, reference: np.ndarray, prediction: np.ndarray) -> list[dict]:
    """Dice and counts of each region or label, which go through files."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("reference.nii.gz", "prediction.nii.gz")]
        for file, array in zip(files, (reference, prediction), strict=True):
            sitk.WriteImage(sitk.GetImageFromArray(array), file)
        judged = manager.foreground_regions if manager.has_regions else manager.foreground_labels
        found = compute_metrics(*files, SimpleITKIO(), judged, manager.ignore_label)["metrics"]
    return [{key: float(value) for key, value in of_one.items()} for of_one in found.values()]


with np.load(sys.argv[1]) as arrays:
    answers = {}
    for name in arrays["names"]:
        manager = LabelManager(*(json.loads(str(arrays[f"{name}_{what}"])) for what in ("labels", "order")))
        logits, reference = (torch.from_numpy(arrays[f"{name}_{what}"]) for what in ("logits", "reference"))
        answers[str(name)] = {
            "outputs": manager.num_segmentation_heads,
            "label_map": np.stack([manager.convert_logits_to_segmentation(one) for one in logits]).tolist(),
            "loss": losses(manager, logits, reference, 1.0),
            "dice_loss": losses(manager, logits, reference, 0.0),
            "metrics": metrics(manager, arrays[f"{name}_reference"][0], arrays[f"{name}_prediction"][0]),
        }
Path(sys.argv[2]).write_text(json.dumps(answers))
