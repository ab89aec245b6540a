"""A classifier that looks at a few windows of an image, one after the other, trained by any estimator.

The recurrent attention model of Mnih, Heess, Graves & Kavukcuoglu 2014 (arXiv:1406.6247) with a categorical place.
Axes: ``b`` images, ``c h w`` one image, ``n`` places, ``t`` glimpses, ``y`` classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ...interfaces import Batch
from ...ranges import check_most, check_sizes, check_weights
from ...registry import Spec
from ..base import ModelCard, OptimizerConfig, Part, ZooModel, check_draws, register_model
from ..networks.image_classifier import nll
from ..relaxed import ESTIMATORS, SCHEDULES, RelaxedCategorical
from ..relaxed.densities import categorical_kl
from ..relaxed.entropy_weight import decayed_entropy_weight
from ..relaxed.policy_gradient import check_nesting, is_trajectory, trajectory_loss
from ..relaxed.surrogate import upcast
from ..run_length import run_length
from .base import MAX_HIDDEN, MAX_SIDE, PartialViewClassifier
from .network import GlimpseNetwork
from .places import PLACES
from .rollouts import draw_path, expected_nll, soft_logits
from .views import path_view, seen_view

MAX_GRID, MAX_SCALES, MAX_GLIMPSES = 64, 6, 100


@register_model("glimpse_classifier")
class GlimpseClassifier(PartialViewClassifier):
    """A coarse view of the whole image, then windows at places that a policy chooses, in a GRU.

    It descends -log p(y | glimpses) in expectation over the places. In evaluation each place is the most probable one.

    Args:
        image_shape: ``c h w`` of the images; None takes it from the data.
        classes: number of classes y.
        glimpses: t; 0 is the coarse view alone, a control.
        grid: places along each side of the image, the root of n.
        window: side of a window in pixels, which is also that of the coarse view.
        scales: windows at each place, each twice as large as the one before, all averaged to the same pixels.
        hidden: width of the network.
        places: saliency, a policy that scores each place by the coarse view there; policy, which has only the state; or
            the controls random, centre, and oracle, which is told where the object is.
        estimator: of the gradient through each choice: a name, or ``{name: reinforce, samples: 4, baseline: ...}``.
            ``exact`` evaluates n^t paths.
        temperature: a number > 0, or the name or spec of a schedule.
        soft: look at the mean of all windows, weighted by the policy, in evaluation too: the differentiable control,
            without an estimator.
        entropy: initial reward of each choice per nat of its entropy, which falls linearly to 0 at the end of training.
        optimizer: options of ``OptimizerConfig``.

    Raises:
        ValueError: an unknown name or option, a size out of range, or an estimator with too many evaluations for it.

    Example:
        >>> model = GlimpseClassifier((1, 60, 60), glimpses=4).eval()
        >>> images = torch.rand(5, 1, 60, 60)
        >>> model.paths(images).shape, model.predict(images).shape
        (torch.Size([5, 4]), torch.Size([5]))
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: hard attention as a sequence of choices, to compare gradient estimators.",
        limits="`error` is the share of wrong classes, and `seen` the share of the digit's ink in the windows of the "
        "smallest scale. A policy is worth something only where its error is below those of random places and of a "
        "convolutional network of as many operations.",
        example="for line in model.sample(8):\n    print(line)",
        pictures=("views",),
        metrics=("error", "loss", "seen"),
        task="image-classification",
    )
    parts: ClassVar[Mapping[str, Part]] = {
        "places": PLACES,
        "estimator": ESTIMATORS,
        "temperature": SCHEDULES,
        "optimizer": OptimizerConfig,
    }

    network: GlimpseNetwork

    def __init__(
        self,
        image_shape: Sequence[int] | None = None,
        classes: int = 10,
        glimpses: int = 6,
        grid: int = 9,
        window: int = 12,
        scales: int = 2,
        hidden: int = 128,
        places: Spec = "saliency",
        estimator: Spec = "straight_through_gumbel_softmax",
        temperature: float | Spec = 1.0,
        soft: bool = False,
        entropy: float = 0.0,
        optimizer: OptimizerConfig | dict = ZooModel.optimizer_config,
    ) -> None:
        super().__init__()
        check_sizes(grid=grid, window=window, scales=scales, hidden=hidden)
        check_sizes(0, glimpses=glimpses)
        check_weights(entropy=entropy)
        check_most(MAX_GLIMPSES, glimpses=glimpses)
        check_most(MAX_GRID, grid=grid)
        check_most(MAX_SIDE, window=window)
        check_most(MAX_SCALES, scales=scales)
        check_most(MAX_HIDDEN, hidden=hidden)
        self.save_hyperparameters()
        self.use_optimizer(optimizer)
        PLACES.read(places)
        self.classes, self.glimpses, self.soft, self.entropy = classes, glimpses, soft, entropy
        self._options = window, scales, grid, hidden, places
        self.layer = RelaxedCategorical(estimator, temperature, event_shape=(grid**2,))
        self.layer.requires_grad_(glimpses > 0 and not soft)  # else nothing is drawn
        if not soft:
            check_nesting(self.layer, grid**2, glimpses)
        self.take_shape(image_shape)

    def build_network(self, image_shape: tuple[int, int, int]) -> None:
        """Build the network for images ``c h w``."""
        self.network = GlimpseNetwork(image_shape, self.classes, *self._options)
        if not self.glimpses:  # several processes would wait for gradients of what is not used
            self.network.requires_grad_(False)
            for used in (self.network.coarse, self.network.head):
                used.requires_grad_()

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss``, which the model descends, and ``nll``, the mean of -log p(y) in nats over the drawn paths.

        Of estimators that nest, ``nll`` has the rewarded entropy in it.
        """
        x, label = self.checked(batch)
        total = run_length(self.trainer) if self.entropy else 1
        weight = decayed_entropy_weight(self.entropy, self.global_step, total)
        loss, value = self.objective(x, label, batch.get("centre"), weight)
        return {"loss": loss, "nll": value.detach()}

    def objective(self, x: Tensor, label: Tensor, centre: Tensor | None, weight: float) -> tuple[Tensor, Tensor]:
        """Return the loss and the mean of -log p(y) in nats, scalars; they differ for REINFORCE and soft glimpses.

        Args:
            x: images ``b c h w``.
            label: ``b``.
            centre: of the objects, ``b 2`` pixels, if the data tell it.
            weight: of the KL of each choice from uniform, which is added to the loss.
        """
        t = self.glimpses
        if not t:
            value = nll(self.network.head(self.network.start(x)[0]), label).mean()
            return value, value
        if self.soft:
            logits, choices = soft_logits(self.network, x, t, centre)
            value = nll(logits, label).mean()
            return value + weight * categorical_kl(choices).sum(-1).mean(), value
        if is_trajectory(self.layer):
            path = draw_path(self.network, x, t, self.layer.sample, centre, self.layer.estimator.samples)
            cost = nll(path.logits, label)  # s b
            loss = trajectory_loss(self.layer, path.log_probs, cost + weight * path.kl.sum(-1), path.first)
            return loss, cost.mean()
        value = expected_nll(self.network, self.layer, x, label, t, centre, weight).mean()
        return value, value

    def evaluate(self, batch: Batch, stage: str) -> dict[str, Tensor]:
        """Return loss, error and accuracy after the most probable path, and the share of a digit's ink that is seen."""
        x, label = self.checked(batch)
        codes, logits = self.follow(x, batch.get("centre"))
        error = (logits.argmax(-1) != label).float().mean()
        metrics = {"loss": F.cross_entropy(upcast(logits), label), "error": error, "accuracy": 1 - error}
        if "digit" in batch and self.glimpses:
            ink = batch["digit"][:, 0]
            seen = self.network.masks[codes].any(1)  # b h w
            metrics["seen"] = ((ink * seen).sum((1, 2)) / ink.sum((1, 2)).clamp(min=1e-6)).mean()
        return metrics

    # -- glimpses -----------------------------------------------------------------------------------------------------

    def follow(self, x: Tensor, centre: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the most probable places, int64 ``b t``, and the logits ``b y`` after them, for images ``b c h w``.

        A soft model has the logits of its mixtures, and the places of the largest weights.
        """
        if not self.glimpses:
            none = torch.zeros(len(x), 0, dtype=torch.int64, device=x.device)
            return none, self.network.head(self.network.start(x)[0])
        if self.soft:
            logits, choices = soft_logits(self.network, x, self.glimpses, centre)
            return choices.argmax(-1), logits
        choose = self.network.places.mode(self.layer.mode, x)
        path = draw_path(self.network, x, self.glimpses, choose, centre)
        return path.codes, path.logits

    def class_logits(self, x: Tensor, batch: Batch) -> Tensor:
        """Return logits of the classes after the most probable path, ``b c h w -> b y``; ``batch`` has the centre."""
        return self.follow(x, batch.get("centre"))[1]

    @torch.no_grad()
    def paths(self, x: Tensor, centre: Tensor | None = None) -> Tensor:
        """Return the most probable place of each glimpse given those before, ``b c h w -> b t`` (int64).

        Row i and column j of the grid are the place ``i * grid + j``.

        Args:
            x: images.
            centre: of the objects in pixels, ``b 2``, which the oracle needs.

        Raises:
            ValueError: images of another shape.
        """
        return self.follow(self.checked_images(x), centre)[0]

    @torch.no_grad()
    def views(self, x: Tensor) -> dict[str, Tensor]:
        """Return images with the windows framed, and what is in them, ``b 3 h w`` each; none of an oracle."""
        self.require_size()
        if self.network.places.told:
            return {}
        codes = self.paths(x)
        masks = self.network.masks[codes]  # b t h w
        return {"glimpses": path_view(x, masks), "seen": seen_view(x, masks)}

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> list[str]:
        """Draw paths over training images that the model has kept, as text: the image, the places, the classes.

        Args:
            n: number of paths.
            temperature: divides the logits of every choice; near 0 they are those of ``paths``.
            generator: source of the noise.

        Raises:
            ValueError: n < 1, a temperature that is not > 0, or places that need more than the image.
        """
        check_draws(n, temperature)
        self.require_size()
        numbers = torch.randint(len(self.examples), (n,), device=self.device, generator=generator)
        x = self.examples[numbers]

        def draw(logits: Tensor) -> Tensor:
            return self.layer.sample(logits / temperature, generator=generator)

        if self.glimpses and not self.soft:
            path = draw_path(self.network, x, self.glimpses, draw)
            codes, logits = path.codes, path.logits
        else:
            codes, logits = self.follow(x)
        columns = (numbers, codes, logits.argmax(-1), self.example_labels[numbers])
        lines = zip(*(column.tolist() for column in columns), strict=True)
        return [f"image {i}: {' '.join(map(str, path))} -> {y} (label {label})" for i, path, y, label in lines]
