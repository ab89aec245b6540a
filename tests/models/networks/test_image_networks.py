"""Every encoder and decoder by name: shapes, gradients, sizes that do not fit, memory formats, compilation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from gumbelzoo.models.networks.convolutional import ResidualBlock
from gumbelzoo.models.networks.grid import GRID_DECODERS, GRID_ENCODERS, encoder_grid, grid_of
from gumbelzoo.models.networks.image import DECODERS, ENCODERS, check_networks
from gumbelzoo.models.networks.residual import PreNormBlock
from gumbelzoo.models.vqvae.vqvae import VQVAE
from torch import Tensor, nn

SHAPE, DIM, OUTPUTS = (3, 16, 24), 4, 6
# Two halvings each; the lists of a decoder run the other way.
SMALL: dict[str, dict[str, Any]] = {
    "conv": {"widths": [8, 12], "kernel": 4, "residual_blocks": 1, "residual_width": 5},
    "residual": {"channels": 8, "multipliers": [1, 2, 3], "blocks": 1, "attention": 6},
}
SMALL_VECTOR = {"mlp": {"hidden": [9, 7]}, "conv": {"hidden": [6, 7]}, "grid": {"network": {"name": "conv"}}}


def spec(name: str, decoder: bool = False) -> dict[str, Any]:
    options = {key: value[::-1] if decoder and isinstance(value, list) else value for key, value in SMALL[name].items()}
    return {"name": name, **options}


def encoder(name: str, shape: Sequence[int] = SHAPE) -> nn.Module:
    return GRID_ENCODERS.build(spec(name), image_shape=shape, dim=DIM)


def decoder(name: str) -> nn.Module:
    return GRID_DECODERS.build(spec(name, decoder=True), image_shape=SHAPE, dim=DIM, outputs=OUTPUTS)


def both(name: str) -> list[tuple[nn.Module, Tensor]]:
    """An encoder and a decoder of a name, with an input of each."""
    return [(encoder(name), torch.randn(5, *SHAPE)), (decoder(name), torch.randn(5, DIM, 4, 6))]


def every_gradient(network: nn.Module, output: Tensor) -> None:
    (output * torch.randn_like(output)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_tables_name_every_network() -> None:
    assert GRID_ENCODERS.names() == GRID_DECODERS.names() == sorted(SMALL)
    assert ENCODERS.names() == DECODERS.names() == sorted(SMALL_VECTOR)


@pytest.mark.parametrize("name", SMALL)
def test_grid_shapes_and_gradients(name: str) -> None:
    """The grid is found without the network's help, and without a random number."""
    state = torch.get_rng_state()
    assert grid_of(spec(name), spec(name, decoder=True), SHAPE, DIM, OUTPUTS) == (4, 6)
    assert torch.equal(torch.get_rng_state(), state)
    for (network, x), shape in zip(both(name), [(5, DIM, 4, 6), (5, OUTPUTS, 16, 24)], strict=True):
        output = network(x)
        assert output.shape == shape
        every_gradient(network, output)


@pytest.mark.parametrize("name", SMALL_VECTOR)
def test_vector_shapes_and_gradients(name: str) -> None:
    for registry, x, shape in (
        (ENCODERS, torch.rand(5, 2, 8, 12), (5, 7)),
        (DECODERS, torch.rand(5, 7), (5, 2, 8, 12)),
    ):
        options = {"name": name, **SMALL_VECTOR[name]}
        network = registry.build(options, image_shape=(2, 8, 12), features=7)
        output = network(x)
        assert output.shape == shape
        every_gradient(network, output)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("side", [(18, 24), (16, 23)], ids=str)
def test_image_that_cannot_be_halved_raises(name: str, side: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"divisible by 4, not {side[0]} x {side[1]}") as caught:
        encoder(name, (3, *side))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SMALL)
def test_memory_format_changes_no_value(name: str) -> None:
    """Layer by layer in torch's default format, the networks compute the same to 1e-5, with the same gradients."""
    for network, x in both(name):
        plain = nn.Sequential(*network)
        expected = plain(x)
        weights = torch.randn_like(expected)
        wanted = torch.autograd.grad((expected * weights).sum(), list(network.parameters()))
        columns_first = x.mT.contiguous().mT
        for given in (x, x.contiguous(memory_format=torch.channels_last), columns_first):
            output = network(given)
            torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
            found = torch.autograd.grad((output * weights).sum(), list(network.parameters()))
            torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.usefixtures("unchecked")
def test_compiled_in_one_graph(name: str) -> None:
    """In place: the names of the weights stay, and so does the result."""
    for network, x in both(name):
        expected, names = network(x), list(network.state_dict())
        network.compile(fullgraph=True, backend="eager")
        torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=1e-5)
        assert list(network.state_dict()) == names
        every_gradient(network, network(x))


# -- the networks themselves ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("attention", "layers"), [(1, 0), (4, 2), (8, 3), (16, 4)])
def test_attention_is_on_small_maps(attention: int, layers: int) -> None:
    """Maps of 16, 8 and 4 positions a side: one block on each, and one on the grid between two blocks."""
    options = {"name": "residual", "channels": 4, "blocks": 1, "attention": attention}
    for network in (
        GRID_ENCODERS.build(options, image_shape=(1, 16, 16), dim=2),
        GRID_DECODERS.build(options, image_shape=(1, 16, 16), dim=2, outputs=1),
    ):
        assert sum(type(layer).__name__ == "SpatialAttention" for layer in network) == layers


def test_attention_reaches_every_position() -> None:
    """Without it a corner does not depend on the opposite one; with it every vector depends on every pixel."""
    x = torch.randn(1, 1, 64, 64, requires_grad=True)
    for attention, reached in ((1, False), (16, True)):
        options = {"name": "residual", "channels": 4, "multipliers": [1, 1, 1], "blocks": 1, "attention": attention}
        network = GRID_ENCODERS.build(options, image_shape=(1, 64, 64), dim=2)
        norms = [layer for layer in network.modules() if isinstance(layer, nn.GroupNorm)]
        for norm in norms:  # they too mix positions
            norm.forward = lambda y: y  # type: ignore[method-assign]
        (gradient,) = torch.autograd.grad(network(x)[0, :, 0, 0].sum(), x)
        assert bool(gradient[0, 0, -1, -1] != 0) == reached


@pytest.mark.parametrize("sides", [(64, 64), (96, 160)], ids=str)
def test_larger_pictures_train(sides: tuple[int, int]) -> None:
    """A VQ-VAE of pictures of any sides that its network divides lowers its loss."""
    options = {"name": "residual", "channels": 4, "blocks": 1}
    down, up = {**options, "multipliers": [1, 1, 2, 2]}, {**options, "multipliers": [2, 2, 1, 1]}
    model = VQVAE((3, *sides), 4, down, up, {"name": "vector", "codebook_size": 8, "update": "loss"})
    assert model.grid == (sides[0] // 8, sides[1] // 8)
    x = nn.functional.interpolate(torch.rand(2, 3, 4, 4), sides, mode="bilinear")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(4):
        loss = model.training_metrics({"image": x})["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("block", [ResidualBlock(6, 4, batch_norm=False), PreNormBlock(6, 6), PreNormBlock(6, 4)])
def test_block_is_a_sum(block: nn.Module) -> None:
    """With a branch of zeros a block is its shortcut."""
    last = block.branch[-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    x = torch.randn(2, 6, 5, 5)
    shortcut = getattr(block, "shortcut", nn.Identity())
    assert torch.equal(block(x), shortcut(x))


# -- networks of a user's own -----------------------------------------------------------------------------------------


class ReadsValues(nn.Conv2d):
    """A network that does not run on the meta device: its constructor and its forward pass read values."""

    def __init__(self, image_shape: Sequence[int], dim: int) -> None:
        rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
        super().__init__(image_shape[0], dim, kernel_size=2, stride=2)
        self.rates = rates

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.max() < 10 else x


class Faulty(nn.Module):
    """A network whose output is of a given form."""

    def __init__(self, image_shape: Sequence[int], dim: int = 1, features: int = 1, form: str = "flat") -> None:
        super().__init__()
        self.form, self.dim = form, dim

    def forward(self, x: Tensor) -> Any:
        forms: dict[str, Any] = {
            "flat": lambda: x.flatten(1),
            "channels": lambda: x.repeat(1, self.dim + 1, 1, 1),
            "pair": lambda: (x, x),
            "number": lambda: x.sum(),
            "error": lambda: x @ torch.ones(5, 5),
        }
        return forms[self.form]()


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in (GRID_ENCODERS, ENCODERS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    GRID_ENCODERS.register("reads")(ReadsValues)
    GRID_ENCODERS.register("faulty")(Faulty)
    ENCODERS.register("faulty")(Faulty)


@pytest.mark.usefixtures("own")
def test_grid_of_a_network_that_reads_values() -> None:
    """It is run on real zeros, and random states stay as they are."""
    state = torch.get_rng_state()
    assert encoder_grid("reads", (3, 8, 12), 4) == (4, 6)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("flat", r"grid encoder 'faulty' maps images of shape \(1, 8, 8\) to shape \(64,\); it must give \(4, h, w\)"),
        ("channels", r"to shape \(5, 8, 8\); it must give \(4, h, w\).*dim=4"),
        ("pair", "must map a batch to one tensor, .* gives a tuple"),
        ("number", r"must map a batch to one tensor, .* gives shape \(\)"),
        ("error", r"grid encoder 'faulty' fails on an input of shape \(1, 8, 8\): "),
    ],
)
def test_own_grid_encoder_that_does_not_fit(form: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        VQVAE((1, 8, 8), 4, {"name": "faulty", "form": form})
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("own")
def test_own_encoder_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"encoder 'faulty' maps shape \(1, 8, 8\) to shape \(64,\), .* needs \(5,\)"):
        check_networks("faulty", "mlp", (1, 8, 8), features=5, latents=3)


def test_grid_decoder_without_a_grid_raises() -> None:
    """Thirty rows are halved once, and the network doubles twice."""
    network = {"name": "grid", "network": {"name": "conv", "widths": [4, 4]}}
    with pytest.raises(ValueError, match=r"maps no grid to images of shape \(1, 30, 30\)"):
        DECODERS.build(network, image_shape=(1, 30, 30), features=3)
