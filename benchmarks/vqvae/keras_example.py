"""The Keras example of a VQ-VAE in its own setting: what its published nats per code are nats of.

    python benchmarks/vqvae/keras_example.py --out runs/keras_example     # goes on where it stopped

trains ``vqvae_mnist_ema`` with the codebook of that example, then ``prior_mnist`` over its codes, and writes
``keras_example.md``, with our own codebook, from its releases, beside it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from gumbelzoo.benchmarks.common.measure import table, write_page
from gumbelzoo.benchmarks.common.runs import environment, finish, fit_facts, test_metrics
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.quantizers.vector import VectorQuantizer
from gumbelzoo.pretrained.api import RELEASED
from gumbelzoo.pretrained.config import read_config

OPTIMIZER = ["--model.optimizer.learning_rate=1e-3", "--model.optimizer.schedule=constant"]
HEADER = ["codebook", "NMSE", "usage", "perplexity", "nats per code", "nats per image"]
POSITIONS = 7 * 7
HEAD = f"""\
Grey MNIST, the test set, deterministic codes, seed 0: the network of `configs/vqvae_mnist_ema.yaml` (49k parameters,
7 x 7 positions, 128 codes of width 16, 30 epochs) and the PixelCNN of `configs/prior_mnist.yaml` (1.05M parameters). In
the Keras example the codebook learns by the loss, from numbers within 0.05 of 0, without k-means or revival, and Adam
has a constant learning rate of 1e-3. Nats per image: {POSITIONS} codes. Published are an NMSE of 0.0444 and 1.033 nats
per code, without a perplexity. A code can be cheap because little is said by it: nats compare at equal distortion
only. By `python benchmarks/vqvae/keras_example.py`."""


class KerasExample(VectorQuantizer):
    """The nearest of the codes that learn by the loss from numbers near 0; nothing keeps them alive.

    Args:
        dim: width d of the vectors.
        codebook_size: number of codes k.
        positions: unused.
    """

    def __init__(self, dim: int, codebook_size: int, positions: int | None = None) -> None:
        super().__init__(dim, codebook_size, update="loss", kmeans_batches=0, dead_code_threshold=0.0)
        torch.nn.init.uniform_(self.codebook.weight, -0.05, 0.05)


def main() -> None:
    """Train what is not finished, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/keras_example"))
    out = parser.parse_args().out.resolve()
    sys.argv = sys.argv[:1]
    torch.set_num_threads(1)
    QUANTIZERS.register("keras_example")(KerasExample)
    vqvae = finish(out, "vqvae_mnist_ema", ["--model.quantizer={name: keras_example, codebook_size: 128}", *OPTIMIZER], test=True)
    prior = finish(out, "prior_mnist", [f"--model.vqvae={vqvae}"], test=True)
    ours = [read_config(RELEASED / name).metrics for name in ("vqvae-mnist-ema", "vqvae-mnist")]
    rows = [
        row("of the Keras example", test_metrics(vqvae), test_metrics(prior)),
        row("`vqvae_mnist_ema`, `prior_mnist` (released)", *ours),
    ]
    made = environment([fit_facts(vqvae), fit_facts(prior)])
    parts = ["# The Keras example in its own setting", HEAD, made, table(HEADER, rows)]
    write_page(__file__, parts)


def row(name: str, codes: dict[str, float], prior: dict[str, float]) -> list[str]:
    """A row from the test metrics of a VQ-VAE and of the prior over its codes."""
    nats = prior["test/nats_per_code"]
    figures = [f"{codes['test/nmse']:.4f}", f"{100 * codes['test/usage']:.0f}%", f"{codes['test/perplexity']:.1f}"]
    return [name, *figures, f"{nats:.3f}", f"{POSITIONS * nats:.1f}"]


if __name__ == "__main__":
    main()
