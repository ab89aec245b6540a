"""The Keras example: its codebook starts near 0 and moves only by the loss; the row of its metrics."""

import torch
from gumbelzoo.benchmarks.vqvae.keras_example import KerasExample, row


def test_only_the_loss_moves_the_codebook() -> None:
    """A forward pass leaves it unchanged, and the loss has a gradient for the codes that were used."""
    torch.manual_seed(0)
    quantizer = KerasExample(4, 64).train()
    start = quantizer.table().detach().clone()
    assert 0.04 < start.abs().max() <= 0.05
    for _ in range(5):  # no k-means, no resets of dead codes
        quantized = quantizer(3 * torch.randn(100, 4))
    assert torch.equal(quantizer.table(), start)
    quantized.loss.backward()
    moved = quantizer.codebook.weight.grad.abs().sum(-1) > 0
    assert torch.equal(moved.nonzero()[:, 0], quantized.codes.unique())


def test_row_of_the_page() -> None:
    """It has nats per code and per image."""
    codes = {"test/nmse": 0.04331, "test/usage": 0.578, "test/perplexity": 11.27}
    assert row("x", codes, {"test/nats_per_code": 1.0304}) == ["x", "0.0433", "58%", "11.3", "1.030", "50.5"]
