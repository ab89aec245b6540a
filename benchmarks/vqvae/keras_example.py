"""The Keras example of a VQ-VAE in its own setting, and the nats per code of a prior over its codes.

    python benchmarks/vqvae/keras_example.py --out runs/keras_example     # the same command resumes

It trains ``vqvae_mnist_ema`` with the codebook of that example, then ``prior_mnist`` over its codes, and writes
``keras_example.md``, which compares them with the released models.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from gumbelzoo.benchmarks.common.pages import markdown_table, write_page
from gumbelzoo.benchmarks.common.runs import environment, finish, fit_record, test_metrics
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.quantizers.vector import VectorQuantizer
from gumbelzoo.pretrained.api import RELEASED
from gumbelzoo.pretrained.config import read_config

OPTIMIZER = ["--model.optimizer.learning_rate=1e-3", "--model.optimizer.schedule=constant"]
HEADER = ["codebook", "NMSE", "usage", "perplexity", "nats per code", "nats per image"]
POSITIONS = 7 * 7
HEAD = f"""\
Greyscale MNIST, test set, deterministic codes, seed 0. The network is that of `configs/vqvae_mnist_ema.yaml` (49k
parameters, 7 x 7 positions, 128 codes of width 16, 30 epochs), with the PixelCNN of `configs/prior_mnist.yaml` (1.05M
parameters). The codebook of the Keras example learns by the loss, from values within 0.05 of 0, without k-means and
without resets of dead codes; Adam has a constant learning rate of 1e-3. Nats per image: {POSITIONS} codes. Published
are an NMSE of 0.0444, a mean over training batches of the last epoch, and 1.033 nats per code, on codes of images that
the VQ-VAE has learned from, without a perplexity; ours are of test images. A code with little information has few nats,
so nats are comparable only at equal distortion. `python benchmarks/vqvae/keras_example.py` writes this page."""


class KerasExample(VectorQuantizer):
    """Nearest neighbour, with a codebook that learns by the loss from values near 0; dead codes are not reset.

    Args:
        dim: width d of the vectors.
        codebook_size: number of codes k.
        positions: positions of an example; not used.
    """

    def __init__(self, dim: int, codebook_size: int, positions: int | None = None) -> None:
        super().__init__(dim, codebook_size, update="loss", kmeans_batches=0, dead_code_threshold=0.0)
        torch.nn.init.uniform_(self.codebook.weight, -0.05, 0.05)


def main() -> None:
    """Train what is not finished, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/keras_example"))
    out = parser.parse_args().out.resolve()
    sys.argv = sys.argv[:1]
    torch.set_num_threads(1)
    QUANTIZERS.register("keras_example")(KerasExample)
    vqvae = finish(
        out, "vqvae_mnist_ema", ["--model.quantizer={name: keras_example, codebook_size: 128}", *OPTIMIZER], test=True
    )
    prior = finish(out, "prior_mnist", [f"--model.vqvae={vqvae}"], test=True)
    ours = [read_config(RELEASED / name).metrics for name in ("vqvae-mnist-ema", "vqvae-mnist")]
    rows = [
        row("of the Keras example", test_metrics(vqvae), test_metrics(prior)),
        row("`vqvae_mnist_ema`, `prior_mnist` (released)", *ours),
    ]
    machine = environment([fit_record(vqvae), fit_record(prior)])
    write_page(__file__, ["# The Keras example in its own setting", HEAD, machine, markdown_table(HEADER, rows)])


def row(name: str, codes: dict[str, float], prior: dict[str, float]) -> list[str]:
    """Return a row of the table, from the test metrics of a VQ-VAE and of the prior over its codes."""
    nats = prior["test/nats_per_code"]
    cells = [f"{codes['test/nmse']:.4f}", f"{100 * codes['test/usage']:.0f}%", f"{codes['test/perplexity']:.1f}"]
    return [name, *cells, f"{nats:.3f}", f"{POSITIONS * nats:.1f}"]


if __name__ == "__main__":
    main()
