import pytest
import torch

from autoseg.image.geometry import Shape
from autoseg.network.convolution import Convolution


@pytest.fixture
def small_patch() -> torch.Tensor:
    return torch.randn((1, 5, 4, 6, 5), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layout", [torch.channels_last_3d, torch.contiguous_format])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 3), (1, 1, 1)])
@pytest.mark.parametrize("stride", [(1, 1, 1), (1, 2, 2)])
def test_values_are_those_of_torch(
    small_patch: torch.Tensor, layout: torch.memory_format, kernel: Shape, stride: Shape
) -> None:
    torch.manual_seed(0)
    ours = Convolution(5, 7, kernel, stride, padding=tuple(k // 2 for k in kernel)).to(memory_format=layout)
    torchs = torch.nn.functional.conv3d(small_patch, ours.weight, ours.bias, stride, ours.padding)
    with torch.inference_mode():
        found = ours(small_patch.contiguous(memory_format=layout))
    torch.testing.assert_close(found, torchs.detach(), rtol=1e-5, atol=1e-5)


def test_a_small_patch_is_left_to_no_slow_convolution(small_patch: torch.Tensor) -> None:
    module = Convolution(5, 7, 3, padding=1)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.inference_mode(), torch.profiler.profile(activities=activities) as profile:
        module(small_patch)
    called = {event.key for event in profile.key_averages()}
    assert "aten::mkldnn_convolution" in called
    assert not any("slow_conv" in name for name in called)


def test_gradients_are_there_in_training(small_patch: torch.Tensor) -> None:
    module = Convolution(5, 7, 3, padding=1)
    module(small_patch).sum().backward()
    assert module.weight.grad is not None
    # each voxel of the output adds its input to the weight in the middle of the kernel
    torch.testing.assert_close(module.weight.grad[0, :, 1, 1, 1], small_patch.sum((0, 2, 3, 4)), rtol=1e-4, atol=1e-4)


def test_half_precision_is_used_where_autocast_asks_for_it(small_patch: torch.Tensor) -> None:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert Convolution(5, 7, 3, padding=1)(small_patch).dtype == torch.bfloat16


@pytest.mark.parametrize(("slices", "learned_in"), [(2, torch.float32), (3, torch.bfloat16)])
def test_an_image_shorter_than_the_kernel_is_learned_from_in_single_precision(
    slices: int, learned_in: torch.dtype
) -> None:
    """As half precision's gradients are wrong there; nothing is lost where nothing is learned."""
    module, image = Convolution(5, 7, 3, padding=1), torch.randn((2, 5, slices, 6, 5))
    with torch.autocast("cpu", torch.bfloat16):
        assert module(image).dtype == learned_in
        with torch.no_grad():
            assert module(image).dtype == torch.bfloat16
