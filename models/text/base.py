"""The base class of text models: vocabulary, held-out NLL, sampling.

Axes: ``b`` batch, ``n`` samples, ``t`` time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...interfaces import Batch
from ...ranges import check_most, check_sizes
from ...registry import Spec, plain
from ...vocabulary import Vocabulary, read_vocabulary
from ..base import ZooModel, check_draws
from ..class_names import Label, class_number, named_classes
from .generators.base import GENERATORS, LanguageModel, length_mask
from .labels import batch_labels, label_metrics, sample_labels
from .reverse_nll import reverse_nll

ROWS = 500  # samples drawn at a time, to bound the memory of their logits
MAX_LENGTH = 2**16  # a release from elsewhere must not make sampling take days


class TextModel(ZooModel):
    """Base class of text models: vocabulary, held-out NLL, sampling.

    The networks depend on the vocabulary. They are built in the constructor if it is given, as in checkpoints and
    releases, else in ``configure_model`` from the trainer's data. A subclass writes ``build``, sets the attributes
    below, and calls ``build_for`` last in its constructor.

    Attributes:
        generator_spec: name of the generator, or ``{name: ..., options}``.
        classes: number of labels that the generator is conditioned on, 0 for none.
        class_names: names of the labels in their order; empty without names, or until the data give them.
        test_samples: samples that are scored at test.
        reverse_steps: optimizer steps of the model that measures the reverse NLL at test; 0 for none.
        generator: the language model; only after ``build``.
        vocabulary, max_length: of the text; None until they are known.
    """

    batch_key = "tokens"
    monitor: str | None = "val/nll"
    sample_options = frozenset({"prefix", "label", "top_k", "top_p"})
    generator_spec: Spec
    classes: int = 0
    class_names: tuple[str, ...] = ()
    test_samples: int
    reverse_steps: int
    generator: LanguageModel
    vocabulary: Vocabulary | None
    max_length: int | None

    def build_for(self, vocabulary: Vocabulary | Mapping[str, Any] | None, max_length: int | None) -> None:
        """Build the networks for a text; without one, leave that to ``configure_model``.

        Raises:
            ValueError: only one of the two arguments, no vocabulary, or a length that is out of range.
        """
        if (vocabulary is None) != (max_length is None):
            raise ValueError(
                "vocabulary and max_length come together: give both, or neither to take them from the data"
            )
        self.vocabulary = self.max_length = None
        if vocabulary is not None and max_length is not None:
            self._build(read_vocabulary(vocabulary), max_length)

    def build(self, vocabulary: Vocabulary, max_length: int) -> None:
        """Build the generator and every other part that depends on the text."""
        raise NotImplementedError

    def make_generator(self, classes: int = 0) -> LanguageModel:
        """Build a new generator as ``generator_spec`` describes it, conditional on labels if there are any."""
        context = {"vocabulary": self.require_vocabulary(), "max_length": self.max_length}
        generator: LanguageModel = GENERATORS.build(self.generator_spec, **context)
        if classes:
            generator.condition(classes)
        return generator

    def _build(self, vocabulary: Vocabulary, max_length: int) -> None:
        check_sizes(max_length=max_length)
        check_most(MAX_LENGTH, max_length=max_length)
        if len(vocabulary) < 2:
            raise ValueError(f"text needs a vocabulary of 2 tokens or more, got {len(vocabulary)}")
        self.vocabulary, self.max_length = vocabulary, max_length
        self.build(vocabulary, max_length)

    def require_vocabulary(self) -> Vocabulary:
        """Return the vocabulary; ValueError while there is none."""
        if self.vocabulary is None:
            raise ValueError("this model has no vocabulary yet: train it on text, or give vocabulary and max_length")
        return self.vocabulary

    # -- description and data -----------------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Plain arguments that rebuild the model, vocabulary and generator included."""
        text = {"vocabulary": self.vocabulary, "max_length": self.max_length, "generator": self.generator_spec}
        named = {"classes": list(self.class_names) or self.classes} if self.classes else {}
        return {**super().config(), **plain(text), **named}

    def configure_model(self) -> None:
        """Build for the trainer's data, or check that they match the model.

        Raises:
            ValueError: no text; errors of ``check_data``.
        """
        source = self.source
        vocabulary, max_length = (getattr(source, name, None) for name in ("vocabulary", "max_length"))
        if vocabulary is None or max_length is None:
            if self.vocabulary is None or source is not None:
                raise ValueError("this model learns from text: use --data=text")
        elif self.vocabulary is None:
            self._build(vocabulary, max_length)
        else:
            self.check_data(vocabulary, max_length)
        self.class_names = named_classes(source, self.classes, self.class_names)

    def check_data(self, vocabulary: Vocabulary, max_length: int) -> None:
        """Check that data have the model's vocabulary and length of sentences, else ValueError."""
        if self.require_vocabulary() != vocabulary or self.max_length != max_length:
            raise ValueError(
                f"the model knows {len(self.require_vocabulary())} tokens in sentences of {self.max_length}, the data "
                f"has {len(vocabulary)} (or others) in {max_length}; give the data that it was trained on"
            )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that weights belong to the model's vocabulary and length, else ValueError: ids would change meaning."""
        stored = checkpoint.get("hyper_parameters", {})
        if stored.get("vocabulary") is None:
            return
        own = (self.vocabulary, self.max_length)
        if own != (Vocabulary(**stored["vocabulary"]), stored.get("max_length", self.max_length)):
            raise ValueError(
                "the checkpoint was trained with another vocabulary or another length of sentences; give the data that "
                "it was trained on"
            )

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log nats per token of the validation split, and of level bpe bits per character."""
        self._log_nll(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log nats per token of the test split, and of level bpe bits per character."""
        self._log_nll(batch, "test")

    def _log_nll(self, batch: Batch, stage: str) -> None:
        tokens, lengths = batch["tokens"], batch["length"]
        log_prob = self.generator.log_prob(tokens, lengths, label=batch_labels(batch, self.generator.classes))
        number, nats = int(lengths.sum()), -log_prob.sum()
        self.log(f"{stage}/nll", nats / number, on_epoch=True, batch_size=number, sync_dist=True)
        if (characters := self.require_vocabulary().characters()) is not None:
            counts = torch.tensor(characters, device=tokens.device)[tokens]  # b t
            letters = int(counts.masked_fill(~length_mask(lengths, tokens.shape[1]), 0).sum())
            bits = nats / math.log(2) / letters
            self.log(f"{stage}/bits_per_character", bits, on_epoch=True, batch_size=letters, sync_dist=True)

    def on_test_epoch_end(self) -> None:
        """Log the data's metrics of samples, and the reverse NLL, both of the first process; nothing without data.

        Samples of a conditional model have labels that are drawn uniformly, whatever their frequencies in the data.
        """
        if self.source is None:
            return
        metrics: dict[str, float] = {}
        if self.trainer.is_global_zero:
            labels = sample_labels(None, self.test_samples, self.classes, self.device, None)
            tokens = self.sample_tokens(self.test_samples, label=labels)
            metrics = {**self.sample_metrics(tokens), **label_metrics(self.source, tokens, labels)}
            if self.reverse_steps:
                metrics["reverse_nll"] = self._reverse_nll()
        metrics = self.trainer.strategy.broadcast(metrics)
        self.log_dict({f"test/{name}": float(value) for name, value in metrics.items()}, sync_dist=True)

    def sample_metrics(self, tokens: Tensor) -> dict[str, float]:
        """Return the data's metrics of samples ``n t``."""
        return self.source.score(tokens)

    def _reverse_nll(self) -> float:
        tokens, lengths = (value.to(self.device) for value in self.source.test_sequences())
        make, draw, lengths_of = self.make_generator, self.sample_tokens, self.require_vocabulary().lengths
        return reverse_nll(make, draw, tokens, lengths, lengths_of, self.reverse_steps, self.likelihood_learning_rate)

    @property
    def likelihood_learning_rate(self) -> float:
        """Peak learning rate of maximum likelihood, also that of the model that measures the reverse NLL."""
        return self.optimizer_config.learning_rate

    # -- samples ------------------------------------------------------------------------------------------------------

    def draw_conditions(self, labels: Tensor | None, n: int, generator: torch.Generator | None) -> Tensor | None:
        """Return what n samples with these labels are conditioned on, ``n ...``; the labels, unless there is more."""
        return labels

    @torch.no_grad()
    def sample_tokens(
        self,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        prefix: str = "",
        label: Label | None = None,
        banned: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw token ids, ``-> n t``; arguments as for ``sample``, and ``banned``, an id that is never drawn."""
        vocabulary = self.require_vocabulary()
        ids = torch.tensor(vocabulary.encode(prefix), dtype=torch.int64, device=self.device) if prefix else None
        options: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "banned": banned}
        label = class_number(label, self.class_names)
        conditions = self.draw_conditions(sample_labels(label, n, self.classes, self.device, generator), n, generator)
        parts = [conditions[first : first + ROWS] if conditions is not None else None for first in range(0, n, ROWS)]
        sizes = [min(ROWS, n - first) for first in range(0, n, ROWS)]
        return torch.cat(
            [
                self.generator.sample(size, prefix=ids, label=part, generator=generator, **options)
                for size, part in zip(sizes, parts, strict=True)
            ]
        )

    def sample(
        self,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        prefix: str = "",
        label: Label | None = None,
        generator: torch.Generator | None = None,
    ) -> list[str]:
        """Draw sentences. They contain no ``<unk>``, which is no word.

        Args:
            n: number of sentences.
            temperature, top_k, top_p: see ``truncate``.
            prefix: text that every sentence starts with.
            label: class of all sentences by number or name, or one each (``n``); None draws them uniformly.
            generator: the source of the noise.

        Raises:
            ValueError: n < 1; a prefix that is too long or has an unknown token; a label that the model does not take;
                errors of ``truncate``.
        """
        check_draws(n, temperature)
        vocabulary = self.require_vocabulary()
        vocabulary.check(prefix)
        options: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "prefix": prefix}
        tokens = self.sample_tokens(n, label=label, banned=vocabulary.unk, generator=generator, **options)
        return [vocabulary.decode(row) for row in tokens]
