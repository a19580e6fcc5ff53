"""Tensors that say `cuda:N`, compute on the CPU, and refuse what a GPU refuses. To be imported after `library.load`."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ROOT = Path(__file__).parents[2]
FREE_BYTES = 8 * 2**30

BETWEEN_DEVICES = {"aten::_to_copy", "aten::copy_", "prims::device_put"}
"""Operators whose tensors may lie on different devices."""

INDEXING = {"aten::index.Tensor", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_"}
"""Operators whose index may lie on the CPU while the indexed tensor lies on a card."""

WAITING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::bincount", "aten::masked_select"}
"""Operators whose result, or its size, is known only when the card has computed it."""


class OnCard(torch.Tensor):
    """A tensor that says that it lies on a card; its values are in `held`, on the CPU."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor, index: int) -> OnCard:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device("cuda", index),
            requires_grad=False,
        )
        made.held = held
        return made

    def __repr__(self, **_: object) -> str:
        return f"OnCard({self.held}, {self.device})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class Cards(TorchDispatchMode):
    """Context manager in which tensors can be made on cards."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


waits: list[tuple[str, str]] = []
"""What waited for a card: the operator, and the last function of the project that led to it."""

used: set[int] = set()
"""Numbers of the cards that a tensor was made on."""


def compute(func: Any, args: Any, kwargs: Any) -> Any:
    """Compute an operator on the CPU, as the cards that hold its tensors would."""
    name = func._schema.name
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    on_cards = [tensor for tensor in tensors if isinstance(tensor, OnCard)]
    if name in ("aten::pin_memory", "aten::_pin_memory"):
        return args[0]
    _refuse_mixed(name, args, tensors)
    asked = kwargs.get("device")
    to = None if asked is None else torch.device(asked)
    if on_cards and (name in WAITING or _waits_for_an_index(name, args) or _leaves(name, args, to)):
        waits.append((name, _caller()))
    inside = {k: v for k, v in kwargs.items() if k != "pin_memory"}
    if to is not None:
        inside["device"] = torch.device("cpu")
    result = func(*tree_map(_held, args), **tree_map(_held, inside))
    card = _card(name, args, on_cards, to)
    if card is None:
        return result
    used.add(card)
    known = {id(tensor.held): tensor for tensor in on_cards}
    return tree_map(lambda leaf: _as_on(leaf, card, known), result)


def _held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, OnCard) else leaf


def _as_on(leaf: Any, card: int, known: dict[int, OnCard]) -> Any:
    if not isinstance(leaf, torch.Tensor) or isinstance(leaf, OnCard):
        return leaf
    return known[id(leaf)] if id(leaf) in known else OnCard(leaf, card)


def _card(name: str, args: Any, on_cards: list[OnCard], to: torch.device | None) -> int | None:
    """Number of the card on which the result lies; None = on the CPU."""
    if to is not None:
        return None if to.type == "cpu" else to.index or 0
    if name == "aten::copy_":
        return args[0].device.index if isinstance(args[0], OnCard) else None
    return on_cards[0].device.index if on_cards else None


def _refuse_mixed(name: str, args: Any, tensors: list[torch.Tensor]) -> None:
    """Raise the error of a GPU where tensors of several devices meet; a tensor without axes may lie on the CPU."""
    if name in BETWEEN_DEVICES:
        return
    if name in INDEXING:
        on_cpu = not isinstance(args[0], OnCard)
        if on_cpu and any(isinstance(tensor, OnCard) for tensor in tensors):
            raise RuntimeError(f"{name}: a tensor on the CPU is indexed by one on a card")
        return
    devices = {str(tensor.device) for tensor in tensors if isinstance(tensor, OnCard) or tensor.dim() > 0}
    if len(devices) > 1:
        raise RuntimeError(f"{name}: tensors on {', '.join(sorted(devices))}")


def _waits_for_an_index(name: str, args: Any) -> bool:
    """Whether a mask is an index: the size of the result is the number of its true elements."""
    if name not in INDEXING:
        return False
    return any(isinstance(one, OnCard) and one.dtype in (torch.bool, torch.uint8) for one in args[1] or ())


def _leaves(name: str, args: Any, to: torch.device | None) -> bool:
    """Whether values are copied from a card to the CPU."""
    if name == "aten::copy_":
        return isinstance(args[1], OnCard) and not isinstance(args[0], OnCard)
    return name == "aten::_to_copy" and to is not None and to.type == "cpu"


def _caller() -> str:
    """The innermost function of the project, as `file:function`."""
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename)
        if path.is_relative_to(ROOT) and "pretended_gpu" not in path.parts and ".venv" not in path.parts:
            return f"{path.relative_to(ROOT)}:{frame.name}"
    return "?"


def pretend() -> None:
    """Make torch say that there are two cards, and let what concerns streams and devices do nothing."""
    torch.cuda._lazy_init = lambda: None
    torch.cuda.is_available = lambda: True
    torch.cuda.device_count = lambda: 2
    torch.cuda.is_bf16_supported = lambda including_emulation=True: True
    torch.cuda.mem_get_info = lambda device=None: (FREE_BYTES, FREE_BYTES)
    torch.cuda.empty_cache = lambda: None
    torch.cuda.reset_peak_memory_stats = lambda device=None: None
    torch.cuda.max_memory_allocated = lambda device=None: 0
    torch.cuda.get_device_name = lambda device=None: "pretended"
    torch.cuda.amp.common.amp_definitely_not_available = lambda: False
    torch.cuda.device = _nothing
    torch.cuda.stream = _nothing
    torch.cuda.Stream = _Stream
    torch.cuda.current_stream = _Stream
    torch.compile = _no_compiler
    torch.Generator = _Generator
    torch.Tensor.record_stream = lambda tensor, stream: None
    torch.accelerator.current_device_index = lambda: 0
    torch.accelerator.set_device_index = lambda index: None
    # the parameters of a network are replaced, since their type changes when they move to a card
    torch.__future__.set_overwrite_module_params_on_conversion(True)


class _Generator(torch.Generator):
    """A generator of a card is one of the CPU, where its numbers are drawn."""

    def __new__(cls, device: object = "cpu") -> _Generator:
        return super().__new__(cls)


def _no_compiler(_: object) -> None:
    raise RuntimeError("nothing is compiled for a pretended card")


class _Stream:
    def __init__(self, device: object = None) -> None: ...

    def wait_stream(self, other: object) -> None: ...


@contextmanager
def _nothing(_: object) -> Iterator[None]:
    yield
