"""Usage of latents over an epoch, against counting by hand."""

import math

import pytest
import torch
from gumbelzoo.models.relaxed.latent_usage import LatentUsage


def test_usage_over_an_epoch() -> None:
    """Metrics are those of the epoch, not means over batches."""
    usage = LatentUsage(latents=2, categories=4)
    # The first latent is active over the epoch (0.015 nats) but not in the second batch, and each batch has one of its
    # categories. The second latent never changes.
    usage.update(torch.tensor([[0, 3], [0, 3]]), torch.tensor([[0.03, 0.0], [0.03, 0.001]]))
    usage.update(torch.tensor([[1, 3], [1, 3]]), torch.tensor([[0.0, 0.0], [0.0, 0.001]]))
    metrics = usage.compute()
    assert metrics["usage"].item() == pytest.approx(3 / 8)
    assert metrics["perplexity"].item() == pytest.approx((2 + 1) / 2)
    assert metrics["active_latents"].item() == 1


def test_perplexity_of_uniform_usage() -> None:
    """It is the number of categories."""
    usage = LatentUsage(latents=1, categories=5)
    usage.update(torch.arange(5)[:, None], torch.full((5, 1), math.log(5)))
    assert usage.compute()["perplexity"].item() == pytest.approx(5.0)
