"""Saves and loads the weights of a fold: one safetensors file for each fold, without any training state."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from autoseg.errors import RunFolderError
from autoseg.files import replaced_when_done
from autoseg.network.build import network_of, on_device
from autoseg.network.unet import UNet
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder


def save_weights(path: Path, weights: dict[str, torch.Tensor]) -> None:
    """Write weights, given by parameter name, atomically."""
    with replaced_when_done(path) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, temporary)


def load_network(run: RunFolder, plan: Plan, configuration: str, fold: int, device: str | torch.device) -> UNet:
    """Load the trained network of one fold, in evaluation mode on `device`.

    Raises:
        RunFolderError: the fold is not trained, its file is damaged, or the plan has another network now.
    """
    path = run.require(run.weights(configuration, fold), f"autoseg train {run.path} --fold {fold}")
    module = network_of(plan, plan.configuration(configuration))
    try:
        module.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise RunFolderError(f"{path}: damaged ({error}); train the fold again") from None
    except RuntimeError:
        raise RunFolderError(
            f"{path}: does not fit the network in {run.plan}; undo the change of the plan or train again"
        ) from None
    return on_device(module, torch.device(device)).eval()
