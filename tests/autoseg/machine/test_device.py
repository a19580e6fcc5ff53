import pytest
import torch

from autoseg.errors import InputError
from autoseg.machine.device import device_to_plan_for, memory_format, missing_layers_named, resolve_device


def test_cpu_is_always_there():
    assert resolve_device("cpu") == torch.device("cpu")


def test_auto_prefers_cuda_then_mps(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto").type == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"


@pytest.mark.parametrize("name", ["cuda", "mps", "tpu", "meta", ""])
def test_a_device_that_is_not_there_is_an_error_that_says_what_to_do(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match="cpu"):
        resolve_device(name)


def test_a_card_beyond_the_last_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1").index == 1
    with pytest.raises(InputError, match="2 CUDA device"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("name", ["cpu:1", "mps:2", "cuda:", "cuda:x"])
def test_numbers_are_for_cards_alone(monkeypatch, name) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(InputError, match=r"cuda:N"):
        resolve_device(name)


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_plan_can_be_made_for_a_device_that_is_not_here(monkeypatch, kind) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device_to_plan_for(kind) == (kind, None)
    assert device_to_plan_for("auto") == ("cpu", torch.device("cpu"))


def test_a_plan_for_a_card_is_measured_on_that_card_and_not_made_for_one_too_many(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_to_plan_for("cuda:1") == ("cuda", torch.device("cuda:1"))
    with pytest.raises(InputError, match="2 CUDA device"):
        device_to_plan_for("cuda:2")


@pytest.mark.parametrize(
    ("version", "last"), [(90700, False), (90800, True), (91002, True), (91400, True), (91500, False), (None, False)]
)
def test_channels_come_last_on_cuda_where_cudnn_needs_it_alone(monkeypatch, version, last) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: version)
    expected = torch.channels_last_3d if last else torch.contiguous_format
    assert memory_format(torch.device("cuda")) == expected
    assert memory_format(torch.device("cpu")) == torch.channels_last_3d


def test_an_operator_that_torch_lacks_is_named_with_a_way_out() -> None:
    told = "The operator 'aten::max_unpool3d' is not currently implemented for the MPS device. If you want this op"
    with (
        pytest.raises(InputError, match=r"device mps: torch .* lacks aten::max_unpool3d.*--device cpu"),
        missing_layers_named(torch.device("mps")),
    ):
        raise NotImplementedError(told)
