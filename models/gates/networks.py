"""Networks with gates on their units, by name in ``GATED_NETWORKS``.

A network is a row of stages. Gates multiply the inputs of a stage: pixels or hidden units of a linear layer, or the
channels of the convolution before. So a closed unit takes its bias along, in training, evaluation and removal.
Axes: ``b`` examples, ``c h w`` image, ``n`` gates of all places, ``y`` classes, ``r`` rows of gates: b, or 1 for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...ranges import check_sizes
from ...registry import Registry
from .pruning import flops, merge_flattened, without_closed


class GatedNetwork(nn.Module):
    """Base class of networks with gates on the inputs of their stages.

    Args:
        image_shape: ``c h w`` of the images.
        stages: each with the number of gates on its input (0: none) and its modules. The first module is a convolution,
            a linear layer or ``Flatten``.
    """

    def __init__(self, image_shape: Sequence[int], stages: Sequence[tuple[int, nn.Sequential]]) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.gates = [number for number, _ in stages]
        self.stages = nn.ModuleList(stage for _, stage in stages)

    @property
    def rows(self) -> list[nn.Sequential]:
        """The stages in their order."""
        return [stage for stage in self.stages if isinstance(stage, nn.Sequential)]

    @property
    def sizes(self) -> list[int]:
        """Gates of each place, from the input to the output; their sum is n."""
        return [number for number in self.gates if number]

    def forward(self, x: Tensor, gates: Tensor) -> Tensor:
        """Compute class logits, ``b c h w`` and gates ``... r n`` ``-> ... b y``."""
        hidden, leading = x, 1  # axes before those of an example; gates bring those of samples
        for part, stage in zip(self.split(gates), self.rows, strict=True):
            if part is not None:
                hidden = hidden * part.reshape(*part.shape, *[1] * (hidden.ndim - leading - 1))
                leading = gates.ndim - 1
            hidden = stage(hidden.flatten(0, leading - 1)).unflatten(0, hidden.shape[:leading])
        return hidden

    def split(self, gates: Tensor) -> list[Tensor | None]:
        """Split gates ``... n`` into those of each stage; None where it has none."""
        parts = iter(gates.split(self.sizes, -1))
        return [next(parts) if number else None for number in self.gates]

    def removed(self, gates: Tensor) -> nn.Sequential:
        """Build the network without closed units, ``b c h w -> b y``, whose outputs are those of ``forward``.

        Args:
            gates: ``n``, 0 for a closed unit. A channel whose features are all closed is removed too.

        Raises:
            ValueError: all units of a place are closed.
        """
        return without_closed(self.rows, self.split(gates))

    def units(self, gates: Tensor) -> list[int]:
        """Count the units of each place that ``removed`` keeps, for gates ``n``."""
        merged = merge_flattened(self.rows, self.split(gates))
        return [int((part != 0).sum()) for part in merged if part is not None]

    def savings(self) -> Tensor:
        """Count the operations of one image that the removal of each unit saves, ``n``, with all others open."""
        image, n = torch.zeros(1, *self.image_shape), sum(self.sizes)
        everything, first, saved = flops(self.removed(torch.ones(n)), image), 0, []
        for size in self.sizes:  # all units of a place are alike
            gates = torch.arange(n) != first
            left = flops(self.removed(gates.float()), image) if size > 1 else 0
            saved.append(torch.full((size,), float(everything - left)))
            first += size
        return torch.cat(saved)

    @torch.no_grad()
    def magnitudes(self, x: Tensor) -> Tensor:
        """Measure what each unit passes on, for pruning by magnitude, ``b c h w -> n``.

        It is the root mean square of the unit times the norm of its outgoing weights, with all gates open.
        """
        hidden, found = x, []
        for place, (number, stage) in enumerate(zip(self.gates, self.rows, strict=True)):
            if number:
                flat = isinstance(stage[0], nn.Flatten)  # its channels go out through the next layer
                layer = self.rows[place + flat][0]
                assert isinstance(layer, nn.Conv2d | nn.Linear)
                weight = layer.weight
                size = hidden.transpose(0, 1).flatten(1).square().mean(1).sqrt()
                found.append(size * weight.reshape(len(weight), number, -1).norm(dim=(0, 2)))
            hidden = stage(hidden)
        return torch.cat(found)


GATED_NETWORKS: Registry[type[GatedNetwork]] = Registry(
    "gated layers", context=("image_shape", "classes"), base=GatedNetwork
)


@GATED_NETWORKS.register("mlp")
class GatedMLP(GatedNetwork):
    """Linear layers with ReLU, and a gate for each pixel and each hidden unit; LeNet-300-100 by default.

    Args:
        image_shape: ``c h w`` of the images.
        classes: number of classes y.
        hidden: widths of the hidden layers.

    Raises:
        ValueError: a width < 1.
    """

    def __init__(self, image_shape: Sequence[int], classes: int, hidden: Sequence[int] = (300, 100)) -> None:
        check_sizes(hidden=hidden, classes=classes)
        widths = [math.prod(image_shape), *hidden]
        stages = [(before, nn.Sequential(nn.Linear(before, after), nn.ReLU())) for before, after in pairwise(widths)]
        last = nn.Sequential(nn.Linear(widths[-1], classes))
        super().__init__(image_shape, [(0, nn.Sequential(nn.Flatten())), *stages, (widths[-1], last)])


@GATED_NETWORKS.register("lenet5")
class GatedLeNet5(GatedNetwork):
    """LeNet-5 as in Caffe: two 5 x 5 convolutions, each with ReLU and pooling, and two linear layers.

    Gates are on the channels of both convolutions, the features of the first linear layer and its hidden units.

    Args:
        image_shape: ``c h w`` of the images; the sides are 16 or more.
        classes: number of classes y.
        channels: output channels of the convolutions.
        hidden: width of the hidden layer.

    Raises:
        ValueError: a width < 1, images too small for two convolutions.
    """

    def __init__(
        self, image_shape: Sequence[int], classes: int, channels: Sequence[int] = (20, 50), hidden: int = 500
    ) -> None:
        check_sizes(channels=channels, hidden=hidden, classes=classes)
        if len(channels) != 2:
            raise ValueError(f"channels must be two numbers, one for each convolution, got {list(channels)}")
        images, height, width = image_shape
        height, width = (((side - 4) // 2 - 4) // 2 for side in (height, width))
        if min(height, width) < 1:
            raise ValueError(f"lenet5 needs images of 16 x 16 or more, got {list(image_shape)[1:]}; use network 'mlp'")
        first, second = channels
        features = second * height * width
        stages = [
            (0, nn.Sequential(nn.Conv2d(images, first, 5), nn.ReLU(), nn.MaxPool2d(2))),
            (first, nn.Sequential(nn.Conv2d(first, second, 5), nn.ReLU(), nn.MaxPool2d(2))),
            (second, nn.Sequential(nn.Flatten())),
            (features, nn.Sequential(nn.Linear(features, hidden), nn.ReLU())),
            (hidden, nn.Sequential(nn.Linear(hidden, classes))),
        ]
        super().__init__(image_shape, stages)
