"""nnU-Net's own training step on the same kind of cases, where nnunetv2 is installed."""

from __future__ import annotations

import importlib.util
import statistics
import time
from typing import Any

import torch

from benchmarks.gpu.plans import Kind, planned

CLASSES_OF_ARCHITECTURES = {
    "plain": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "resenc_l": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
}


def train_steps(kind: Kind, device: torch.device, steps: int) -> dict[str, Any]:
    """Median seconds of nnU-Net's `train_step`, and its peak memory.

    Args:
        kind: cases, and architecture.
        device: device that trains.
        steps: number of steps that are timed after two that are not.
    """
    if importlib.util.find_spec("nnunetv2") is None:
        return {"left out": "nnunetv2 is not installed"}
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    name = "2d" if kind.configuration == "2d" else "3d_fullres"
    labels = {"background": 0} | {f"class_{i}": i for i in range(1, kind.classes + 1)}
    declared = {"channel_names": {"0": "MR"}, "labels": labels, "numTraining": 40, "file_ending": ".nii.gz"}
    trainer = nnUNetTrainer(_plans(kind), name, 0, declared | {"dataset_name": "made"}, device)
    trainer.initialize()
    patch = trainer.configuration_manager.patch_size
    sizes = [[round(n * f) for n, f in zip(patch, s, strict=True)] for s in trainer._get_deep_supervision_scales()]
    batch: dict[str, Any] = {"data": torch.randn(trainer.batch_size, trainer.num_input_channels, *patch)}
    batch["target"] = [torch.randint(0, kind.classes + 1, (trainer.batch_size, 1, *s)).short() for s in sizes]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for step in range(steps + 2):
        started = time.perf_counter()
        # it fetches the loss, and so waits for the device
        trainer.train_step(batch)
        if step >= 2:
            seconds.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
    return {"seconds": statistics.median(seconds), "peak gb": round(peak, 2)}


def _plans(kind: Kind) -> dict[str, Any]:
    """The plan of a kind in the form of nnU-Net's plans file; its axes need no transposition."""
    _, configuration = planned(kind)
    network, flat = configuration.network, kind.configuration == "2d"
    start = 1 if flat else 0
    stages = len(network.features)
    operators = {True: "2d", False: "3d"}[flat]
    blocks = "n_conv_per_stage" if network.architecture == "plain" else "n_blocks_per_stage"
    arguments = {
        "n_stages": stages,
        "features_per_stage": list(network.features),
        "conv_op": f"torch.nn.modules.conv.Conv{operators}",
        "kernel_sizes": [list(k[start:]) for k in network.kernel_sizes],
        "strides": [list(s[start:]) for s in network.strides],
        blocks: list(network.encoder_blocks),
        "n_conv_per_stage_decoder": list(network.decoder_blocks),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{operators}",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    of_configuration = {
        "data_identifier": "made",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": configuration.batch_size,
        "patch_size": list(configuration.patch_size[start:]),
        "median_image_size_in_voxels": list(kind.shape[start:]),
        "spacing": [1.0] * (3 - start),
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {},
        "resampling_fn_seg_kwargs": {},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {},
        "architecture": {
            "network_class_name": CLASSES_OF_ARCHITECTURES[network.architecture],
            "arch_kwargs": arguments,
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": configuration.training.batch_dice,
    }
    return {
        "dataset_name": "made",
        "plans_name": "made",
        "original_median_spacing_after_transp": [1.0] * 3,
        "original_median_shape_after_transp": list(kind.shape),
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"2d" if flat else "3d_fullres": of_configuration},
        "experiment_planner_used": "made",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {},
        "continue_training": False,
    }
