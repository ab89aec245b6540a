"""Baselines of REINFORCE: estimates of a sample's cost that do not depend on the sample.

Leave-one-out: Kool, van Hoof & Welling 2019, "Buy 4 REINFORCE samples, get a baseline for free!". Moving average and
learned: Mnih & Gregor 2014 (NVIL, arXiv:1402.0030), section 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...registry import Registry
from .checks import refuse_recomputation
from .distributed import process_mean
from .surrogate import check_event, check_event_shape, upcast


class Baseline(nn.Module):
    """Base class of baselines, and the baseline 0.

    Input are the costs ``s b`` and the probabilities ``1 b n k``; with one sample ``b`` and ``b n k``. A cost may call
    the same baseline, where expectations nest. So what is known of past costs is read before these are evaluated.

    Args:
        event_shape: shape ``n k`` of one example's logits, for baselines that hold a network.
    """

    minimum_samples: int = 1  # smallest number of samples

    def __init__(self, event_shape: Sequence[int] | None) -> None:
        super().__init__()

    def forward(self, value: Tensor, probabilities: Tensor) -> Tensor:
        """Return the baseline, broadcastable to ``value``."""
        return torch.zeros_like(value)

    def past(self) -> Tensor | None:
        """Return the mean of past costs, a scalar; None for a baseline that keeps none."""
        return None

    def compare(self, value: Tensor, probabilities: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the advantage, ``value`` minus the baseline, detached, and the loss of a baseline that learns.

        Args:
            value, probabilities: as for ``forward``.
            past: ``past()`` before the costs were evaluated; the present one by default.
        """
        return value - self(value, probabilities), None


BASELINES: Registry[type[Baseline]] = Registry("baseline", context=("event_shape",), base=Baseline)
BASELINES.register("none")(Baseline)


@BASELINES.register("leave_one_out")
class LeaveOneOut(Baseline):
    """Mean cost of the other samples of the same example."""

    minimum_samples = 2

    def forward(self, value: Tensor, probabilities: Tensor) -> Tensor:
        """Return the means of the others, ``s b``."""
        return (value.sum(0) - value) / (len(value) - 1)


@BASELINES.register("moving_average")
class MovingAverage(Baseline):
    """Mean cost of past batches of all processes, with weights that decay by the factor ``DECAY`` per batch."""

    DECAY = 0.95  # of the weights of past batches
    total: Tensor
    weight: Tensor

    def __init__(self, event_shape: Sequence[int] | None) -> None:
        super().__init__(event_shape)
        self.register_buffer("total", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    def past(self) -> Tensor:
        """Return the average, a scalar; 0 in the first batch."""
        return self.total / self.weight.clamp(min=1e-12)

    def forward(self, value: Tensor, probabilities: Tensor, past: Tensor | None = None) -> Tensor:
        """Return the average of past costs; in training mode it then counts these."""
        average = self.past() if past is None else past
        if self.training:
            refuse_recomputation("a moving average of costs")
            mean = process_mean(value.float().mean())
            known = mean.isfinite()  # an infinite cost would stay in the average for ever
            self.total = torch.where(known, self.DECAY * self.total + mean, self.total)
            self.weight = torch.where(known, self.DECAY * self.weight + 1, self.weight)
        return average

    def compare(self, value: Tensor, probabilities: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the advantage, and no loss."""
        return value - self(value, probabilities, past), None


@BASELINES.register("learned")
class Learned(MovingAverage):
    """Moving average plus a network of the probabilities, which learns the difference of each example."""

    HIDDEN = 128  # width of the network

    def __init__(self, event_shape: Sequence[int] | None) -> None:
        super().__init__(event_shape)
        self.event_shape = check_event_shape("reinforce with a learned baseline", event_shape)
        self.network = small_network(self.event_shape.numel(), self.HIDDEN)

    def forward(self, value: Tensor, probabilities: Tensor, past: Tensor | None = None) -> Tensor:
        """Return the prediction, ``1 b``, or ``b`` for one sample."""
        average = super().forward(value, probabilities, past)
        return average + per_example(self.network, self.event_shape, value, probabilities)

    @torch.compiler.disable  # ``with_learning`` needs a graph of its own
    def compare(self, value: Tensor, probabilities: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the advantage and the squared error of the prediction, ``s b`` each."""
        baseline = self(value, probabilities, past)
        return value - baseline.detach(), (value - baseline).square()


def small_network(inputs: int, hidden: int) -> nn.Sequential:
    """Build a smooth network from the numbers of an example to one number."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, 1))


def per_example(network: nn.Module, event_shape: torch.Size, value: Tensor, *tensors: Tensor) -> Tensor:
    """Apply a network to the concatenated tensors ``... n k`` of each example, ``...``, with the axes of ``value``.

    Raises:
        ValueError: the shape ``n k`` of an example is not the event shape.
    """
    check_event(event_shape, tensors[0], value)
    flat = [tensor.expand_as(tensors[0]).flatten(value.ndim) for tensor in tensors]
    weight = next(network.parameters())
    with torch.autocast(weight.device.type, enabled=False):
        output = network(torch.cat(flat, -1).to(weight.dtype))
    return output.squeeze(-1).to(upcast(tensors[0]).dtype)
