import pytest
import torch

from autoseg.network.instance_norm import InstanceNorm


def pair(channels: int) -> tuple[InstanceNorm, torch.nn.InstanceNorm3d]:
    ours, torchs = InstanceNorm(channels), torch.nn.InstanceNorm3d(channels, affine=True)
    with torch.no_grad():
        ours.weight.copy_(torch.linspace(0.5, 2, channels))
        ours.bias.copy_(torch.linspace(-1, 1, channels))
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


@pytest.mark.parametrize("layout", [torch.channels_last_3d, torch.contiguous_format])
@pytest.mark.parametrize("shape", [(2, 5, 6, 7, 8), (1, 3, 1, 9, 4)])
def test_values_and_gradients_are_those_of_torch(layout: torch.memory_format, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    image = 3 + 2 * torch.randn(shape, generator=generator)
    weights = torch.randn(shape, generator=generator)
    results = []
    for module in pair(shape[1]):
        x = image.clone().contiguous(memory_format=layout).requires_grad_()
        y = module(x)
        (y * weights).sum().backward()
        results.append((y, x.grad, module.weight.grad, module.bias.grad))
    for ours, torchs in zip(*results, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-4, atol=1e-4)


def test_the_layout_is_kept() -> None:
    x = torch.randn(2, 8, 4, 4, 4).contiguous(memory_format=torch.channels_last_3d)
    assert pair(8)[0](x).is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("layout", [torch.channels_last_3d, torch.contiguous_format])
def test_half_precision_is_exact_but_for_the_rounding_of_what_it_gives(layout: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(0)
    image = (5 + 2 * torch.randn((2, 5, 6, 7, 8), generator=generator)).bfloat16().contiguous(memory_format=layout)
    weights = torch.randn(image.shape, generator=generator).bfloat16()
    ours, torchs = pair(5)
    x, exact = image.clone().requires_grad_(), image.double().requires_grad_()
    y, expected = ours(x), torchs.double()(exact)
    y.backward(weights)
    expected.backward(weights.double())
    assert y.dtype == x.grad.dtype == torch.bfloat16
    for found, wanted in ((y, expected), (x.grad, exact.grad)):
        assert (found.double() - wanted).norm() < 2**-8 * wanted.norm()
    # sums over voxels, in single precision
    torch.testing.assert_close(ours.weight.grad.double(), torchs.weight.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(ours.bias.grad.double(), torchs.bias.grad, rtol=1e-4, atol=1e-3)
