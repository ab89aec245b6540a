"""A text generator trained by maximum likelihood, adversarially, or by the former and then the latter.

The objectives are those of ``OBJECTIVES``, one file each in ``objectives/``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...interfaces import Batch
from ...ranges import check_sizes, check_weights
from ...registry import Spec, from_options
from ...vocabulary import Vocabulary
from ..base import ModelCard, OptimizerConfig, Part, ZooModel, learning_rate_factor, register_model
from ..class_names import read_classes
from ..relaxed.annealed import Annealed
from .arguments import NO_PRETRAINING, Pretraining, check_init_from, check_spec
from .base import TextModel
from .generators import GENERATORS
from .objectives import OBJECTIVES, Objective
from .objectives.maximum_likelihood import MaximumLikelihood

BETAS = (0.9, 0.999)  # of Adam for likelihood objectives
GAME_BETAS = (0.0, 0.9)  # against a moving adversary: Gulrajani et al. 2017 (arXiv:1704.00028), algorithm 1


@register_model("text_gan")
class TextGAN(TextModel):
    """A text generator and, for adversarial objectives, a discriminator.

    A training batch is one step of the generator's optimizer, in each phase. ``best.ckpt`` is selected by held-out NLL
    for likelihood objectives. Adversarial objectives have no model-selection metric (NLL would select the pretrained
    generator): use ``last.ckpt``.

    Args:
        vocabulary: a ``Vocabulary`` or its ``{tokens: [...], level: word}``; None takes it from the data.
        max_length: longest sentence in tokens, and length of samples; None takes it from the data.
        generator: lstm, transformer, or ``{name: lstm, width: 32, hidden: 32, layers: 1, dropout: 0.0}``; None is lstm.
        init_from: a trained text model, as ``load`` returns it; on the command line its name. It brings the three
            arguments above, its classes, and weights.
        classes: labels that the generator is conditioned on, their number or names; for objective mle only.
        objective: mle, scheduled_sampling, professor_forcing, gumbel, seqgan, organ, or ``{name: seqgan, rollouts: 16,
            adversary: {...}}``.
        pretraining: maximum likelihood before the objective; options of ``Pretraining``.
        optimizer: of the generator in the objective's own phase; options of ``OptimizerConfig``. ``weight_decay`` is
            that of the discriminator too. ``schedule`` and ``warmup`` apply to each phase.
        clip: largest gradient norm of either player; 0 for no limit.
        test_samples: samples that are scored at test.
        reverse_steps: optimizer steps of the small model that measures the reverse NLL at test; 0 for none.

    Raises:
        ValueError: an unknown name or option, at any depth; a value out of range.

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "a", "b"], level="character")
        >>> objective = {"name": "seqgan", "rollouts": 4, "adversary": {"reward": "shuffled"}}
        >>> model = TextGAN(vocabulary, max_length=8, objective=objective, pretraining={"steps": 100})
        >>> sentences = model.sample(3, prefix="ab")
        >>> again = TextGAN(**model.config())  # the same model, with new weights
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: short texts in the style of the training text.",
        limits="It reproduces its training text, with its errors and biases, and states no facts. BLEU and Self-BLEU "
        "are valid for the stated number of samples only; either can be improved at the cost of the other.",
        example="for sentence in model.sample(16):\n    print(sentence)",
        metrics=("nll_oracle", "nll", "bleu_4", "self_bleu_4", "valid", "total_variation", "distinct"),
        task="text-generation",
    )
    parts: ClassVar[Mapping[str, Part]] = {
        "vocabulary": Vocabulary,
        "generator": GENERATORS,
        "objective": OBJECTIVES,
        "pretraining": Pretraining,
        "optimizer": OptimizerConfig,
    }
    divergence_hint = (
        "a smaller --model.clip or --model.optimizer.learning_rate; in pretraining --model.pretraining.learning_rate, "
        "for the discriminator --model.objective.adversary.learning_rate"
    )
    objective: Any  # an Objective; an Adversarial where there is a discriminator

    def __init__(
        self,
        vocabulary: Vocabulary | dict | None = None,
        max_length: int | None = None,
        generator: Spec | None = None,
        init_from: str | ZooModel | None = None,
        objective: Spec = "mle",
        classes: int | list[str] = 0,
        pretraining: Pretraining | dict = NO_PRETRAINING,
        optimizer: OptimizerConfig | dict = ZooModel.optimizer_config,
        clip: float = 10.0,
        test_samples: int = 10_000,
        reverse_steps: int = 0,
    ) -> None:
        super().__init__()
        start = None if init_from is None else check_init_from(init_from, vocabulary, max_length, generator, classes)
        if start is not None:
            vocabulary, max_length, generator = start.vocabulary, start.max_length, start.generator_spec
            classes = [*start.class_names] or start.classes
        check_weights(clip=clip)
        check_sizes(0, reverse_steps=reverse_steps)
        check_sizes(2, test_samples=test_samples)  # samples are compared
        self.save_hyperparameters(ignore=["init_from"])  # its weights are a part of this model
        self._started = start is not None
        self.generator_spec, self.objective_spec = generator or "lstm", objective
        check_spec(GENERATORS, self.generator_spec)
        check_spec(OBJECTIVES, objective)
        self.classes, self.class_names = read_classes(classes)
        if classes and OBJECTIVES.read(objective)[0] != "mle":
            raise ValueError(f"only objective mle takes labels, got {objective!r} for {classes} classes; use classes=0")
        self.use_optimizer(optimizer)
        self.pretraining = from_options(Pretraining, pretraining)
        self.clip, self.test_samples, self.reverse_steps = clip, test_samples, reverse_steps
        kind = OBJECTIVES[OBJECTIVES.read(objective)[0]]
        self.adversarial, self.monitor = kind.adversarial, "val/nll" if kind.likelihood else None
        self.automatic_optimization = False
        self.build_for(vocabulary, max_length)
        if start is not None:
            self.generator.load_state_dict(start.generator.state_dict())

    def config(self) -> dict[str, Any]:
        """Plain arguments that rebuild the model; a likelihood model without pretraining records none."""
        config = super().config()
        if not self.classes:
            config.pop("classes", None)
        if not self.adversarial and not self.pretraining.steps:
            del config["pretraining"]
        return config

    @classmethod
    def resolve(cls, arguments: dict[str, Any], load: Callable[[str], ZooModel]) -> dict[str, Any]:
        """Replace a name in ``init_from`` by the trained model."""
        name = arguments.get("init_from")
        return {**arguments, "init_from": load(name)} if isinstance(name, str) else arguments

    def check_data(self, vocabulary: Vocabulary, max_length: int) -> None:
        """Check that data have the model's vocabulary and length of sentences; errors name the way to a new start."""
        try:
            super().check_data(vocabulary, max_length)
        except ValueError as error:
            if not self._started:
                raise
            raise ValueError(
                f"{error}; or train a model of this data to start from, with the same --data options: "
                "`fit --config textgan_captions_mle --data...`, then give its run, --model.init_from=RUN"
            ) from None

    def build(self, vocabulary: Vocabulary, max_length: int) -> None:
        """Build the generator and the objective."""
        self.generator = self.make_generator(self.classes)
        self.objective = OBJECTIVES.build(self.objective_spec, vocabulary=vocabulary, max_length=max_length)
        self.objective.attach(self.generator)
        self.maximum_likelihood = MaximumLikelihood(vocabulary, max_length)

    # -- training -----------------------------------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        """Check that two optimizers work here.

        Raises:
            ValueError: float16, whose gradient scale the optimizers do not know; several processes for an adversarial
                objective, whose players DDP cannot keep apart.
        """
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            raise ValueError("a text GAN does not train in float16: use --trainer.precision=bf16-mixed")
        if self.trainer.world_size > 1 and self.adversarial:
            raise ValueError("adversarial objectives train in one process: use --trainer.devices=1")
        self.objective.learn(self.source)

    def sample_metrics(self, tokens: Tensor) -> dict[str, float]:
        """Return the metrics of samples ``n t``: the data's and the objective's."""
        self.objective.learn(self.source)
        return {**super().sample_metrics(tokens), **self.objective.sample_metrics(tokens)}

    def pretrains(self) -> bool:
        """True during pretraining."""
        return self.global_step < self.pretraining.steps

    def relaxed_layers(self) -> list[Annealed]:
        """Relaxed-sampling layers; none during pretraining, so that their temperature does not advance."""
        return [] if self.pretrains() else super().relaxed_layers()

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Step the discriminator, if there is one, and the generator; return the metrics of both."""
        objective: Objective = self.maximum_likelihood if self.pretrains() else self.objective
        optimizers = self.optimizers()
        optimizer, *adversary = optimizers if isinstance(optimizers, list) else [optimizers]
        factor = self.learning_rate_factor()
        losses = {}
        if adversary and self.global_step >= self.pretraining.steps - self.pretraining.discriminator_steps:
            losses["discriminator_loss"] = self._step_discriminator(adversary[0], batch, factor)

        for group in optimizer.param_groups:
            group["lr"] = factor * (self.pretraining if self.pretrains() else self.optimizer_config).learning_rate
            group["betas"] = BETAS if objective.likelihood else GAME_BETAS
        metrics = objective.generator_metrics(self.generator, batch)
        self._descend(optimizer, metrics["loss"], self.generator_parameters())
        objective.advance()
        return {name: value.detach() for name, value in {**metrics, **losses}.items()}

    def _step_discriminator(self, optimizer: Any, batch: Batch, factor: float) -> Tensor:
        """Take the discriminator's steps on a batch, return its last loss; warm-up and schedule skip pretraining."""
        options = self.objective.adversary
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * (1.0 if self.pretrains() else factor)
        for _ in range(options.steps):
            loss = self.objective.discriminator_loss(self.generator, batch)
            if not loss.requires_grad:  # it rests; a step on zeros would decay its weights and moments
                continue
            # Not Lightning's wrapper: it would count these steps, and global_step is one per training batch.
            self._descend(optimizer.optimizer, loss, self.objective.discriminator_parameters())
        return loss

    def _descend(self, optimizer: Any, loss: Tensor, parameters: list[nn.Parameter]) -> None:
        """Take one clipped step on the given parameters; no others get a gradient."""
        optimizer.zero_grad()
        self.manual_backward(loss, inputs=parameters)
        if self.clip:
            nn.utils.clip_grad_norm_(parameters, self.clip)
        optimizer.step()

    def learning_rate_factor(self) -> float:
        """Learning-rate multiplier at the current step of the current phase."""
        pretraining = self.pretraining.steps
        first, end = (0, pretraining) if self.pretrains() else (pretraining, self.total_steps)
        total = float(end - first) if self.optimizer_config.schedule == "cosine" else math.inf
        return learning_rate_factor(self.global_step - first, self.optimizer_config.warmup, total)

    @property
    def likelihood_learning_rate(self) -> float:
        """Peak learning rate of maximum likelihood: that of pretraining for objectives without a likelihood."""
        return (self.optimizer_config if self.objective.likelihood else self.pretraining).learning_rate

    def generator_parameters(self) -> list[nn.Parameter]:
        """Parameters that descend the generator's loss, a learned temperature included."""
        return [*self.generator.parameters(), *self.objective.generator_parameters()]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW for the generator and, where there is one, for the discriminator; ``training_metrics`` sets rates."""
        config, fused = self.optimizer_config, self.device.type == "cpu" or None
        self.total_steps = self.schedule_length()
        players = [(self.generator_parameters(), config.learning_rate, BETAS)]
        if discriminator := self.objective.discriminator_parameters():
            players.append((discriminator, self.objective.adversary.learning_rate, GAME_BETAS))
        return [
            torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=config.weight_decay, fused=fused)
            for parameters, rate, betas in players
        ]
