"""The processes that train one fold together: each has a part of every batch, and all have the same weights.

They are started by torch's own launcher:

    torchrun --nproc-per-node 2 -m autoseg train RUN --fold 0

Gradients are averaged by DistributedDataParallel. The process of rank 0 leads: it alone writes files, looks at the
clock and decides; the others follow what it tells them. A process that is started without the launcher leads and is
alone.
"""

from __future__ import annotations

import atexit
import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from autoseg.errors import InputError
from autoseg.machine.launcher import rank_of_launcher


@dataclass(frozen=True)
class Ranks:
    """A process among those that train a fold together.

    Args:
        rank: number of this process, from 0.
        count: number of processes that train the fold; 1 = this one alone.
    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and decides."""
        return self.rank == 0

    def places(self, batch_size: int) -> range:
        """Places of a batch whose patches this process makes.

        Raises:
            InputError: the batch cannot be shared out evenly.
        """
        if batch_size % self.count:
            possible = [n for n in range(1, batch_size + 1) if batch_size % n == 0]
            raise InputError(
                f"{self.count} processes cannot share a batch of {batch_size} patches evenly; start "
                f"{' or '.join(map(str, possible))}"
            )
        return range(self.rank, batch_size, self.count)

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """Sum of a tensor over all processes; gradients flow through it."""
        return values if self.count == 1 else _Summed.apply(values)

    def wait(self) -> None:
        """Wait until all processes have come here."""
        if self.count > 1:
            distributed.barrier()

    def told(self, text: str, device: torch.device) -> str:
        """The text of the leading process, for all.

        Args:
            text: text of this process; that of the leading one is told to the others.
            device: device whose tensors the processes exchange.
        """
        if self.count == 1:
            return text
        content = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device)
        length = torch.tensor([len(content)], device=device)
        distributed.broadcast(length, 0)
        if not self.leads:
            content = torch.empty(int(length), dtype=torch.uint8, device=device)
        distributed.broadcast(content, 0)
        return bytes(content.tolist()).decode()


class _Summed(torch.autograd.Function):
    """Sum over all processes, whose gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: object, values: torch.Tensor) -> torch.Tensor:
        return _total(values)

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
        return _total(gradient)


def _total(values: torch.Tensor) -> torch.Tensor:
    """A new tensor: the sum over all processes, without gradients."""
    total = values.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total


ALONE = Ranks()


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the processes of torch's launcher, and leave them in the end.

    Args:
        device: device that is asked for; with several processes on CUDA each takes a card of its own.

    Yields:
        This process among them, and its device.

    Raises:
        InputError: a number of a card is given, or the device is neither a CPU nor CUDA.
    """
    if rank_of_launcher() is None:
        yield ALONE, device
        return
    if device.type not in ("cpu", "cuda") or device.index is not None:
        raise InputError(f"device {device}: processes of torchrun take --device cpu, or --device cuda and a card each")
    if device.type == "cuda":
        device = torch.device("cuda", distributed.get_node_local_rank())
        torch.cuda.set_device(device)
    # Its functions have the group of the moment of its import as a default, and DistributedDataParallel imports it.
    # With a group that they keep, gloo's threads go on while Python ends, which then and now aborts the process.
    importlib.import_module("torch.distributed.nn.functional")
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size()), device
    finally:
        distributed.destroy_process_group()
        # DistributedDataParallel is part of cycles, and has the group as well
        atexit.register(gc.collect)
