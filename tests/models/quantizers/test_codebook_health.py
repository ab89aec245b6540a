"""Codebooks: k-means initialisation, moving averages, resets of dead codes, usage over an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gumbelzoo.models.quantizers import QUANTIZERS, CodebookUsage, Quantizer
from gumbelzoo.models.quantizers.codebook import Codebook
from gumbelzoo.models.quantizers.kmeans import kmeans
from gumbelzoo.registry import Spec
from torch import Tensor


def codebooks(quantizer: Quantizer) -> list[Codebook]:
    return [module for module in quantizer.modules() if isinstance(module, Codebook)]


@pytest.fixture(params=["ema", "loss", "gumbel", "residual", "gumbel product"])
def alive(request: pytest.FixtureRequest) -> Quantizer:
    """A quantizer of ``b ... 4`` whose codebooks, of 6 codes, reset dead codes."""
    vector = {"name": "vector", "codebook_size": 6}
    forms: dict[str, Spec] = {
        "ema": vector,
        "loss": {**vector, "update": "loss"},
        "gumbel": {"name": "gumbel", "codebook_size": 6},
        "gumbel product": {"name": "gumbel", "codebook_size": 6, "codebooks": 2},
        "residual": {"name": "residual", "quantizer": vector, "codebooks": 2},
    }
    return QUANTIZERS.build(forms[request.param], dim=4, positions=6)


def test_kmeans_equals_lloyd(z: Tensor) -> None:
    rows = z.reshape(-1, 4)
    start = rows[[3, 11, 25]]
    centres = start.double().numpy()
    for _ in range(10):
        codes = ((rows.double().numpy()[:, None] - centres) ** 2).sum(-1).argmin(-1)
        centres = np.stack([rows.double().numpy()[codes == k].mean(0) for k in range(3)])
    np.testing.assert_allclose(kmeans(rows, start).numpy(), centres, rtol=1e-4, atol=1e-5)


def test_kmeans_restarts_empty_clusters(z: Tensor) -> None:
    centres = kmeans(z.reshape(-1, 4), torch.tensor([[0.0] * 4, [1.0] * 4, [99.0] * 4]))
    assert centres.abs().max() < 10


def test_first_batches_initialise_the_codebook(z: Tensor) -> None:
    quantizer = QUANTIZERS["vector"](4, codebook_size=6, update="loss", kmeans_batches=2)
    weight = quantizer.codebook.weight
    distortions = []
    for batch in range(3):
        before = weight.detach().clone()
        distortions.append(quantizer(z + 3.0 + batch).metrics["distortion"].item())
        assert torch.equal(before, weight) == (batch == 2)
    assert max(distortions[:2]) < 0.6 < distortions[2]


def test_kmeans_with_fewer_inputs_than_codes() -> None:
    quantizer = QUANTIZERS["vector"](4, codebook_size=50)
    rows = torch.randn(8, 4)
    assert quantizer(rows).metrics["distortion"] < 1e-10


def test_moving_averages_equal_numpy(z: Tensor) -> None:
    quantizer = QUANTIZERS["vector"](4, codebook_size=6, decay=0.9, kmeans_batches=0, dead_code_threshold=0.0)
    weight = quantizer.codebook.weight.double().numpy().copy()
    counts, sums = np.ones(6), weight.copy()
    for batch in range(4):
        rows = (z + 0.1 * batch).reshape(-1, 4)
        codes = ((rows.double().numpy()[:, None] - weight) ** 2).sum(-1).argmin(-1)
        assert np.array_equal(quantizer(z + 0.1 * batch).codes.numpy().ravel(), codes)
        for k in range(6):
            counts[k] = 0.9 * counts[k] + 0.1 * (codes == k).sum()
            sums[k] = 0.9 * sums[k] + 0.1 * rows.double().numpy()[codes == k].sum(0)
        smoothed = (counts + 1e-5) / (counts.sum() + 6e-5) * counts.sum()
        weight = sums / smoothed[:, None]
        np.testing.assert_allclose(quantizer.codebook.weight.numpy(), weight, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(quantizer.codebook.counts.numpy(), counts, rtol=1e-5)


def test_reset_of_dead_codes(alive: Quantizer, z: Tensor) -> None:
    """Only dead codes change, and they start with the mean count."""
    alive(z)
    for codebook in codebooks(alive):
        with torch.no_grad():
            codebook.counts[2] = 0.01 * codebook.counts.mean()
            codebook.weight[2] = 50.0
            if codebook.ema:
                codebook.sums[2] = 50.0 * codebook.counts[2]
        others = torch.tensor([0, 1, 3, 4, 5])
        before, mean = codebook().detach().clone(), codebook.counts.mean()
        rows = torch.randn(40, before.shape[-1])
        codebook.init_and_reset(rows)
        assert torch.equal(codebook()[others], before[others])
        reset = codebook()[2].detach()
        if codebook.has_commitment_loss:
            assert (rows == reset).all(-1).sum() == 1
        else:  # next to a live code, since the decoder has only seen codebook vectors
            spread = (before[others] - before[others].mean(0)).norm(dim=-1).max()
            assert 0 < (before[others] - reset).norm(dim=-1).min() < 0.1 * spread
        assert codebook.counts[2] == mean
        if codebook.ema:
            assert torch.allclose(codebook.sums[2], codebook.weight[2] * mean)


def test_dead_code_comes_back(alive: Quantizer, z: Tensor) -> None:
    alive(z)
    with torch.no_grad():
        for codebook in codebooks(alive):
            codebook.weight[2] = 50.0
            codebook.decay = 0.5
            if codebook.ema:
                codebook.sums[2] = 50.0 * codebook.counts[2]
    for _ in range(8):
        alive(z)
    assert all(codebook().abs().max() < 10 for codebook in codebooks(alive))


def test_no_reset_at_threshold_zero(z: Tensor) -> None:
    quantizer = QUANTIZERS["vector"](
        4, codebook_size=6, decay=0.0, dead_code_threshold=0.0, update="loss", kmeans_batches=0
    )
    with torch.no_grad():
        quantizer.codebook.weight[2] = 50.0
    for _ in range(3):
        quantizer(z)
    assert quantizer.codebook.counts[2] == 0 and (quantizer.codebook.weight[2] == 50.0).all()


def test_gradients_after_a_reset(alive: Quantizer, z: Tensor) -> None:
    """The codebook changes before it is used, never between forward and backward."""
    z = z.clone().requires_grad_()
    alive(z)
    for codebook in codebooks(alive):
        codebook.counts[1] = 0.0
    quantized = alive(z)
    (quantized.vectors.square().mean() + quantized.loss).backward()
    assert z.grad is not None and z.grad.isfinite().all()


def test_usage_over_an_epoch() -> None:
    """Metrics are those of the epoch, not means over batches."""
    usage = CodebookUsage(codebooks=2, codebook_size=4)
    usage.update(torch.tensor([[0, 3], [0, 3]]))  # each batch uses one code of the first codebook
    usage.update(torch.tensor([[[1, 3]], [[1, 3]]]))
    metrics = usage.compute()
    assert metrics["usage"].item() == pytest.approx(3 / 8)
    assert metrics["perplexity"].item() == pytest.approx((2 + 1) / 2)
    assert usage.counts.tolist() == [[2, 2, 0, 0], [0, 0, 0, 4]]
