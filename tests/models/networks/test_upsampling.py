"""Layers that double a map equal torch's, in values and gradients; memory formats reach every layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from gumbelzoo.models.networks.upsampling import TransposedConv2d, UpsampledConv2d, channels_last
from torch import Tensor, nn


def gradients(output: Tensor, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """Of a sum with unequal weights, so that no error cancels."""
    weights = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).reshape(output.shape)
    return torch.autograd.grad((output * weights).sum(), [value for value in inputs if value is not None])


@pytest.mark.parametrize("size", [(5, 7), (1, 1)])
@pytest.mark.parametrize(("kernel", "bias"), [(3, True), (4, True), (4, False)])
def test_transposed_convolution_equals_torch(kernel: int, bias: bool, size: tuple[int, int]) -> None:
    layer, x = TransposedConv2d(3, 4, kernel, bias).double(), torch.randn(2, 3, *size).double().requires_grad_()
    expected, found = nn.ConvTranspose2d.forward(layer, x), layer(x)
    assert found.shape == (2, 4, 2 * size[0], 2 * size[1])
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    inputs = (x, layer.weight, layer.bias)
    torch.testing.assert_close(gradients(found, *inputs), gradients(expected, *inputs))


@pytest.mark.parametrize("size", [(5, 7), (1, 1)])
def test_convolution_of_repeated_positions(size: tuple[int, int]) -> None:
    layer, x = UpsampledConv2d(3, 4).double(), torch.randn(2, 3, *size).double().requires_grad_()
    expected = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected, atol=1e-12, rtol=0)
    inputs = (x, layer.weight, layer.bias)
    torch.testing.assert_close(gradients(layer(x), *inputs), gradients(expected, *inputs))


def test_seed_draws_the_weights_of_torch() -> None:
    """So a seed gives the same model, whichever layer doubles the map."""
    torch.manual_seed(3)
    ours = [TransposedConv2d(3, 4, kernel=4), UpsampledConv2d(3, 4)]
    torch.manual_seed(3)
    theirs = [nn.ConvTranspose2d(3, 4, 4), nn.Conv2d(3, 4, 3)]
    for one, other in zip(ours, theirs, strict=True):
        assert list(one.state_dict()) == list(other.state_dict())
        assert all(value.equal(other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_names_its_strides(channels: int) -> None:
    """For one channel too, which is in both formats: the first convolution then answers in this one."""
    x = torch.randn(2, channels, 6, 4)
    made = channels_last(x)
    assert torch.equal(made, x)
    assert made.stride() == (24 * channels, 1, 4 * channels, channels)
    assert channels_last(made).data_ptr() == made.data_ptr()
    assert nn.Conv2d(channels, 5, 3)(made).is_contiguous(memory_format=torch.channels_last)
