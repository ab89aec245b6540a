"""Every distribution over codes: it sums to one, samples follow it, and caches change nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.relaxed.noise import gumbel_noise
from gumbelzoo.models.vqvae.priors import CODE_NETWORKS, AutoregressiveNetwork, CodeNetwork
from gumbelzoo.models.vqvae.priors.maskgit import MaskGIT, mask_ratio
from torch import Tensor

AUTOREGRESSIVE = [name for name in CODE_NETWORKS.names() if issubclass(CODE_NETWORKS[name], AutoregressiveNetwork)]
SHAPES = [(2, 2, 1), (1, 2, 2)]


def small(name: str, shape: tuple[int, int, int] = (2, 2, 1), k: int = 3, classes: int = 2) -> CodeNetwork:
    torch.manual_seed(0)
    network = CODE_NETWORKS.build(
        {"name": name, "width": 8, "depth": 2}, shape=shape, codebook_size=k, classes=classes
    ).eval()
    with torch.no_grad():  # far from uniform
        for parameter in network.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return network


def every_grid(network: CodeNetwork) -> Tensor:
    """All grids, ``g h w q``."""
    rows = itertools.product(range(network.codebook_size), repeat=network.num_codes)
    return torch.tensor(list(rows)).unflatten(1, network.shape)


def fixed_noise(n: int, network: CodeNetwork) -> Callable[[Tensor], Tensor]:
    """A sampler whose noise at the i-th call is always the same."""
    generator = torch.Generator().manual_seed(2)
    noise = iter([gumbel_noise((n, network.codebook_size), generator=generator) for _ in range(network.num_codes)])
    return lambda logits: RelaxedCategorical().sample(logits, noise=next(noise))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", AUTOREGRESSIVE)
@torch.no_grad()
def test_probabilities_sum_to_one_for_every_label(name: str, shape: tuple[int, int, int]) -> None:
    network = small(name, shape)
    grids = every_grid(network)
    totals = [torch.exp(-network.nll(grids, torch.full((len(grids),), label))).sum() for label in (0, 1)]
    assert torch.allclose(torch.stack(totals), torch.ones(2), atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", AUTOREGRESSIVE)
@torch.no_grad()
def test_samples_follow_the_probabilities(name: str, shape: tuple[int, int, int]) -> None:
    network, layer, n = small(name, shape), RelaxedCategorical(), 20_000
    generator = torch.Generator().manual_seed(0)
    label = torch.ones(n, dtype=torch.int64)
    codes = network.sample(label, lambda logits: layer.sample(logits, generator=generator))
    grids = every_grid(network)
    p = torch.exp(-network.nll(grids, torch.ones(len(grids), dtype=torch.int64)))
    index = (codes.flatten(1) * 3 ** torch.arange(network.num_codes - 1, -1, -1)).sum(1)
    observed, expected = torch.bincount(index, minlength=len(grids)), n * p
    frequent = expected > 5
    chi2 = ((observed - expected).square() / expected)[frequent].sum()
    degrees = int(frequent.sum())
    assert chi2 < degrees + 5 * (2 * degrees) ** 0.5


@pytest.mark.parametrize("shape", [(4, 5, 1), (3, 2, 3)])
@pytest.mark.parametrize("name", AUTOREGRESSIVE)
@torch.no_grad()
def test_cached_samples_equal_uncached(name: str, shape: tuple[int, int, int]) -> None:
    network = small(name, shape, k=7)
    assert isinstance(network, AutoregressiveNetwork)
    label = torch.arange(50) % 2
    cached = network.sample(label, fixed_noise(50, network))
    uncached = AutoregressiveNetwork.sample(network, label, fixed_noise(50, network))
    assert torch.equal(cached, uncached) and cached.unique().numel() == 7


@pytest.mark.parametrize("shape", [(4, 5, 1), (3, 2, 3)])
@pytest.mark.parametrize("name", AUTOREGRESSIVE)
@torch.no_grad()
def test_cached_logits_equal_uncached(name: str, shape: tuple[int, int, int]) -> None:
    network, seen = small(name, shape, k=7), []
    draw = fixed_noise(8, network)
    label = torch.arange(8) % 2
    codes = network.sample(label, lambda logits: (seen.append(logits), draw(logits))[1])
    whole = network.logits(codes, label).flatten(1, 3)  # type: ignore[operator]
    assert torch.allclose(torch.stack(seen, 1), whole, atol=1e-5)


@pytest.mark.parametrize("name", CODE_NETWORKS.names())
def test_every_parameter_gets_gradient(name: str) -> None:
    """And the label changes every likelihood."""
    network = small(name, (3, 2, 2)).train()
    codes = torch.randint(3, (64, 3, 2, 2), generator=torch.Generator().manual_seed(0))
    network.loss(codes, torch.arange(64) % 2).backward()
    for parameter_name, parameter in network.named_parameters():
        gradient = parameter.grad
        assert gradient is not None and gradient.isfinite().all() and gradient.any(), parameter_name
    network.eval()
    torch.manual_seed(0)
    first = network.nll(codes, torch.zeros(64, dtype=torch.int64))
    torch.manual_seed(0)
    second = network.nll(codes, torch.ones(64, dtype=torch.int64))
    assert first.shape == (64,) and ((first - second).abs() > 1e-3).all()


@pytest.mark.parametrize("name", CODE_NETWORKS.names())
def test_codebooks_have_separate_tokens(name: str) -> None:
    network = small(name, (1, 2, 2))
    tokens = network.tokens(torch.tensor([[[[0, 0], [2, 2]]]]))
    assert tokens.flatten().tolist() == [0, 3, 2, 5]


@pytest.mark.parametrize("name", CODE_NETWORKS.names())
@torch.no_grad()
def test_likelihood_of_16_bit_weights_is_float32(name: str, default_dtype: Callable[[torch.dtype], None]) -> None:
    network = small(name).to(torch.bfloat16)
    codes, label = torch.randint(3, (5, 2, 2, 1)), torch.zeros(5, dtype=torch.int64)
    default_dtype(torch.bfloat16)
    assert network.nll(codes, label).dtype == network.loss(codes, label).dtype == torch.float32


# -- MaskGIT ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 5, 12, 100])
@pytest.mark.parametrize("choice_temperature", [0.0, 4.5])
@torch.no_grad()
def test_maskgit_fills_every_position_once(steps: int, choice_temperature: float) -> None:
    """A code that is kept stays; each step masks fewer codes."""
    torch.manual_seed(0)
    network = MaskGIT((3, 4, 1), 5, width=8, depth=1, steps=steps, choice_temperature=choice_temperature).eval()
    left, kept = [], []
    inner = network.logits

    def spy(codes: Tensor, masked: Tensor, label: Tensor) -> Tensor:
        left.append(masked.sum(1).unique().tolist())
        kept.append(codes.masked_fill(masked, -1))
        return inner(codes, masked, label)

    network.logits = spy  # type: ignore[method-assign]
    codes = network.sample(torch.zeros(6, dtype=torch.int64), RelaxedCategorical().sample)
    assert codes.shape == (6, 3, 4, 1) and ((codes >= 0) & (codes < 5)).all()
    numbers = [n for (n,) in left]
    assert numbers[0] == 12 and len(numbers) == min(steps, 12)
    assert all(a > b > 0 for a, b in itertools.pairwise(numbers))
    for earlier in kept:
        assert ((earlier == -1) | (earlier == codes.flatten(1))).all()


@torch.no_grad()
def test_maskgit_nll_is_that_of_random_orders() -> None:
    """Its mean is that over all orders of the codes, each with its exact likelihood."""
    network = small("maskgit", (1, 3, 1))
    assert isinstance(network, MaskGIT)
    codes, label = torch.tensor([[2, 0, 1]]), torch.zeros(1, dtype=torch.int64)
    orders = list(itertools.permutations(range(3)))
    exact = 0.0
    for order in orders:
        masked = torch.ones(1, 3, dtype=torch.bool)
        for i in order:
            logits = network.logits(codes, masked, label)
            exact -= logits.log_softmax(-1)[0, i, codes[0, i]].item() / len(orders)
            masked[0, i] = False
    torch.manual_seed(0)
    draws = network.nll(codes.expand(20_000, -1).unflatten(1, (1, 3, 1)), label.expand(20_000))
    assert draws.mean().item() == pytest.approx(exact, abs=4 * draws.std().item() / len(draws) ** 0.5)


def test_maskgit_loss_is_of_masked_codes() -> None:
    network = small("maskgit", (2, 3, 1))
    assert isinstance(network, MaskGIT)
    codes = torch.randint(3, (5, 2, 3, 1))
    torch.manual_seed(0)
    nats, masked = network.masked_nll(codes, torch.zeros(5, dtype=torch.int64), torch.tensor([1, 2, 3, 4, 6]))
    assert masked.sum(1).tolist() == [1, 2, 3, 4, 6] and (nats[~masked] == 0).all() and (nats[masked] > 0).all()
    logits = network.logits(codes.flatten(1), masked, torch.zeros(5, dtype=torch.int64))
    changed = torch.where(masked.unflatten(1, (2, 3, 1)), (codes + 1) % 3, codes)
    assert torch.equal(logits, network.logits(changed.flatten(1), masked, torch.zeros(5, dtype=torch.int64)))


@torch.no_grad()
def test_maskgit_keeps_the_most_confident_codes() -> None:
    """At fixed logits confidence grows with the position, so the last are kept first; noise changes the order."""
    strength = torch.linspace(0.1, 6, 12)
    logits = torch.stack([strength, torch.zeros(12)], -1)[None]  # the first code is the more probable one

    def run(choice_temperature: float) -> list[Tensor]:
        torch.manual_seed(0)
        network = MaskGIT((3, 4, 1), 2, width=8, depth=1, steps=5, choice_temperature=choice_temperature)
        seen: list[Tensor] = []

        def fixed(codes: Tensor, masked: Tensor, label: Tensor) -> Tensor:
            seen.append(masked[0])
            return logits

        network.logits = fixed  # type: ignore[method-assign]
        network.sample(torch.zeros(1, dtype=torch.int64), lambda logits: logits.argmax(-1))
        return seen

    cold, warm = run(0.0), run(50.0)
    numbers = [int(12 * math.cos(math.pi / 2 * step / 5)) for step in range(5)]
    for masked, left in zip(cold, numbers, strict=True):
        assert masked.tolist() == [True] * left + [False] * (12 - left)
    assert [masked.sum() for masked in warm] == numbers
    assert any(not torch.equal(one, other) for one, other in zip(cold, warm, strict=True))


def test_maskgit_mean_mask_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is 2 / pi, the mean of the cosine."""
    network = small("maskgit", (10, 10, 1))
    assert isinstance(network, MaskGIT)
    asked: list[Tensor] = []

    def spy(codes: Tensor, label: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(number)
        return torch.zeros(1), torch.ones(1)

    monkeypatch.setattr(network, "masked_nll", spy)
    network.loss(torch.zeros(20_000, 10, 10, 1, dtype=torch.int64), torch.zeros(20_000, dtype=torch.int64))
    share = asked[0] / 100
    assert share.mean().item() == pytest.approx(2 / math.pi + 0.005, abs=4 * share.std().item() / 20_000**0.5)


@torch.no_grad()
def test_maskgit_masks_are_float32_draws(
    monkeypatch: pytest.MonkeyPatch, default_dtype: Callable[[torch.dtype], None]
) -> None:
    """Draws of 16 bits, the default type of a step whose weights have them, are often equal."""
    network = small("maskgit", (10, 10, 1))
    assert isinstance(network, MaskGIT)
    asked: list[Tensor] = []
    inner = network.masked_nll

    def spy(codes: Tensor, label: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        nll, masked = inner(codes, label, number)
        asked.extend([number, masked])
        return nll, masked

    monkeypatch.setattr(network, "masked_nll", spy)
    for dtype in (torch.float32, torch.bfloat16):
        default_dtype(dtype)
        torch.manual_seed(0)
        network.loss(torch.zeros(50, 10, 10, 1, dtype=torch.int64), torch.zeros(50, dtype=torch.int64))
    assert torch.equal(asked[0], asked[2]) and torch.equal(asked[1], asked[3])


def test_mask_ratio_is_a_cosine() -> None:
    share = mask_ratio(torch.tensor([0.0, 0.5, 1.0]))
    assert torch.allclose(share, torch.tensor([1.0, math.sqrt(0.5), 0.0]), atol=1e-6)


@pytest.mark.parametrize("options", [{"steps": 0}, {"choice_temperature": -1.0}], ids=str)
def test_maskgit_option_mistakes_raise(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        MaskGIT((2, 2, 1), 3, **options)  # type: ignore[arg-type]
