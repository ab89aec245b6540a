"""Time of a generator step of the Gumbel GAN, compared with the same step in PyTorch's own functions.

``python benchmarks/speed/rollout.py`` prints a table and writes ``rollout.md``. The setting is SeqGAN's: vocabulary
5,000, length 20, batch 64, an LSTM of 32, on one thread. The peer is the loop of public text GANs: an LSTM cell,
``torch.nn.functional.gumbel_softmax`` of the logits, and the product of the sample and the embedding. Both have the
same weights and the same discriminator. They are timed in turns, by processor time.

Axes: ``b`` batch, ``t`` time, ``v`` vocabulary.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from gumbelzoo.benchmarks.common.command import parse_nothing
from gumbelzoo.benchmarks.common.measure import describe_machine, interleaved_times
from gumbelzoo.benchmarks.common.pages import markdown_row, markdown_table, write_page
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.text.discriminators import CNNDiscriminator
from gumbelzoo.models.text.generators.lstm import LSTMGenerator
from gumbelzoo.vocabulary import Vocabulary
from torch import Tensor, nn

SIZE, LENGTH, BATCH, HIDDEN = 5000, 20, 64, 32
TEMPERATURE, TURNS, GOAL = 0.7, 7, 2.0
TITLE = "# A generator step compared with PyTorch's functions"
KINDS = {"soft": "gumbel_softmax", "hard": "straight_through_gumbel_softmax"}
HEADER = ["sample", "cost", "peer ms", "gumbelzoo ms", "ratio", "range", "goal"]


class Peer(nn.Module):
    """The usual loop, with the parameters of one of our generators."""

    def __init__(self, ours: LSTMGenerator, hard: bool) -> None:
        super().__init__()
        cell = ours.cells[0]
        self.embedding, self.head, self.hard = ours.embedding, ours.head, hard
        self.cell = nn.LSTMCell(HIDDEN, HIDDEN)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(self.cell, name, getattr(cell, f"{name}_l0"))

    def forward(self) -> Tensor:
        """Draw relaxed samples ``b t v``."""
        x = self.embedding.weight[-1].expand(BATCH, -1)
        state = (x.new_zeros(BATCH, HIDDEN), x.new_zeros(BATCH, HIDDEN))
        points = []
        for _ in range(LENGTH):
            state = self.cell(x, state)
            points.append(F.gumbel_softmax(self.head(state[0]), TEMPERATURE, hard=self.hard))
            x = points[-1] @ self.embedding.weight[:-1]
        return torch.stack(points, 1)


def main() -> None:
    """Measure, print and write the page."""
    torch.set_num_threads(1)
    rows = []
    for kind, estimator in KINDS.items():
        torch.manual_seed(0)
        vocabulary = Vocabulary([str(token) for token in range(SIZE)])
        generator = LSTMGenerator(vocabulary, LENGTH, width=HIDDEN, hidden=HIDDEN)
        discriminator = CNNDiscriminator(vocabulary, LENGTH)
        layer, weight = RelaxedCategorical(estimator, TEMPERATURE), torch.randn(LENGTH, SIZE)
        costs = {"linear": partial(linear, weight), "discriminator": partial(adversarial, discriminator)}
        samplers = Peer(generator, kind == "hard"), partial(generator.rollout, BATCH, layer)
        for name, cost in costs.items():
            steps = [step(sampler, cost, list(generator.parameters())) for sampler in samplers]
            seconds = interleaved_times(steps, TURNS)
            ratios = [a / b for a, b in zip(*seconds, strict=True)]
            times = [f"{1e3 * statistics.median(record):.1f}" for record in seconds]
            spread = f"{min(ratios):.2f} .. {max(ratios):.2f}"
            rows.append([kind, name, *times, f"{statistics.median(ratios):.2f}", spread, f">= {GOAL}"])
            print(markdown_row(rows[-1]), flush=True)
    write_page(__file__, [TITLE, describe_machine(), markdown_table(HEADER, rows), NOTES])


NOTES = f"""\
Forward pass, backward pass and one step of Adam for the generator: vocabulary {SIZE:,}, length {LENGTH}, batch {BATCH},
an LSTM of {HIDDEN}. `soft` is Gumbel-Softmax, `hard` its straight-through form. The ratio is peer / gumbelzoo, in
processor time, median and range over the turns: more than 1 is faster. Both have the same cost, a linear function of
the samples or the loss given by our convolutional discriminator."""


def linear(weight: Tensor, points: Tensor) -> Tensor:
    """Return a linear cost of samples ``b t v``, the cheapest there is."""
    return (points * weight).sum() / BATCH


def adversarial(discriminator: nn.Module, points: Tensor) -> Tensor:
    """Return the generator's loss for samples ``b t v``."""
    return F.softplus(-discriminator(points)).mean()


def step(sampler: Callable[[], Tensor], cost: Callable[[Tensor], Tensor], parameters: list[nn.Parameter]) -> Callable:
    """Return a training step of the generator; the discriminator's parameters get no gradient."""
    optimizer = torch.optim.Adam(parameters, lr=1e-5, fused=True)

    def run() -> None:
        optimizer.zero_grad()
        cost(sampler()).backward(inputs=parameters)
        optimizer.step()

    return run


if __name__ == "__main__":
    parse_nothing(__doc__)
    main()
