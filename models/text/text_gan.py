"""A generator of text that learns by maximum likelihood, adversarially, or first the one and then the other.

The objectives are those of ``OBJECTIVES``, a file each: ``text_objectives``, ``gumbel_gan``, ``seqgan``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...registry import unknown_arguments
from ...vocabulary import Vocabulary
from ..base import Batch, learning_rate_factor
from ..registry import register_model
from ..relaxed import RelaxedCategorical
from .base import TextModel, open_start
from .generators import lstm as lstm_generator  # noqa: F401  (importing registers)
from .generators.base import GENERATORS, GIVEN, Generator
from .objectives.base import OBJECTIVES, MaximumLikelihood

BETAS = (0.9, 0.999)  # of Adam, where there is a likelihood to climb
GAME_BETAS = (0.0, 0.9)  # where the other player moves: Gulrajani et al. 2017 (arXiv:1704.00028), algorithm 1


@register_model("text_gan")
class TextGAN(TextModel):
    """A text generator and, for adversarial objectives, a discriminator.

    A training batch is one step of the generator's optimizer, in each phase, so that steps are batches. ``best.ckpt``
    is the best by held-out NLL for the objectives that lower it. Adversarial ones have none, and ``last.ckpt`` stands:
    no figure that can be had from a validation set says which is best, and NLL would choose the pretraining.

    Args:
        vocabulary: ``{tokens: [...], level: word}``; left out, it is taken from the data.
        length: tokens of a sample; left out, it is taken from the data.
        generator: lstm or transformer; left out, lstm.
        generator_options: its arguments, such as ``{width: 32, hidden: 32, layers: 1, dropout: 0.0}``.
        start: a trained model of text to go on from, by whatever ``load`` takes. It brings the five above, and the
            weights.
        objective: mle, scheduled_sampling, gumbel or seqgan.
        pretrain_steps: training batches of maximum likelihood before the objective.
        scheduled_steps: of scheduled_sampling: training batches until only samples are fed.
        discriminator: of a GAN: cnn, recurrent or mlp.
        discriminator_options: its arguments, such as ``{embeddings: 4, width: 16}``.
        loss: of a GAN: standard, relativistic, hinge, or wasserstein with a gradient penalty.
        reward: of a GAN: learned, or its controls constant and shuffled.
        discriminator_steps: of a GAN: steps of the discriminator in each training batch.
        discriminator_pretrain_steps: of a GAN: the discriminator learns in so many of the last pretrain_steps as well.
        estimator: of gumbel: how gradients pass the samples, a pathwise one of ``gumbelzoo list``.
        temperature: of gumbel: a number, or a schedule; its steps are the training batches behind the pretraining.
            A learned one is trained with the generator.
        estimator_options: of gumbel: arguments of the estimator.
        feedback: of gumbel: what the generator is fed of its samples: soft, straight_through or detached.
        rollouts: of seqgan: completions behind the reward of each token.
        baseline: of seqgan: none, leave_one_out or moving_average.
        learning_rate: of the generator by mle and scheduled_sampling, and in the pretraining.
        adversarial_learning_rate: of the generator by gumbel and seqgan.
        discriminator_learning_rate: of the discriminator.
        weight_decay: of both.
        lr_schedule: of each phase: ``constant``, or ``cosine`` (to 0 at its end); the discriminator's is that of the
            adversarial phase.
        lr_warmup: training steps over which the learning rate rises from 0 at the beginning of a phase.
        clip: largest norm of the gradient of either; 0 for any.
        test_samples: samples that are scored at test.
        reverse_steps: training steps of the small model behind the reverse NLL at test; 0 to leave it out.
    """

    remedy = (
        "a smaller --model.clip, or a lower --model.learning_rate; in the adversarial phase that is "
        "--model.adversarial_learning_rate and --model.discriminator_learning_rate"
    )

    def __init__(
        self,
        vocabulary: Mapping[str, Any] | None = None,
        length: int | None = None,
        generator: str | None = None,
        generator_options: Mapping[str, Any] | None = None,
        start: str = "",
        objective: str = "mle",
        pretrain_steps: int = 0,
        scheduled_steps: int = 10_000,
        discriminator: str = "cnn",
        discriminator_options: Mapping[str, Any] | None = None,
        loss: str = "standard",
        reward: str = "learned",
        discriminator_steps: int = 1,
        discriminator_pretrain_steps: int = 0,
        estimator: str = "gumbel_softmax",
        temperature: float | Mapping[str, Any] = 1.0,
        estimator_options: Mapping[str, Any] | None = None,
        feedback: str = "soft",
        rollouts: int = 16,
        baseline: str = "none",
        learning_rate: float = 1e-3,
        adversarial_learning_rate: float = 1e-4,
        discriminator_learning_rate: float = 1e-4,
        weight_decay: float = 0.0,
        lr_schedule: str = "constant",
        lr_warmup: int = 0,
        clip: float = 10.0,
        test_samples: int = 10_000,
        reverse_steps: int = 0,
    ) -> None:
        super().__init__()
        begun = open_start(start, vocabulary, length, generator, generator_options) if start else None
        if begun is not None:
            generator, generator_options = begun.hparams["generator"], begun.hparams["generator_options"]
            vocabulary, length = begun.known.config(), begun.length
        generator = generator or "lstm"
        unknown_arguments(f"generator '{generator}'", GENERATORS[generator], generator_options or {}, GIVEN)
        if min(pretrain_steps, discriminator_pretrain_steps, reverse_steps, clip) < 0:
            raise ValueError("pretrain_steps, discriminator_pretrain_steps, reverse_steps and clip must be >= 0")
        if discriminator_steps < 1 or test_samples < 2:
            raise ValueError("discriminator_steps must be >= 1, and test_samples >= 2: they are compared")
        if discriminator_pretrain_steps > pretrain_steps:
            raise ValueError(
                f"discriminator_pretrain_steps are a part of pretrain_steps, got {discriminator_pretrain_steps} of "
                f"{pretrain_steps}; raise pretrain_steps"
            )
        self.save_hyperparameters()
        # A checkpoint has the weights, and does not need the other's folder.
        self.hparams.update(start="", generator=generator, generator_options=generator_options)
        self.automatic_optimization = False
        self.configure_learning(learning_rate, weight_decay, lr_schedule, lr_warmup)
        self.adversarial_learning_rate = adversarial_learning_rate
        self.discriminator_learning_rate, self.clip = discriminator_learning_rate, clip
        self.pretrain_steps, self.discriminator_steps = pretrain_steps, discriminator_steps
        self.first_discriminator_step = pretrain_steps - discriminator_pretrain_steps
        self.test_samples, self.reverse_steps = test_samples, reverse_steps
        if OBJECTIVES[objective].adversarial:
            self.monitor = None
        self.pretraining = MaximumLikelihood()
        self.take_vocabulary(vocabulary, length)
        if begun is not None:
            self.generator.load_state_dict(begun.generator.state_dict())

    def build(self, vocabulary: Vocabulary, length: int) -> None:
        """See the base class."""
        objective = OBJECTIVES[self.hparams["objective"]]
        text = {"size": len(vocabulary), "length": length, "end": vocabulary.eos}
        takes = inspect.signature(objective).parameters
        options = {name: value for name, value in {**self.hparams, **text}.items() if name in takes}
        self.generator = self.make_generator()
        self.objective = objective(**options)

    def make_generator(self) -> Generator:
        """See the base class."""
        options = self.hparams["generator_options"] or {}
        return GENERATORS[self.hparams["generator"]](len(self.known), self.length, self.known.eos, **options)

    # -- training -----------------------------------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        """ValueError for what two optimizers do not go with.

        DDP cannot keep the two players of an adversarial objective apart, and float16 scales every loss by a number
        that the optimizers do not know of.
        """
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            raise ValueError("a text GAN does not train in float16: use --trainer.precision=bf16-mixed")
        if self.trainer.world_size > 1 and OBJECTIVES[self.hparams["objective"]].adversarial:
            raise ValueError("adversarial objectives train in one process: use --trainer.devices=1")

    def pretrains(self) -> bool:
        """Whether this training batch is one of the pretraining."""
        return self.global_step < self.pretrain_steps

    def relaxed_layers(self) -> list[RelaxedCategorical]:
        """None in the pretraining: the temperature waits for its use."""
        return [] if self.pretrains() else super().relaxed_layers()

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Step both optimizers, or the one there is; the generator's metrics and the discriminator's loss."""
        objective = self.pretraining if self.pretrains() else self.objective
        optimizers = self.optimizers()
        own, *other = optimizers if isinstance(optimizers, list) else [optimizers]
        factor, judged = self.learning_rate_factor(), {}
        if other and self.global_step >= self.first_discriminator_step:
            for group in other[0].param_groups:
                group["lr"] = self.discriminator_learning_rate * (1.0 if self.pretrains() else factor)
            for _ in range(self.discriminator_steps):
                loss = self.objective.discriminator_loss(self.generator, batch)
                # Lightning counts the steps of its own wrapper, and a training batch is one step.
                self._descend(other[0].optimizer, loss, self.objective.discriminator_parameters())
            judged = {"discriminator_loss": loss}
        for group in own.param_groups:
            group["lr"] = factor * (self.adversarial_learning_rate if objective.adversarial else self.learning_rate)
            group["betas"] = GAME_BETAS if objective.adversarial else BETAS
        metrics = objective.generator_metrics(self.generator, batch)
        self._descend(own, metrics["loss"], self.generator_parameters())
        objective.advance()
        return {name: value.detach() for name, value in {**metrics, **judged}.items()}

    def learning_rate_factor(self) -> float:
        """Of this training batch, by the schedule of its phase."""
        first, end = (0, self.pretrain_steps) if self.pretrains() else (self.pretrain_steps, self.steps)
        total = float(end - first) if self.lr_schedule == "cosine" else math.inf
        return learning_rate_factor(self.global_step - first, self.lr_warmup, total)

    def _descend(self, optimizer: Any, loss: Tensor, parameters: list[nn.Parameter]) -> None:
        """A step of the optimizer on its own parameters, the gradient clipped; nothing else gets a gradient."""
        optimizer.zero_grad()
        self.manual_backward(loss, inputs=parameters)
        if self.clip:
            nn.utils.clip_grad_norm_(parameters, self.clip)
        optimizer.step()

    def generator_parameters(self) -> list[nn.Parameter]:
        """The generator's, and a learned temperature."""
        layers = nn.ModuleList(super().relaxed_layers())
        return [*self.generator.parameters(), *layers.parameters()]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for the generator and, where one is needed, for the discriminator; with a weight decay AdamW."""
        fused = self.device.type == "cpu" or None
        self.steps = self.schedule_length()
        groups = [
            (self.generator_parameters(), self.learning_rate, BETAS),
            (self.objective.discriminator_parameters(), self.discriminator_learning_rate, GAME_BETAS),
        ]
        return [
            torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=self.weight_decay, fused=fused)
            for parameters, rate, betas in groups
            if parameters
        ]
