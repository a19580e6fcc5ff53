import numpy as np
import pytest
import torch
from scipy.special import softmax

from autoseg.machine.device import half_precision
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


@pytest.mark.parametrize("pays", [True, False])
def test_a_cpu_predicts_in_half_precision_where_that_pays(monkeypatch, pays: bool) -> None:
    monkeypatch.setattr("autoseg.machine.device.bfloat16_pays", lambda: pays)
    seen = []
    network = Fixed(np.zeros((1, 2, 1, 1, 1), np.float32))
    network.register_forward_pre_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    mean_probabilities([network], torch.zeros((1, 1, 1, 1, 1)))
    assert seen == [pays]


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_half_precision_of_a_gpu_is_what_it_computes_in(monkeypatch, native: bool, expected: torch.dtype) -> None:
    # emulated bfloat16 is slower than float16
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert {half_precision(torch.device("cuda"), learning=learning) for learning in (True, False)} == {expected}
