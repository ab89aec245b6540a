"""How fast a generator step of the Gumbel GAN is, beside the same step written with PyTorch's own functions.

``python benchmarks/speed/rollout.py`` prints a table and writes ``rollout.md``. Vocabulary 5,000, length 20,
batch 64, an LSTM of 32, on one thread: SeqGAN's setting. The peer is the loop that public text GANs have: an LSTM cell,
``torch.nn.functional.gumbel_softmax`` on the logits, the product of the sample and the embedding. Both start from the
same weights, and both have the same discriminator behind them. They are timed in turns, as in ``sampling.py``, but by
the processor's time, of which other work on the machine takes nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from gumbelzoo.benchmarks.common.measure import facts, in_turns, line
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.text.discriminators import CNNDiscriminator
from gumbelzoo.models.text.generators.lstm import LSTMGenerator
from gumbelzoo.vocabulary import Vocabulary
from torch import Tensor, nn

SIZE, LENGTH, BATCH, HIDDEN = 5000, 20, 64, 32
TEMPERATURE, TURNS, GOAL = 0.7, 7, 2.0
KINDS = {"soft": "gumbel_softmax", "hard": "straight_through_gumbel_softmax"}
HEADER = ["sample", "behind it", "peer ms", "gumbelzoo ms", "ratio", "range", "goal"]


class Peer(nn.Module):
    """The usual loop, on the parameters of one of our generators."""

    def __init__(self, ours: LSTMGenerator, hard: bool) -> None:
        super().__init__()
        cell = ours.cells[0]
        self.embedding, self.head, self.hard = ours.embedding, ours.head, hard
        self.cell = nn.LSTMCell(HIDDEN, HIDDEN)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(self.cell, name, getattr(cell, f"{name}_l0"))

    def forward(self) -> Tensor:
        """Samples ``b t v``."""
        x = self.embedding.weight[-1].expand(BATCH, -1)
        state = (x.new_zeros(BATCH, HIDDEN), x.new_zeros(BATCH, HIDDEN))
        points = []
        for _ in range(LENGTH):
            state = self.cell(x, state)
            points.append(F.gumbel_softmax(self.head(state[0]), TEMPERATURE, hard=self.hard))
            x = points[-1] @ self.embedding.weight[:-1]
        return torch.stack(points, 1)


def main() -> None:
    """Measure, print and write the table."""
    torch.set_num_threads(1)
    rows = [HEADER, ["---"] * len(HEADER)]
    print(facts(), *map(line, rows), sep="\n")
    for kind, estimator in KINDS.items():
        torch.manual_seed(0)
        vocabulary = Vocabulary([str(token) for token in range(SIZE)])
        generator = LSTMGenerator(vocabulary, LENGTH, width=HIDDEN, hidden=HIDDEN)
        discriminator = CNNDiscriminator(vocabulary, LENGTH)
        layer, weight = RelaxedCategorical(estimator, TEMPERATURE), torch.randn(LENGTH, SIZE)
        costs = {"a linear cost": partial(linear, weight), "the discriminator": partial(adversarial, discriminator)}
        samplers = Peer(generator, kind == "hard"), partial(generator.rollout, BATCH, layer)
        for name, cost in costs.items():
            steps = [step(sampler, cost, list(generator.parameters())) for sampler in samplers]
            seconds = in_turns(steps, TURNS)
            ratios = [a / b for a, b in zip(*seconds, strict=True)]
            times = [f"{1e3 * statistics.median(record):.1f}" for record in seconds]
            spread = f"{min(ratios):.2f} .. {max(ratios):.2f}"
            rows.append([kind, name, *times, f"{statistics.median(ratios):.2f}", spread, f">= {GOAL}"])
            print(line(rows[-1]), flush=True)
    text = f"# A generator step: the roll-out beside PyTorch's functions\n\n{facts()}\n\n"
    Path(__file__).with_suffix(".md").write_text(text + "\n".join(map(line, rows)) + f"\n\n{NOTES}\n")


NOTES = f"""\
Forward, backward and one step of Adam for the generator: vocabulary {SIZE:,}, length {LENGTH}, batch {BATCH}, an LSTM
of {HIDDEN}. `soft` is Gumbel-Softmax, `hard` its straight-through form. The ratio is peer / gumbelzoo, so more than 1
is faster: median and range over the turns, in the processor's time. The discriminator is the zoo's convolutional one,
the same for both."""


def linear(weight: Tensor, points: Tensor) -> Tensor:
    """The cheapest thing to do with samples."""
    return (points * weight).sum() / BATCH


def adversarial(discriminator: nn.Module, points: Tensor) -> Tensor:
    """The generator's loss."""
    return F.softplus(-discriminator(points)).mean()


def step(sampler: Callable[[], Tensor], cost: Callable[[Tensor], Tensor], parameters: list[nn.Parameter]) -> Callable:
    """A training step of the generator; the discriminator's parameters get no gradient from either."""
    optimizer = torch.optim.Adam(parameters, lr=1e-5, fused=True)

    def run() -> None:
        optimizer.zero_grad()
        cost(sampler()).backward(inputs=parameters)
        optimizer.step()

    return run


if __name__ == "__main__":
    main()
