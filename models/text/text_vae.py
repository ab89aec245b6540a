"""A recurrent VAE of sentences: discrete or Gaussian latents, matched to their prior by a KL or by a critic.

Bowman et al. 2016 (arXiv:1511.06349). Every figure is in nats per sentence. Axes: ``b`` batch, ``t`` time, ``n``
latents, ``s`` samples, ``w`` width of z, ``c`` classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from einops import rearrange
from torch import Tensor

from ...interfaces import Batch
from ...ranges import check_dropout, check_sizes
from ...registry import Spec, from_options
from ...vocabulary import Vocabulary
from ..base import ModelCard, OptimizerConfig, Part, ZooModel, register_model
from ..class_names import Label, class_number, read_classes
from .arguments import check_spec
from .base import ROWS
from .generators import GENERATORS
from .generators.dropout import without_dropout
from .labels import sample_labels
from .vae import LATENTS, MATCHINGS, GRUConfig, SentenceEncoder
from .vae.base import LatentTextModel, parts_of
from .vae.sentences import encode_sentences

ENCODER = GRUConfig()


@register_model("text_vae")
class TextVAE(LatentTextModel):
    """A VAE whose encoder reads a sentence with GRUs, and whose decoder is a language model that is given z.

    A linear map of z, and of the label, is added to every input of the decoder, the first included.

    Args:
        vocabulary: a ``Vocabulary`` or its ``{tokens: [...], level: word}``; None takes it from the data.
        max_length: longest sentence in tokens; None takes it from the data.
        latent: categorical, gaussian, or ``{name: categorical, latents: 20, categories: 10, estimator: reinmax}``.
        matching: kl, adversarial, or ``{name: kl, free_bits: 4.0, warmup: 1000}``.
        generator: of the decoder: lstm, transformer, or ``{name: lstm, width: 64, hidden: 128, dropout: 0.4}``.
        encoder: sizes of the encoder; options of ``GRUConfig``.
        classes: labels that encoder and decoder are conditioned on, their number or names; 0 for none.
        word_dropout: probability that a token is withheld from the decoder in training.
        optimizer: AdamW and its learning-rate schedule; options of ``OptimizerConfig``.
        bound_samples: m of the importance-weighted bound at test.
        bound_sentences: test sentences, spread over the split, that the costly figures are of.
        test_samples: samples that are scored at test.
        reverse_steps: optimizer steps of the small model that measures the reverse NLL at test; 0 for none.

    Raises:
        ValueError: an unknown name or option, at any depth; a value out of range.

    Example:
        >>> model = TextVAE(Vocabulary(["<eos>", "a", "b"], level="character"), max_length=8)
        >>> codes = model.encode(["abba", "bab"])  # b n
        >>> sentences = model.decode(codes)
        >>> between = model.interpolate(["abba"], ["bab"], steps=3)  # a list of 3 for each pair
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: sentences from a few discrete choices, and ways from one sentence to another.",
        limits="It reproduces its training text, with its errors and biases, and states no facts. `bound` is the "
        "importance-weighted bound on -log p(x) in nats per sentence, comparable only at the same number of samples. "
        "A model with a low `kl` and `shuffle_cost` is a language model that ignores its latents.",
        example="for sentence in model.sample(16):\n    print(sentence)\n"
        "codes = model.encode([sentence])\nagain = model.decode(codes)",
        metrics=("bound", "elbo", "kl", "mutual_information", "shuffle_cost", "bleu_4", "self_bleu_4"),
        task="text-generation",
    )
    parts: ClassVar[Mapping[str, Part]] = {
        "vocabulary": Vocabulary,
        "latent": LATENTS,
        "matching": MATCHINGS,
        "generator": GENERATORS,
        "encoder": GRUConfig,
        "optimizer": OptimizerConfig,
    }
    networks: ClassVar[tuple[str, ...]] = ()  # lengths of sentences differ in each batch

    def __init__(
        self,
        vocabulary: Vocabulary | dict | None = None,
        max_length: int | None = None,
        latent: Spec = "categorical",
        matching: Spec = "kl",
        generator: Spec = "lstm",
        encoder: GRUConfig | dict = ENCODER,
        classes: int | list[str] = 0,
        word_dropout: float = 0.0,
        optimizer: OptimizerConfig | dict = ZooModel.optimizer_config,
        bound_samples: int = 500,
        bound_sentences: int = 1000,
        test_samples: int = 10_000,
        reverse_steps: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(bound_samples=bound_samples, bound_sentences=bound_sentences)
        check_sizes(0, reverse_steps=reverse_steps)
        check_sizes(2, test_samples=test_samples)  # samples are compared
        check_dropout(word_dropout=word_dropout)
        check_spec(GENERATORS, generator)
        self.save_hyperparameters()
        self.use_optimizer(optimizer)
        self.generator_spec, self.encoder_config = generator, from_options(GRUConfig, encoder)
        self.classes, self.class_names = read_classes(classes)
        self.word_dropout = word_dropout
        self.bound_samples, self.bound_sentences = bound_samples, bound_sentences
        self.test_samples, self.reverse_steps = test_samples, reverse_steps
        self.latent = LATENTS.build(latent)
        self.matching = MATCHINGS.build(matching, width=self.latent.width)
        if any(True for _ in self.latent.prior_parameters()) and not self.matching.trains_prior:
            raise ValueError(
                "nothing trains this prior: the matching is adversarial, or has weight 0; use prior=uniform"
            )
        self.monitor = self.matching.monitor
        self.build_for(vocabulary, max_length)

    def build(self, vocabulary: Vocabulary, max_length: int) -> None:
        """Build encoder and decoder."""
        self.encoder = SentenceEncoder(len(vocabulary), self.latent.features, self.classes, self.encoder_config)
        self.generator = self.make_generator()
        self.generator.condition_on_vectors(self.latent.width + self.classes)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the parameters of the matching as a group of their own if they have a learning rate of their own."""
        if self.matching.learning_rate is None:
            return super().parameter_groups()
        own = dict.fromkeys(self.matching.parameters())  # a set with an order
        group = {"params": list(own), "lr": self.matching.learning_rate, "weight_decay": 0.0, "constant": True}
        return [{"params": [weight for weight in self.parameters() if weight not in own]}, group]

    # -- training ---------------------------------------------------------------------------------------------------

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Metrics of the matching, in nats per sentence; ``loss`` is what the model descends."""

        def cost(z: Tensor) -> Tensor:
            return self.nll(batch, z, self.word_dropout)

        return self.matching.metrics(self.latent, self.posterior(batch), cost, self.global_step)

    # -- codes and sentences ------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, sentences: Sequence[str], label: Label | None = None) -> Tensor:
        """Return the codes of sentences, ``-> b n``: the most probable categories, or Gaussian means.

        Args:
            sentences: text, one sentence each.
            label: class of all sentences by number or name, or one each (``b``), for a conditional model.

        Raises:
            ValueError: errors of ``encode_sentences``; a label that is missing, or that the model does not take.
        """
        return self.latent.mode(self._posterior(sentences, label))

    def _posterior(self, sentences: Sequence[str], label: Label | None) -> Tensor:
        vocabulary = self.require_vocabulary()
        assert self.max_length is not None
        tokens, lengths = encode_sentences(vocabulary, self.max_length, sentences)
        batch = {"tokens": tokens.to(self.device), "length": lengths.to(self.device)}
        if (labels := self._labels(label, len(tokens))) is not None:
            batch["label"] = labels
        with without_dropout(self):
            return torch.cat([self.posterior(part) for part in parts_of(batch)])

    @torch.no_grad()
    def decode(self, codes: Tensor, label: Label | None = None) -> list[str]:
        """Write the sentence of each row of codes ``b n``: the most probable token of every step.

        Args:
            codes: categories, or points of a Gaussian.
            label: as for ``encode``.

        Raises:
            ValueError: codes of another shape, kind or range; errors of ``encode`` for labels.
        """
        vocabulary, z = self.require_vocabulary(), self.latent.embed(torch.as_tensor(codes).to(self.device))
        if z.ndim != 2:
            raise ValueError(f"give codes of shape (b, {self.latent.latents}), got {tuple(codes.shape)}")
        conditions = self.context(z, self._one_hot(self._labels(label, len(z))))
        noise = torch.Generator(self.device)  # which decides nothing, and leaves that of the user alone
        parts = (
            self.generator.sample(len(part), top_k=1, banned=vocabulary.unk, label=part, generator=noise)
            for part in conditions.split(ROWS)
        )
        return [vocabulary.decode(row) for part in parts for row in part]

    def reconstruct(self, sentences: Sequence[str], label: Label | None = None) -> list[str]:
        """Return ``decode(encode(sentences))``; arguments and errors are theirs."""
        return self.decode(self.encode(sentences, label), label)

    @torch.no_grad()
    def interpolate(
        self, start: Sequence[str], end: Sequence[str], steps: int, label: Label | None = None
    ) -> list[list[str]]:
        """Decode ``steps`` points between the codes of two sentences, for each pair; both ends are among them.

        Categories switch one after the other, each where the line between the two posterior logits has another mode.

        Args:
            start, end: sentences, as many of either.
            steps: points of each pair.
            label: as for ``encode``, the same for both.

        Raises:
            ValueError: another number of sentences, fewer than 2 steps; errors of ``encode``.
        """
        check_sizes(2, steps=steps)
        first, last = self._posterior(start, label), self._posterior(end, label)
        if len(first) != len(last):
            raise ValueError(f"give as many ends as starts, got {len(first)} starts and {len(last)} ends")
        codes = self.latent.path(first, last, steps)
        if (labels := self._labels(label, len(start))) is not None:
            labels = labels.repeat_interleave(steps)
        lines = self.decode(rearrange(codes, "b s n -> (b s) n"), labels)
        return [lines[first : first + steps] for first in range(0, len(lines), steps)]

    def draw_conditions(self, labels: Tensor | None, n: int, generator: torch.Generator | None) -> Tensor:
        """Return z of n draws from the prior, joined with one-hot labels, ``n (w c)``."""
        z = self.latent.embed(self.latent.sample_prior(n, generator))
        return self.context(z, self._one_hot(labels))

    def _labels(self, label: Label | None, n: int) -> Tensor | None:
        """Labels ``n``; None for an unconditional model."""
        if self.classes and label is None:
            known = " or ".join(self.class_names) or f"from 0 to {self.classes - 1}"
            raise ValueError(f"this model depends on labels: give label, {known}")
        return sample_labels(class_number(label, self.class_names), n, self.classes, self.device, None)
