"""Gumbel quantizer: gradients by enumeration, KL, samples."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.quantizers.gumbel import GumbelQuantizer, distance_logits
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from torch import Tensor

TARGET = torch.tensor([[0.4, -1.0], [0.9, 0.2]])


def cost(vectors: Tensor) -> Tensor:
    """A cost ``... 2 2 -> ...`` in which the two positions interact."""
    return (vectors - TARGET).square().sum((-1, -2)) + vectors.prod(-1).prod(-1).sin()


def small(**options: Any) -> GumbelQuantizer:
    """Two coordinates, three codes, no k-means, scale exp(0.3)."""
    torch.manual_seed(0)
    quantizer = GumbelQuantizer(2, **{"codebook_size": 3, "kmeans_batches": 0, "positions": 2, **options})
    with torch.no_grad():
        quantizer.log_scale.fill_(0.3)
    return quantizer


def inputs(b: int = 1) -> Tensor:
    """The same example b times, ``b 2 2``."""
    return torch.tensor([[[0.3, -0.5], [1.0, 0.1]]]).repeat(b, 1, 1).requires_grad_()


def exact(quantizer: GumbelQuantizer, z: Tensor) -> Tensor:
    """E[cost] by enumeration of the codes at both positions, with logits -scale |z - e|^2."""
    table, scale = quantizer.tables[0].weight, quantizer.log_scale.exp()
    log_p = (-scale * (z[0, :, None] - table).square().sum(-1)).log_softmax(-1)  # position k
    terms = []
    for codes in itertools.product(range(3), repeat=2):
        log_probability = log_p[0, codes[0]] + log_p[1, codes[1]]
        terms.append(log_probability.exp() * cost(torch.stack([table[code] for code in codes])))
    return torch.stack(terms).sum()


def gradients(value: Tensor, quantizer: GumbelQuantizer, z: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(value, [z, quantizer.tables[0].weight, quantizer.log_scale]))


@pytest.mark.parametrize("offset", [0.0, 10.0, 1000.0])
def test_logits_are_exact_far_from_zero(offset: float) -> None:
    """The scale of close vectors is large, and multiplies the rounding of their distances."""
    rows, table, scale = 0.1 * torch.randn(500, 16) + offset, 0.1 * torch.randn(32, 16) + offset, torch.tensor(50.0)
    rows.requires_grad_()
    found = distance_logits(rows, table, scale).softmax(-1)
    expected = (-scale * (rows.double()[:, None] - table.double()).square().sum(-1)).softmax(-1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-6)
    of_found, of_expected = (torch.autograd.grad(q.square().sum(), rows)[0] for q in (found, expected))
    torch.testing.assert_close(of_found, of_expected, rtol=1e-3, atol=1e-4)


def test_exact_estimator_equals_enumeration() -> None:
    """In value and in the gradients for the vectors, the codebook and its scale."""
    quantizer, z = small(estimator="exact"), inputs()
    value, _ = quantizer.expectation(z, cost)
    assert value.item() == pytest.approx(exact(quantizer, z).item(), rel=1e-5)
    expected = gradients(exact(quantizer, z), quantizer, z)
    for ours, theirs in zip(gradients(value.sum(), quantizer, z), expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("estimator", "options"), [("reinforce", {"samples": 4}), ("rebar", {"samples": 1})])
def test_unbiased_estimators_equal_enumeration(estimator: str, options: dict[str, int]) -> None:
    quantizer, z = small(estimator={"name": estimator, **options}), inputs(20_000)
    value, _ = quantizer.expectation(z, cost)
    (draws,) = torch.autograd.grad(value.sum(), z)
    expected = gradients(exact(quantizer, z), quantizer, z)[0][0]
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - expected).abs() < 4 * error).all()


@pytest.mark.parametrize("estimator", ["gumbel_softmax", "straight_through_gumbel_softmax", "reinmax", "gumbel_rao"])
def test_gradient_is_that_of_the_estimator(estimator: str) -> None:
    """The quantizer adds only the distances before the layer and the codebook after it; it is not straight-through."""
    quantizer, z = small(estimator=estimator, temperature=0.7), inputs()
    torch.manual_seed(5)
    value, _ = quantizer.expectation(z, cost)
    ours = gradients(value.sum(), quantizer, z)

    table = quantizer.tables[0].weight
    logits = -quantizer.log_scale.exp() * (z[:, :, None] - table).square().sum(-1)  # b n k
    torch.manual_seed(5)
    direct = RelaxedCategorical(estimator, 0.7).expectation(logits, lambda weights: cost(weights @ table))
    assert value.item() == pytest.approx(direct.item(), rel=1e-5)
    for one, other in zip(ours, gradients(direct.sum(), quantizer, z), strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)

    plain = QUANTIZERS["vector"](2, codebook_size=3, kmeans_batches=0)
    plain.codebook.weight.copy_(table.detach())
    (copied,) = torch.autograd.grad(plain.expectation(z, cost)[0].sum(), z)
    assert (ours[0] - copied).norm() > 0.1 * copied.norm()


@pytest.mark.parametrize("estimator", ESTIMATORS.names())
@pytest.mark.parametrize("logits", ["distance", "linear"])
def test_every_estimator_trains(estimator: str, logits: str) -> None:
    k = ESTIMATORS[estimator].categories or 3
    quantizer = small(estimator=estimator, logits=logits, codebook_size=k, codebooks=2)
    z = torch.randn(32, 2, 2, requires_grad=True)
    value, quantized = quantizer.expectation(z, cost)
    assert value.shape == (32,) and quantized.vectors.shape == z.shape
    (value.mean() + quantized.loss).backward()
    for name, tensor in [("z", z), *quantizer.named_parameters()]:
        if tensor.requires_grad:
            assert tensor.grad is not None and tensor.grad.isfinite().all() and tensor.grad.abs().sum() > 0, name


def test_estimator_and_schedule_of_their_specs() -> None:
    schedule = {"name": "exponential", "initial": 2.0}
    quantizer = small(estimator={"name": "reinforce", "samples": 3}, temperature=schedule)
    assert (quantizer.relaxed.name, quantizer.relaxed.estimator.samples) == ("reinforce", 3)
    assert quantizer.relaxed.temperature_spec == schedule
    with pytest.raises(ValueError, match=r"event_shape=\(latents, categories\)"):
        small(estimator="relax", positions=None)


def test_samples_have_a_leading_axis() -> None:
    shapes = []

    def recorded(vectors: Tensor) -> Tensor:
        shapes.append(tuple(vectors.shape))
        return cost(vectors)

    quantizer = small(estimator={"name": "gumbel_softmax", "samples": 5})
    assert quantizer.expectation(inputs(3), recorded)[0].shape == (3,)
    assert shapes == [(5, 3, 2, 2)]


def test_forward_without_pathwise_gradient_raises() -> None:
    with pytest.raises(ValueError, match="expectation"):
        small(estimator="reinforce")(inputs())


@torch.no_grad()
def test_eval_draws_and_modes() -> None:
    """``expectation`` and ``sample_codes`` take exact draws, ``forward`` the modes."""
    quantizer = small().eval()
    value, quantized = quantizer.expectation(inputs(20_000), cost)
    expected = exact(quantizer, inputs()).item()
    assert value.mean().item() == pytest.approx(expected, abs=4 * value.std().item() / len(value) ** 0.5)
    assert torch.equal(quantized.codes, quantizer.posterior(inputs(20_000)).argmax(-1))
    drawn = quantizer.sample_codes(inputs(20_000))
    shares = torch.stack([(drawn == k).float().mean((0, 2)) for k in range(3)], -1)  # position k
    p = quantizer.posterior(inputs())[0, :, 0].softmax(-1)
    assert ((shares - p).abs() < 4 * (p * (1 - p) / 20_000).sqrt()).all()
    again = [quantizer.sample_codes(inputs(9), torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*again)


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"codebooks": 2}, {"codebooks": 2, "residual": True}, {"logits": "linear"}])
def test_kl_equals_monte_carlo(options: dict[str, Any]) -> None:
    """In nats, summed over positions and codes; the loss is its weighted mean per position."""
    quantizer = small(**options, kl_weight=0.3).eval()
    z = inputs(20_000)
    codes, log_p = quantizer.sample_codes(z), quantizer.posterior(z).log_softmax(-1)
    ratio = (log_p.gather(-1, codes[..., None]) + math.log(3)).sum((1, 2, 3))
    kl = quantizer.kl(z)
    assert kl[0].item() == pytest.approx(ratio.mean().item(), abs=4 * ratio.std().item() / len(ratio) ** 0.5)
    quantized = quantizer(z)
    assert quantized.metrics["rate"].item() == pytest.approx(kl.mean().item() / 2, rel=1e-4)
    assert quantized.loss.item() == pytest.approx(0.3 * kl.mean().item() / 2, rel=1e-4)


@torch.no_grad()
def test_several_codebooks() -> None:
    """They quantize groups of coordinates, or refine the modes before them."""
    z = inputs().detach()
    groups = small(codebooks=2).eval()
    for i in range(2):
        table, scale = groups.tables[i].weight[:, 0], groups.log_scale[i].exp()
        expected = (-scale * (z[..., i, None] - table).square()).log_softmax(-1)
        assert torch.allclose(groups.posterior(z)[..., i, :].log_softmax(-1), expected, atol=1e-6)
    refined = small(codebooks=2, residual=True).eval()
    first, second = (table.weight for table in refined.tables)
    residual = z - first[refined.encode(z)[..., 0]]
    expected = (-refined.log_scale[1].exp() * (residual[..., None, :] - second).square().sum(-1)).log_softmax(-1)
    assert torch.allclose(refined.posterior(z)[..., 1, :].log_softmax(-1), expected, atol=1e-6)
    codes = refined.encode(z)
    assert torch.allclose(refined.decode(codes), first[codes[..., 0]] + second[codes[..., 1]])


def test_kmeans_sets_the_scale() -> None:
    """Inputs at distance 0.1 around three points have a variance of 0.01 per coordinate."""
    torch.manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    rows = centres.repeat(500, 1) + 0.1 * torch.randn(1500, 2)
    quantizer = small(kmeans_batches=1)
    quantizer(rows)
    assert quantizer.log_scale.item() == pytest.approx(-math.log(2 * 0.01), abs=0.1)
    assert quantizer.eval().kl(rows).mean().item() == pytest.approx(math.log(3), abs=1e-3)


@pytest.mark.parametrize("rows", [100, 520, 600, 4096])
def test_kmeans_leaves_a_gradient(rows: int) -> None:
    """With few inputs for 512 codes nearly every input gets its own code, which hides their spread."""
    torch.manual_seed(0)
    quantizer = QUANTIZERS["gumbel"](16)
    z = torch.randn(rows, 16, requires_grad=True)
    value, quantized = quantizer.expectation(z, lambda vectors: (vectors - 1).square().sum(-1))
    (gradient,) = torch.autograd.grad(value.sum() + quantized.loss, z)
    assert gradient.square().mean().sqrt() > 0.01
    assert abs(float(quantizer.log_scale.detach())) < 1
