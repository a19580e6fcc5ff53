"""Saves and loads the weights of a fold: one safetensors file for each fold, without any training state."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from autoseg.disk.checksums import DAMAGED
from autoseg.errors import RunFolderError
from autoseg.files import disk_errors_named, replaced_when_done
from autoseg.network.build import network_by_plan, on_device
from autoseg.network.unet import UNet
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console

CHECKSUM = "sha256"
"""Key of the weights' checksum in the header of their file."""


def save_weights(path: Path, weights: dict[str, torch.Tensor]) -> None:
    """Write weights, given by parameter name, atomically, with their checksum in the header."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in weights.items()}
    with replaced_when_done(path) as temporary, disk_errors_named(temporary, SafetensorError):
        save_file(tensors, temporary, metadata={CHECKSUM: _digest(tensors)})


def _digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of tensors with their names and shapes, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)} {tensors[name].dtype}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def stated_checksum(path: Path) -> str | None:
    """Checksum of weights as the header of their file states it; None where it states none or cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get(CHECKSUM)
    except (OSError, SafetensorError):
        return None


def training_of(run: RunFolder, configuration: str, fold: int) -> str:
    """What tells a model, and one training of it from another one; weights of an unfinished one change."""
    weights, finished = run.weights(configuration, fold), run.finished(configuration, fold)
    told = stated_checksum(weights)
    if told is None:
        # of an earlier release
        told = finished.read_text(encoding="utf-8") if finished.exists() else str(weights.stat().st_mtime_ns)
    return told


def load_network(run: RunFolder, plan: Plan, configuration: str, fold: int, device: str | torch.device) -> UNet:
    """Load the trained network of one fold, in evaluation mode on `device`.

    Raises:
        RunFolderError: the fold is not trained, its file is damaged, or the plan has another network now.
    """
    path = run.require(run.weights(configuration, fold), f"autoseg train {run.path} --fold {fold}")
    module = network_by_plan(plan, plan.configuration(configuration))
    try:
        tensors = load_file(path)
        written = stated_checksum(path)
        if written is None:
            open_console(stderr=True).print(
                f"{path}: written by an earlier release without a checksum, so a damaged file would not be noticed",
                style="yellow",
                soft_wrap=True,
            )
        elif written != _digest(tensors):
            raise RunFolderError(
                f"{path}: {DAMAGED}; copy it again from where it came, or delete {path.parent} "
                f"and train fold {fold} again"
            )
        module.load_state_dict(tensors)
    except (OSError, SafetensorError) as error:
        raise RunFolderError(f"{path}: damaged ({error}); train the fold again") from None
    except RuntimeError:
        raise RunFolderError(
            f"{path}: does not fit the network in {run.plan}; undo the change of the plan or train again"
        ) from None
    return on_device(module, torch.device(device)).eval()
