"""Peak memory and time of a training step of the prior's transformer, with and without gradient checkpointing.

Each setting has a process of its own, whose peak memory is that of the step: features, parameters, gradients. Times are
of the processor, one thread, the best of some steps. ``--length`` is the number of codes.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import torch
from gumbelzoo.models.vqvae.priors import CODE_NETWORKS


def measure(options: argparse.Namespace, again: bool) -> None:
    """Print memory in MiB above that of the network and its gradients, and seconds per step."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    spec = {"name": "transformer", "width": options.width, "depth": options.depth, "gradient_checkpointing": again}
    network = CODE_NETWORKS.build(spec, shape=(1, options.length, 1), codebook_size=512, classes=1)
    codes, label = (
        torch.randint(512, (options.batch, 1, options.length, 1)),
        torch.zeros(options.batch, dtype=torch.long),
    )
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(options.steps):
        start = time.process_time()
        network.loss(codes, label).backward()
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"gradient_checkpointing={again!s:5s}  {(peak - before) / 1024:7.0f} MiB  {min(seconds):6.2f} s")


def main() -> None:
    """Measure both settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--again", choices=["false", "true"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.again is not None:
        measure(options, options.again == "true")
        return
    for again in ("false", "true"):
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--again", again], check=True)


if __name__ == "__main__":
    main()
