"""The devices that train folds side by side: from the option to names, and the cores and memory that each has.

Folds are trained by one process a device. Devices of one run are all of one kind, since a plan is made for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.errors import InputError
from autoseg.machine.cores import available_cores
from autoseg.plan.bounds import MOST_DEVICES

HOW = "name CUDA cards by their numbers, as --devices 0 1, or write --devices cpu cpu for two processes on a CPU"


@dataclass(frozen=True)
class Place:
    """Where one of several processes trains.

    Args:
        device: name of its device, such as `cuda:0` or `cpu`.
        cores: the cores of this machine that it may use; no other training has them.
    """

    device: str
    cores: tuple[int, ...]


def choose_devices(device: str, devices: Sequence[str | int] | str | int | None) -> tuple[str, ...]:
    """Return the names of the devices that train folds side by side.

    Args:
        device: the person's `--device`; `auto` = none was given.
        devices: the person's `--devices`: numbers of CUDA cards, `cuda:N`, `cpu` or `mps`; None = not given.

    Returns:
        One name for each process, such as `cuda:0`. Without `devices` these are all CUDA cards where there are several;
        empty = folds are trained one after the other, on the device that `device` names.

    Raises:
        InputError: both options are given, a name is unknown or named twice, this machine has no such device, or the
            devices are of several kinds.
    """
    if devices is None:
        return _all_cards() if device == "auto" else ()
    if device != "auto":
        raise InputError(
            f"--device {device} and --devices exclude each other; --devices names every device that trains"
        )
    names = tuple(map(_name, (devices,) if isinstance(devices, str | int) else devices))
    if not names:
        raise InputError(f"--devices: no device is named; {HOW}")
    _refuse_what_does_not_fit(names)
    from autoseg.machine.device import resolve_device

    for name in names:
        resolve_device(name)
    return names


def places_of(devices: Sequence[str], cores: Sequence[int]) -> tuple[Place, ...]:
    """Share the cores out to the devices: neighbouring cores, as equally as they can be divided.

    Args:
        devices: name of the device of each process.
        cores: the cores that all of them may use together. Where these are fewer than the devices, some share one.
    """
    count, numbers = len(devices), list(cores)
    if len(numbers) < count:
        return tuple(Place(device, (numbers[i % len(numbers)],)) for i, device in enumerate(devices))
    bounds = [i * len(numbers) // count for i in range(count + 1)]
    return tuple(Place(device, tuple(numbers[bounds[i] : bounds[i + 1]])) for i, device in enumerate(devices))


def _name(given: str | int) -> str:
    """Name of a device as torch has it: a number is that of a CUDA card."""
    text = str(given).strip().lower()
    number = text.removeprefix("cuda:")
    if number.isascii() and number.isdigit() and len(number) <= len(str(MOST_DEVICES)):
        return f"cuda:{int(number)}"
    if text not in ("cpu", "mps"):
        raise InputError(f"--devices {given}: unknown; {HOW}")
    return text


def _refuse_what_does_not_fit(names: Sequence[str]) -> None:
    """Refuse devices of several kinds, a card that is named twice, and more processes on a CPU than it has cores."""
    kinds = list(dict.fromkeys(name.partition(":")[0] for name in names))
    if len(kinds) > 1:
        raise InputError(f"--devices: {' and '.join(kinds)} together; a plan is made for one kind of device")
    if len(names) > MOST_DEVICES:
        raise InputError(f"--devices: {len(names)} are named; at most {MOST_DEVICES} train side by side")
    if kinds == ["cpu"]:
        if len(names) > (cores := available_cores()):
            raise InputError(f"--devices: cpu is named {len(names)} times, and this process may use {cores} cores")
        return
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"--devices: {twice} is named twice; a card trains one fold at a time")


def _all_cards() -> tuple[str, ...]:
    """Names of all CUDA cards where there are several; empty where there is one or none."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return tuple(f"cuda:{number}" for number in range(min(count, MOST_DEVICES))) if count > 1 else ()
