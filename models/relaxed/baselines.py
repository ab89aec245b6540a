"""Baselines: what REINFORCE subtracts from the cost of a sample, never from that sample's own cost.

Leave-one-out: Kool, van Hoof & Welling 2019, "Buy 4 REINFORCE samples, get a baseline for free!". Moving average and
learned: Mnih & Gregor 2014 (NVIL, arXiv:1402.0030), section 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...registry import Registry
from .estimator import check_event, check_event_shape, full_precision


class Baseline(nn.Module):
    """Maps costs ``s b`` and probabilities ``1 b n k`` (for one sample without the first axes) to what is subtracted.

    Here nothing is. A baseline with parameters returns a tensor through which they learn to predict the cost.
    """

    minimum_samples: int = 1

    def __init__(self, event_shape: Sequence[int] | None) -> None:
        super().__init__()

    def forward(self, value: Tensor, probabilities: Tensor) -> Tensor:
        """Broadcastable to ``value``."""
        return torch.zeros_like(value)

    def compare(self, value: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor | None]:
        """``value`` less the baseline, without a gradient, and the loss of a baseline that learns."""
        return value - self(value, probabilities), None


BASELINES: Registry[type[Baseline]] = Registry("baseline")
BASELINES.register("none")(Baseline)


@BASELINES.register("leave_one_out")
class LeaveOneOut(Baseline):
    """The mean cost of the other samples of the same example."""

    minimum_samples = 2

    def forward(self, value: Tensor, probabilities: Tensor) -> Tensor:
        """``s b``."""
        return (value.sum(0) - value) / (len(value) - 1)


@BASELINES.register("moving_average")
class MovingAverage(Baseline):
    """The mean cost of past batches, the weights of which fall by ``DECAY`` per batch."""

    DECAY = 0.95
    total: Tensor
    weight: Tensor

    def __init__(self, event_shape: Sequence[int] | None) -> None:
        super().__init__(event_shape)
        self.register_buffer("total", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, value: Tensor, probabilities: Tensor) -> Tensor:
        """A scalar; 0 in the first batch."""
        average, mean = self.total / self.weight.clamp(min=1e-12), value.float().mean()
        known = mean.isfinite()  # an infinite cost would be remembered for ever
        self.total = torch.where(known, self.DECAY * self.total + mean, self.total)
        self.weight = torch.where(known, self.DECAY * self.weight + 1, self.weight)
        return average


@BASELINES.register("learned")
class Learned(MovingAverage):
    """The moving average plus a network of the probabilities, which learns what an example costs more than others."""

    HIDDEN = 128

    def __init__(self, event_shape: Sequence[int] | None) -> None:
        super().__init__(event_shape)
        self.event_shape = check_event_shape("reinforce with a learned baseline", event_shape)
        self.network = small_network(self.event_shape.numel(), self.HIDDEN)

    def forward(self, value: Tensor, probabilities: Tensor) -> Tensor:
        """``1 b``, or ``b`` for one sample."""
        return super().forward(value, probabilities) + per_example(self.network, self.event_shape, value, probabilities)

    @torch.compiler.disable  # ``attach_learning`` needs a graph of its own
    def compare(self, value: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor | None]:
        """The advantage and the squared error of the prediction, ``s b`` each."""
        baseline = self(value, probabilities)
        return value - baseline.detach(), (value - baseline).square()


def small_network(inputs: int, hidden: int) -> nn.Sequential:
    """Numbers of an example to one number, smooth."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, 1))


def per_example(network: nn.Module, event_shape: torch.Size, value: Tensor, *tensors: Tensor) -> Tensor:
    """The network's output ``...`` for tensors ``... n k`` side by side, as many axes as the examples' values have.

    Raises:
        ValueError: what is left of an example, n k, is not the event shape.
    """
    check_event(event_shape, tensors[0], value)
    flat = [tensor.expand_as(tensors[0]).flatten(value.ndim) for tensor in tensors]
    weight = next(network.parameters())
    with torch.autocast(weight.device.type, enabled=False):
        output = network(torch.cat(flat, -1).to(weight.dtype))
    return output.squeeze(-1).to(full_precision(tensors[0]).dtype)
