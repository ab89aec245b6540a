"""Use of latents over an epoch, against counting by hand (pitfall 24)."""

import math

import pytest
import torch
from gumbelzoo.models.relaxed.latent_usage import LatentUse


def test_latent_use_is_counted_over_the_epoch_not_per_batch() -> None:
    use = LatentUse(latents=2, categories=4)
    # The first latent is active over the epoch (0.015 nats), not in the second batch, and each batch holds one of its
    # categories; the second latent is stuck.
    use.update(torch.tensor([[0, 3], [0, 3]]), torch.tensor([[0.03, 0.0], [0.03, 0.001]]))
    use.update(torch.tensor([[1, 3], [1, 3]]), torch.tensor([[0.0, 0.0], [0.0, 0.001]]))
    figures = use.compute()
    assert figures["usage"].item() == pytest.approx(3 / 8)
    assert figures["perplexity"].item() == pytest.approx((2 + 1) / 2)
    assert figures["active_latents"].item() == 1


def test_perplexity_of_an_even_use_is_the_number_of_categories() -> None:
    use = LatentUse(latents=1, categories=5)
    use.update(torch.arange(5)[:, None], torch.full((5, 1), math.log(5)))
    assert use.compute()["perplexity"].item() == pytest.approx(5.0)
