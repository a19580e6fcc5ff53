import numpy as np
import pytest
import torch
from scipy.special import softmax

from autoseg.device import half_precision
from autoseg.whole_image.patch_probabilities import mean_probabilities


class Fixed(torch.nn.Module):
    """Gives the same logits whatever the patch."""

    def __init__(self, logits: np.ndarray) -> None:
        super().__init__()
        self.logits = torch.from_numpy(logits)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.logits


@pytest.mark.parametrize("networks", [1, 3])
def test_the_mean_of_probabilities_and_not_of_logits(networks: int) -> None:
    rng = np.random.default_rng(0)
    logits = [rng.normal(0, 3, (2, 4, 2, 3, 5)).astype(np.float32) for _ in range(networks)]
    found = mean_probabilities([Fixed(one) for one in logits], torch.zeros((2, 1, 2, 3, 5)))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), np.mean([softmax(one, axis=1) for one in logits], axis=0), rtol=1e-5)


@pytest.mark.parametrize("units", [True, False])
def test_a_cpu_predicts_in_half_precision_where_it_has_units_for_it(monkeypatch, units: bool) -> None:
    monkeypatch.setattr("autoseg.device._cpu_multiplies_in_bfloat16", lambda: units)
    seen = []
    network = Fixed(np.zeros((1, 2, 1, 1, 1), np.float32))
    network.register_forward_pre_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    mean_probabilities([network], torch.zeros((1, 1, 1, 1, 1)))
    assert seen == [units]


@pytest.mark.parametrize(
    ("capabilities", "permitted", "onednn", "expected"),
    [
        ({"amx_bf16": True}, True, True, torch.bfloat16),
        ({"amx_bf16": True}, False, True, None),
        ({"amx_bf16": True}, True, False, None),
        # slower in half precision than in single
        ({"amx_bf16": False, "avx512_bf16": True}, True, True, None),
        ({"architecture": "arm64"}, False, True, None),
    ],
)
def test_units_count_where_they_are_there_permitted_and_used(
    monkeypatch, capabilities: dict, permitted: bool, onednn: bool, expected: torch.dtype | None
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr("torch.cpu._init_amx", lambda: permitted, raising=False)
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: onednn)
    assert half_precision(torch.device("cpu"), learning=False) is expected
    assert half_precision(torch.device("cpu"), learning=True) is None, "its gradients are not safe there"


def test_a_torch_that_does_not_tell_computes_in_single_precision(monkeypatch) -> None:
    monkeypatch.delattr("torch.cpu.get_capabilities", raising=False)
    assert half_precision(torch.device("cpu"), learning=False) is None


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_half_precision_of_a_gpu_is_what_it_computes_in(monkeypatch, native: bool, expected: torch.dtype) -> None:
    # emulated bfloat16 is slower than float16
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert {half_precision(torch.device("cuda"), learning=learning) for learning in (True, False)} == {expected}
