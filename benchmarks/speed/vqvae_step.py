"""A training step of a VQ-VAE, beside the same network with the quantizers of two other packages.

``python benchmarks/speed/vqvae_step.py`` prints a table and writes ``vqvae_step.md``. The network is that of the Keras
example on MNIST (49k parameters, 128 codes of width 16 with moving averages). The peers are bare loops as their users
write them: the same layers from ``torch.nn``, with ``VectorQuantize`` of vector-quantize-pytorch, and inside ``VQVAE``
of pythae (``pip install vector-quantize-pytorch pythae``). All steps are timed in turns in one process on one thread,
by processor time.

Axes: ``b`` batch, ``c h w`` image.
"""

from __future__ import annotations

import importlib.metadata
import statistics
import sys
from collections.abc import Callable
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from gumbelzoo.benchmarks.common.command import parse_nothing
from gumbelzoo.benchmarks.common.measure import describe_machine, interleaved_times
from gumbelzoo.benchmarks.common.pages import markdown_row, markdown_table, write_page
from gumbelzoo.models.vqvae.vqvae import VQVAE
from torch import Tensor, nn

try:
    from pythae.models import VQVAE as PythaeVQVAE
    from pythae.models import VQVAEConfig
    from vector_quantize_pytorch import VectorQuantize
except ModuleNotFoundError as error:
    sys.exit(f"this benchmark compares with {error.name}: pip install vector-quantize-pytorch pythae")

PACKAGES = ("vector-quantize-pytorch", "pythae")
BATCHES = (16, 128)
SHAPE, DIM, CODES, DECAY, COMMITMENT = (1, 28, 28), 16, 128, 0.99, 0.25
TURNS, STEPS = 7, 5
HEADER = ["batch", "ours ms", *(f"{name} ms" for name in PACKAGES)]
HEADER += [cell for name in PACKAGES for cell in (f"{name} / ours", "range")]
NOTES = f"""\
Forward pass, backward pass and a fused step of AdamW, float32, {STEPS} steps a turn, medians and ranges over {TURNS}
turns; above 1 ours is faster. Ours has the network of `vqvae_mnist_ema`, in `channels_last` and with its own transposed
convolution, as every run of it. The peers have the same layers from `torch.nn`. Ours also looks for dead codes and
counts their use, as it does in a run."""


def plain_encoder() -> nn.Sequential:
    """Build the encoder from PyTorch's layers, ``b c h w -> b d h/4 w/4``."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(64, DIM, 1),
    )


def plain_decoder() -> nn.Sequential:
    """Build the decoder from PyTorch's layers, ``b d h/4 w/4 -> b c h w``."""
    return nn.Sequential(
        nn.ConvTranspose2d(DIM, 64, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 1, 3, padding=1),
    )


class Part(nn.Module):
    """A network whose output pythae reads by name."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, x: Tensor) -> SimpleNamespace:
        """Return the output under its name."""
        return SimpleNamespace(**{self.name: self.network(x)})


def our_step(images: Tensor) -> Callable[[], None]:
    """Return a step of ours, with the loss that ``fit`` minimizes."""
    sides = {"name": "conv", "widths": [32, 64]}, {"name": "conv", "widths": [64, 32]}
    codes = {"name": "vector", "codebook_size": CODES, "decay": DECAY, "commitment": COMMITMENT, "kmeans_batches": 0}
    model = VQVAE(SHAPE, DIM, *sides, quantizer=codes)
    return repeated(model, lambda: model.training_metrics({"image": images})["loss"])


def package_step(images: Tensor) -> Callable[[], None]:
    """Return a step of a loop with vector-quantize-pytorch."""
    quantizer = VectorQuantize(
        DIM, CODES, decay=DECAY, commitment_weight=COMMITMENT, accept_image_fmap=True, rotation_trick=False
    )
    model = nn.ModuleList([plain_encoder(), quantizer, plain_decoder()])

    def loss() -> Tensor:
        vectors, _, commitment = quantizer(model[0](images))
        return F.mse_loss(model[2](vectors), images) + commitment.sum()

    return repeated(model, loss)


def pythae_step(images: Tensor) -> Callable[[], None]:
    """Return a step of a loop with pythae's model."""
    config = VQVAEConfig(
        input_dim=SHAPE, latent_dim=DIM, num_embeddings=CODES, use_ema=True, decay=DECAY,
        commitment_loss_factor=COMMITMENT,
    )  # fmt: skip
    model = PythaeVQVAE(config)
    model.encoder, model.decoder = Part(plain_encoder(), "embedding"), Part(plain_decoder(), "reconstruction")
    model._set_quantizer(config)  # for the width of this encoder
    return repeated(model, lambda: model({"data": images}).loss)


def repeated(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """Return a function that trains for ``STEPS`` steps."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def run() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

    return run


def compare(batch: int) -> list[str]:
    """Measure one batch size; return a row of the table."""
    images = torch.rand(batch, *SHAPE, generator=torch.Generator().manual_seed(0))
    seconds = interleaved_times([make(images) for make in (our_step, package_step, pythae_step)], TURNS)
    cells = [str(batch), *(f"{1e3 * statistics.median(turns) / STEPS:.1f}" for turns in seconds)]
    for other in seconds[1:]:
        ratios = [a / b for a, b in zip(other, seconds[0], strict=True)]
        cells += [f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} .. {max(ratios):.2f}"]
    return cells


def main() -> None:
    """Measure, print and write the page."""
    torch.set_num_threads(1)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    rows = []
    for batch in BATCHES:
        rows.append(compare(batch))
        print(markdown_row(rows[-1]), flush=True)
    machine = f"{describe_machine().rstrip('.')}; {versions}."
    write_page(__file__, ["# A training step of a VQ-VAE", machine, markdown_table(HEADER, rows), NOTES])


if __name__ == "__main__":
    parse_nothing(__doc__)
    main()
