"""The Keras example's setting: a codebook near 0 that only the optimizer moves, and the row of its figures."""

import torch
from gumbelzoo.benchmarks.vqvae.keras_example import KerasExample, row


def test_only_the_loss_moves_the_codebook() -> None:
    torch.manual_seed(0)
    quantizer = KerasExample(4, 64).train()
    start = quantizer.table().detach().clone()
    assert 0.04 < start.abs().max() <= 0.05
    for _ in range(5):  # no k-means, no revival of what is not used
        quantized = quantizer(3 * torch.randn(100, 4))
    assert torch.equal(quantizer.table(), start)
    quantized.loss.backward()
    moved = quantizer.codebook.weight.grad.abs().sum(-1) > 0
    assert torch.equal(moved.nonzero()[:, 0], quantized.codes.unique())


def test_a_row() -> None:
    codes = {"test/nmse": 0.04331, "test/usage": 0.578, "test/perplexity": 11.27}
    assert row("x", codes, {"test/nats_per_code": 1.0304}) == ["x", "0.0433", "58%", "11.3", "1.030", "50.5"]
