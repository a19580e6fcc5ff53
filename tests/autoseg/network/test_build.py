import pytest
import torch

from autoseg.network.build import build_network, expect_little_foreground
from autoseg.plan.configuration import Network


def describe(architecture: str = "plain", **changes) -> Network:
    fields = {
        "architecture": architecture,
        "features": (4, 8, 16),
        "strides": ((1, 1, 1), (1, 2, 2), (2, 2, 2)),
        "kernel_sizes": ((1, 3, 3), (3, 3, 3), (3, 3, 3)),
        "encoder_blocks": (2, 2, 2) if architecture == "plain" else (1, 3, 4),
        "decoder_blocks": (2, 2) if architecture == "plain" else (1, 1),
    }
    return Network.model_validate(fields | changes)


@pytest.mark.parametrize("architecture", ["plain", "resenc_m"])
def test_shapes_of_all_stages(architecture: str) -> None:
    network = build_network(describe(architecture), in_channels=2, classes=3)
    image = torch.randn(1, 2, 4, 8, 12)
    # of the two decoder stages the coarser one, which the loss does not see, gives no logits
    assert [tuple(x.shape) for x in network.train()(image)] == [(1, 3, 4, 8, 12)]
    assert network.eval()(image).shape == (1, 3, 4, 8, 12)
    parameters = dict(network.named_parameters())
    sum(x.sum() for x in network.train()(image)).backward()
    unused = {id(parameter) for head in network.unused_heads for parameter in head.parameters()}
    assert {name for name, one in parameters.items() if one.grad is None} == {
        name for name, one in parameters.items() if id(one) in unused
    }
    assert unused


def test_parameters_of_a_plain_network_by_hand() -> None:
    network = build_network(
        describe(
            features=(4, 8),
            strides=((1, 1, 1), (2, 2, 2)),
            kernel_sizes=((3, 3, 3), (3, 3, 3)),
            encoder_blocks=(2, 2),
            decoder_blocks=(2,),
        ),
        in_channels=1,
        classes=2,
    )

    def convolution(inputs: int, outputs: int, k: int = 27, norm: bool = True) -> int:
        return inputs * outputs * k + outputs + (2 * outputs if norm else 0)

    encoder = convolution(1, 4) + convolution(4, 4) + convolution(4, 8) + convolution(8, 8)
    decoder = convolution(8, 4, 8, norm=False) + convolution(8, 4) + convolution(4, 4) + convolution(4, 2, 1, False)
    assert sum(p.numel() for p in network.parameters()) == encoder + decoder


@pytest.mark.parametrize("architecture", ["plain", "resenc_m"])
def test_a_network_of_one_stage_has_the_same_outputs_as_its_layers_one_after_the_other(architecture: str) -> None:
    single = {"features": (4,), "strides": ((1, 1, 1),), "kernel_sizes": ((3, 3, 3),), "decoder_blocks": ()}
    described = describe(architecture, encoder_blocks=(2,), **single)
    network = build_network(described, in_channels=2, classes=3)
    image = torch.randn(2, 2, 5, 6, 7)
    expected = network.decoder.heads[0](network.encoder.stages[0](network.encoder.stem(image)))
    (logits,) = network.train()(image)
    assert logits.shape == (2, 3, 5, 6, 7)
    assert torch.equal(logits, expected)
    assert torch.equal(network.eval()(image), expected)
    logits.square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_a_2d_network_never_mixes_slices() -> None:
    flat = describe(strides=((1, 1, 1), (1, 2, 2), (1, 2, 2)), kernel_sizes=((1, 3, 3), (1, 3, 3), (1, 3, 3)))
    network = build_network(flat, 1, 2).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv3d):
                assert module.kernel_size[0] == 1
        image = torch.randn(1, 1, 1, 16, 16)
        assert network(image).shape == (1, 2, 1, 16, 16)


@pytest.mark.parametrize("architecture", ["plain", "resenc_m"])
def test_codes_reach_the_output_once_they_are_learned(architecture: str) -> None:
    """A constant channel through a convolution would not: instance norm takes its part away."""
    torch.manual_seed(0)
    network = build_network(describe(architecture), in_channels=2, classes=3, codes=2).eval()
    without = build_network(describe(architecture), in_channels=2, classes=3)
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in without.parameters()) + 2 * 4
    image = torch.randn(1, 2, 4, 16, 24)

    def coded(one: float, other: float) -> torch.Tensor:
        codes = torch.tensor([one, other])[None, :, None, None, None].expand(1, 2, *image.shape[2:])
        return network(torch.cat([image, codes], dim=1))

    without.load_state_dict({k: v for k, v in network.state_dict().items() if ".shift." not in k})
    with torch.no_grad():
        torch.testing.assert_close(coded(1, 0), without.eval()(image), msg="nothing at first")
        (shift,) = [p for name, p in network.named_parameters() if ".shift." in name]
        shift.normal_()
        assert (coded(1, 0) - coded(1, 1)).abs().mean() > 1e-2 * coded(1, 1).abs().mean()
        torch.testing.assert_close(coded(0, 0), without(image))


@pytest.mark.parametrize("architecture", ["plain", "resenc_m"])
def test_codes_leave_the_initial_weights_as_they_are_without(architecture: str) -> None:
    torch.manual_seed(0)
    without = build_network(describe(architecture), in_channels=2, classes=3).state_dict()
    torch.manual_seed(0)
    coded = build_network(describe(architecture), in_channels=2, classes=3, codes=2).state_dict()
    assert all(torch.equal(coded[name], weight) for name, weight in without.items())


def test_codes_are_learned() -> None:
    torch.manual_seed(0)
    network = build_network(describe(), in_channels=1, classes=2, codes=1).train()
    codes = torch.tensor([0.0, 1.0])[:, None, None, None, None].expand(2, 1, 4, 16, 24)
    image = torch.cat([torch.randn(2, 1, 4, 16, 24), codes], dim=1)
    network(image)[0].square().mean().backward()
    (shift,) = [p for name, p in network.named_parameters() if ".shift." in name]
    assert shift.grad is not None and shift.grad.abs().sum() > 0


def test_a_network_that_expects_little_foreground_begins_with_its_prior() -> None:
    network = build_network(describe(), in_channels=1, classes=3)
    expect_little_foreground(network, 0.01)
    with torch.no_grad():
        # what is left of the features: none, so that the logits are what was expected
        for head in network.decoder.heads:
            head.weight.zero_()
        of_stages = network.train()(torch.randn(1, 1, 4, 8, 12))
    for logits in of_stages:
        background, one, other = logits.softmax(1).unbind(1)
        assert torch.allclose(one / (one + background), torch.tensor(0.01))
        assert torch.equal(one, other)


def test_of_regions_each_output_begins_with_the_prior() -> None:
    network = build_network(describe(), in_channels=1, classes=2)
    expect_little_foreground(network, 0.01, overlapping=True)
    for head in network.decoder.heads:
        assert torch.allclose(torch.sigmoid(head.bias), torch.tensor(0.01))
