"""Networks with gates on their units: removal, operations, biases, axes of samples."""

from typing import Any

import pytest
import torch
from gumbelzoo.models.gates import GATED_NETWORKS
from gumbelzoo.models.gates.networks import GatedNetwork
from gumbelzoo.models.gates.pruning import flops
from torch import Tensor, nn

SMALL: dict[str, dict[str, Any]] = {"mlp": {"hidden": [6, 5]}, "lenet5": {"channels": [3, 4], "hidden": 5}}
SIDE = {"mlp": 4, "lenet5": 20}


def build(name: str) -> GatedNetwork:
    side = SIDE[name]
    return GATED_NETWORKS.build({"name": name, **SMALL[name]}, image_shape=(1, side, side), classes=3)


def images(name: str, b: int = 4) -> Tensor:
    return torch.rand(b, 1, SIDE[name], SIDE[name])


def drawn(network: GatedNetwork, *leading: int) -> Tensor:
    """Gates of which a third are 0, some 1, and some between; the first and last of every place are open."""
    gates = (1.5 * torch.rand(*leading, sum(network.sizes)) - 0.5).clamp(0, 1)
    for part in gates.split(network.sizes, -1):
        part[..., 0], part[..., -1] = 0.7, 1.0
    return gates


@pytest.mark.parametrize("name", GATED_NETWORKS.names())
def test_network_without_closed_units(name: str) -> None:
    """Its outputs are those of the gated network to 1e-6, with as many units as are open, and fewer operations."""
    network, x = build(name), images(name)
    gates = drawn(network)
    smaller = network.removed(gates)
    torch.testing.assert_close(smaller(x), network(x, gates[None]), rtol=0, atol=1e-6)
    layers = [layer for layer in smaller if isinstance(layer, nn.Conv2d | nn.Linear)]
    wide = [layer.in_channels if isinstance(layer, nn.Conv2d) else layer.in_features for layer in layers]
    units = network.units(gates)
    assert units == (wide if name == "mlp" else [wide[1], layers[1].out_channels, *wide[2:]])
    if name == "mlp":
        assert units == [int((part != 0).sum()) for part in gates.split(network.sizes)]
    everything = network.removed(torch.ones_like(gates))
    assert flops(smaller, x[:1]) < flops(everything, x[:1])
    assert network.units(torch.ones_like(gates)) == network.sizes


def test_channel_without_features_is_removed() -> None:
    """Of LeNet-5: a filter whose features are all closed; the features of a closed filter are closed too."""
    network, x = build("lenet5"), images("lenet5")
    gates = torch.ones(sum(network.sizes))
    _, second, features, _ = gates.split(network.sizes)
    second[0] = 0
    features.view(4, -1)[2] = 0
    features.view(4, -1)[1, 1:] = 0
    assert network.units(gates) == [3, 2, 1 + 4, 5]
    smaller = network.removed(gates)
    assert smaller[3].out_channels == 2
    torch.testing.assert_close(smaller(x), network(x, gates[None]), rtol=0, atol=1e-6)


def test_operations_of_lenets_by_hand() -> None:
    """Two for each product; public code counts those of convolutions wrongly. A removal saves those on both sides."""
    mlp = GATED_NETWORKS.build("mlp", image_shape=(1, 28, 28), classes=10)
    products = 784 * 300 + 300 * 100 + 100 * 10
    assert flops(mlp.removed(torch.ones(1184)), torch.zeros(1, 1, 28, 28)) == 2 * products
    pixels, first, second = (part.unique().tolist() for part in mlp.savings().split(mlp.sizes))
    assert (pixels, first, second) == ([2 * 300], [2 * (784 + 100)], [2 * (300 + 10)])
    lenet = GATED_NETWORKS.build("lenet5", image_shape=(1, 28, 28), classes=10)
    convolutions = 20 * 25 * 24 * 24, 20 * 50 * 25 * 8 * 8
    total = 2 * (sum(convolutions) + 800 * 500 + 500 * 10)
    assert flops(lenet.removed(torch.ones(1370)), torch.zeros(1, 1, 28, 28)) == total == 4586000
    saved = [part.unique().tolist() for part in lenet.savings().split(lenet.sizes)]
    first_filter = 2 * (convolutions[0] // 20 + convolutions[1] // 20)
    assert saved == [[first_filter], [2 * (convolutions[1] // 50 + 16 * 500)], [2 * 500], [2 * (800 + 10)]]


@pytest.mark.parametrize("name", GATED_NETWORKS.names())
def test_bias_counts_in_training_and_evaluation(name: str) -> None:
    """An open unit has its bias in both modes, and a closed one in none: public code drops it in training."""
    network, x = build(name), images(name)
    place = 1 if name == "mlp" else 0  # stage whose first output has the first gate of the next place
    layer, start = network.stages[place][0], 0 if name == "lenet5" else 16
    found: dict[tuple[bool, bool], Tensor] = {}
    for training in (True, False):
        network.train(training)
        for is_open in (True, False):
            gates = torch.ones(1, sum(network.sizes))
            gates[0, start] = float(is_open)
            with torch.no_grad():
                layer.bias[0] = 0.0
                without = network(x, gates)
                layer.bias[0] = 5.0
                found[training, is_open] = network(x, gates) - without
    assert torch.equal(found[True, True], found[False, True]) and found[True, True].abs().min() > 0
    assert not found[True, False].any() and not found[False, False].any()


@pytest.mark.parametrize("name", GATED_NETWORKS.names())
def test_axes_of_samples_and_examples(name: str) -> None:
    """Gates ``s b n``, ``s 1 n``, ``b n`` and ``1 n`` give what a loop over rows gives."""
    network, x = build(name), images(name)
    for shape in ((3, 4), (3, 1), (4,), (1,), (2, 3, 4)):
        gates = drawn(network, *shape)
        found = network(x, gates)
        rows = gates.expand(*shape[:-1], 4, -1).reshape(-1, 4, gates.shape[-1])
        expected = [network(x[i : i + 1], row[i : i + 1])[0] for row in rows for i in range(4)]
        torch.testing.assert_close(found, torch.stack(expected).view(*shape[:-1], 4, 3), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "mlp", "hidden": [0]}, "hidden must be"),
        ({"name": "lenet5", "channels": [3]}, "channels must be two numbers"),
        ({"name": "lenet5"}, "needs images of 16 x 16 or more"),
        ("lenet", "did you mean 'lenet5'"),
    ],
)
def test_gated_network_mistakes(spec: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GATED_NETWORKS.build(spec, image_shape=(1, 15, 16), classes=3)


def test_closed_layer_cannot_be_removed() -> None:
    network = build("mlp")
    gates = torch.ones(sum(network.sizes))
    gates[16:22] = 0
    with pytest.raises(ValueError, match="every channel is closed"):
        network.removed(gates)
    assert network.units(gates) == [16, 0, 5]
