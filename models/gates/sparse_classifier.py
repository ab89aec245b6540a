"""Sparsification by stochastic gates: a classifier that learns which of its units it needs.

Louizos, Welling & Kingma 2018 (arXiv:1712.01312): E[cross-entropy] + weight / n * E[open gates], here by any estimator
of Bernoulli gates or by their hard concrete ones. Axes: ``b`` batch, ``c h w`` image, ``n`` gates of all units,
``y`` classes, ``s`` samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...interfaces import Batch
from ...ranges import check_sizes
from ...registry import Spec
from ..base import ModelCard, OptimizerConfig, Part, ZooModel, register_model
from ..inputs import check_image_shape, check_images
from ..networks.image_classifier import ImageClassifier
from ..relaxed.surrogate import upcast
from .base import GATES
from .costs import GATE_COSTS
from .networks import GATED_NETWORKS, GatedNetwork
from .objective import expected_cost, gated_metrics
from .pruning import flops
from .selectors import StaticSelector

# Price of each unit, ``n``, up to a factor, by name.
PRICES: dict[str, Callable[[GatedNetwork], Tensor]] = {
    "units": lambda network: torch.ones(sum(network.sizes)),
    "operations": GatedNetwork.savings,
    "layers": lambda network: torch.cat([torch.full((size,), 1 / size) for size in network.sizes]),
}


@register_model("sparse_classifier")
class SparseClassifier(ImageClassifier):
    """A network with a gate for each unit, whose closed units can be removed.

    In eval mode gates are not drawn. The best checkpoint is that of the lowest cross-entropy plus cost.

    Args:
        image_shape: ``c h w`` of the images.
        classes: number of classes y.
        network: mlp (784-300-100, with a gate for each pixel and hidden unit) or lenet5; or with options, such as
            ``{name: mlp, hidden: [64]}``.
        gates: hard_concrete, bernoulli, exactly_k, scale or fixed; or with options, such as ``{name: bernoulli,
            estimator: disarm}``.
        draw: example (each image has its own gates) or batch (one draw for all images of a batch).
        start: probability with which a Bernoulli gate is open before training, in (0, 1).
        cost: penalty, budget or none, with options.
        price: of an open unit, as a share of all: units (equal prices), operations (those that its removal saves) or
            layers (all units of a layer together have the same price in each layer).
        init_from: a trained sparse classifier, as ``load`` returns it; on the command line its name. Its network is
            where training starts: to prune and train again.
        optimizer: AdamW and its learning-rate schedule; options of ``OptimizerConfig``.

    Raises:
        ValueError: an unknown name or option (the nearest known one is named), a size below 1, images that are too
            small for the network, ``init_from`` with another network or classes.

    Example:
        >>> model = SparseClassifier((1, 28, 28), gates="hard_concrete", cost={"name": "penalty", "weight": 0.5})
        >>> model.units()  # pixels, and units of two hidden layers, that are left
        [784, 300, 100]
        >>> smaller = model.removed()  # an ordinary nn.Sequential, b c h w -> b y
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: networks that train themselves smaller.",
        limits="`open` is the share of open gates. Operations and units are those of `model.removed()`; a product with "
        "0 saves nothing.",
        example="smaller = model.removed()  # b c h w -> b y, without the closed units",
        pictures=("views",),
        metrics=("accuracy", "open", "nll", "loss"),
        task="image-classification",
    )
    parts: ClassVar[Mapping[str, Part]] = {
        "network": GATED_NETWORKS,
        "gates": GATES,
        "cost": GATE_COSTS,
        "optimizer": OptimizerConfig,
    }

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        classes: int = 10,
        network: Spec = "mlp",
        gates: Spec = "hard_concrete",
        draw: str = "example",
        start: float = 0.7,
        cost: Spec = "penalty",
        price: str = "units",
        init_from: str | ZooModel | None = None,
        optimizer: OptimizerConfig | dict = ImageClassifier.optimizer_config,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["init_from"])  # its weights are a part of this model
        self.use_optimizer(optimizer)
        self.image_shape, self.classes = check_image_shape(image_shape), classes
        check_sizes(classes=classes)
        if price not in PRICES:
            raise ValueError(f"price must be one of {', '.join(PRICES)}, got '{price}'")
        self.network: GatedNetwork = GATED_NETWORKS.build(network, image_shape=self.image_shape, classes=classes)
        n = sum(self.network.sizes)
        self.gates = GATES.build(gates, channels=n)
        self.selector = StaticSelector(n, start, draw)
        self.selector.requires_grad_(self.gates.uses_logits)
        prices = PRICES[price](self.network)
        self.cost = GATE_COSTS.build(cost, prices=prices / prices.sum())
        if init_from is not None:
            self._start_from(init_from)

    @classmethod
    def resolve(cls, arguments: dict[str, Any], load: Callable[[str], ZooModel]) -> dict[str, Any]:
        """Replace a name in ``init_from`` by the trained model."""
        name = arguments.get("init_from")
        return {**arguments, "init_from": load(name)} if isinstance(name, str) else arguments

    def _start_from(self, trained: str | ZooModel) -> None:
        if isinstance(trained, str):
            raise ValueError(f"init_from must be a loaded model, got the text '{trained}'; use load('{trained}')")
        if not isinstance(trained, SparseClassifier) or _shapes(trained.network) != _shapes(self.network):
            raise ValueError(
                "init_from must be a sparse_classifier with the same network, image_shape and classes; give them as it "
                "has them"
            )
        self.network.load_state_dict(trained.network.state_dict())

    # -- use ----------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def open_units(self) -> Tensor:
        """Return the gates of evaluation, ``n``; 0 is a closed unit."""
        return self.gates.mode(self.selector(torch.zeros(1)))[0]

    def logits(self, x: Tensor) -> Tensor:
        """Return unnormalised log-probabilities of the classes with the gates of evaluation, ``b c h w -> b y``."""
        check_images(x, self.image_shape)
        return self.network(x, self.open_units()[None])

    @torch.no_grad()
    def views(self, x: Tensor) -> dict[str, Tensor]:
        """Return the pixels that are left of images, ``b c h w``; empty if pixels have no gates."""
        pixels = math.prod(self.image_shape)
        if self.network.sizes[0] != pixels:
            return {}
        gates = self.open_units()[:pixels].reshape(1, *self.image_shape).clamp(0, 1)
        return {"open": gates.expand_as(x), "held": gates * x}

    # -- training -----------------------------------------------------------------------------------------------------

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss`` (cross-entropy plus the gates' cost), ``nll``, and ``open`` where it costs.

        Raises:
            ValueError: data without labels, or with labels outside [0, classes).
        """
        label, x = self.labels(batch), batch["image"]
        check_images(x, self.image_shape)
        return gated_metrics(self.gates, self.cost, self.selector(x), lambda gates: self.network(x, gates), label)

    def evaluate(self, batch: Batch, stage: str) -> dict[str, Tensor]:
        """Return loss, its cross-entropy ``nll``, accuracy and the share of open gates, with those of evaluation."""
        label, scores = self.labels(batch), upcast(self.logits(batch["image"]))
        nll = F.cross_entropy(scores, label)
        return {
            "loss": nll + expected_cost(self.gates, self.cost, self.selector(label[:1])),
            "nll": nll,
            "accuracy": (scores.argmax(-1) == label).float().mean(),
            "open": (self.open_units() != 0).float().mean(),
        }

    # -- removal ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def removed(self) -> nn.Sequential:
        """Build the network without closed units, ``b c h w -> b y``, whose outputs are those of ``logits``.

        Raises:
            ValueError: all units of a layer are closed.
        """
        return self.network.removed(self.open_units())

    def units(self) -> list[int]:
        """Count the units that ``removed`` keeps at each place: pixels or channels, features, hidden units."""
        return self.network.units(self.open_units())

    def flops(self) -> int:
        """Count the operations of one image in the network without closed units; errors are those of ``removed``."""
        return flops(self.removed(), next(self.parameters()).new_zeros(1, *self.image_shape))


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in network.state_dict().items()}
