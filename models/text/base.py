"""What every model of text does: it learns its vocabulary from the data, is held to held-out text, writes sentences.

Axes: ``b`` batch, ``n`` samples, ``t`` time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...pretrained.api import load
from ...vocabulary import Vocabulary
from ..base import Batch, ZooModel, check_draws
from .generators.base import Generator
from .reverse_nll import reverse_nll

ROWS = 500  # samples at a time: their logits stay small
MAX_LENGTH = 2**16  # of a sentence: a release from elsewhere must not keep us sampling for days
STAND_IN = Vocabulary(["0", "1"])


class TextModel(ZooModel):
    """Subclasses build networks for a vocabulary in ``build``, and train.

    The networks are built at once if the vocabulary and the length are given, as they are in checkpoints and releases,
    else when a trainer brings the data. ``hparams`` then has what was built, so that a checkpoint needs no data.
    """

    monitor: str | None = "val/nll"
    generator: Generator
    vocabulary: Vocabulary | None
    length: int
    test_samples: int
    reverse_steps: int

    def take_vocabulary(self, vocabulary: Mapping[str, Any] | None, length: int | None) -> None:
        """Build if the text is known; to be called last in a constructor.

        Raises:
            ValueError: only one of the two is known, or they make no sense.
        """
        if (vocabulary is None) != (length is None):
            raise ValueError("vocabulary and length come together: give both, or none to take them from the data")
        if vocabulary is not None and length is not None:
            if not {"tokens"} <= set(vocabulary) <= {"tokens", "level"}:
                raise ValueError("vocabulary must have 'tokens' and 'level', as Vocabulary.config() gives them")
            self._build(Vocabulary(**vocabulary), length)
        else:
            self._build(STAND_IN, 1)  # mistakes in the other arguments are told now, not when the data are read
            self.vocabulary = None
            self.hparams.update(vocabulary=None, length=None)

    def build(self, vocabulary: Vocabulary, length: int) -> None:
        """Make the generator, and whatever else needs to know the text."""
        raise NotImplementedError

    def make_generator(self) -> Generator:
        """A fresh generator like the model's own."""
        raise NotImplementedError

    def _build(self, vocabulary: Vocabulary, length: int) -> None:
        if not 1 <= length <= MAX_LENGTH or len(vocabulary) < 2:
            raise ValueError(
                f"text needs a length of 1 to {MAX_LENGTH} and 2 tokens or more, got {length} and {len(vocabulary)}"
            )
        self.vocabulary, self.length = vocabulary, length
        self.build(vocabulary, length)
        self.hparams.update(vocabulary=vocabulary.config(), length=length)

    @property
    def known(self) -> Vocabulary:
        """The vocabulary; ValueError while there is none."""
        if self.vocabulary is None:
            raise ValueError("this model has no vocabulary yet: train it on text, or give vocabulary and length")
        return self.vocabulary

    def configure_model(self) -> None:
        """Take vocabulary and length from the trainer's data, or check that they are the model's.

        Raises:
            ValueError: no text; what ``check_data`` says.
        """
        data = getattr(self.trainer, "datamodule", None)
        vocabulary, length = (getattr(data, name, None) for name in ("vocabulary", "max_length"))
        if vocabulary is None or length is None:
            if self.vocabulary is None or data is not None:
                raise ValueError("this model learns from text: use --data=TextData")
        elif self.vocabulary is None:
            self._build(vocabulary, length)
        else:
            self.check_data(vocabulary, length)

    def check_data(self, vocabulary: Vocabulary, length: int) -> None:
        """ValueError for data of another vocabulary, or of another length of sentences, than the model's."""
        if self.known != vocabulary or self.length != length:
            raise ValueError(
                f"the model knows {len(self.known)} tokens in sentences of {self.length}, the data has "
                f"{len(vocabulary)} (or others) in {length}; give the data that it was trained on"
            )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the weights of another vocabulary, whose ids would mean other words, and of another length."""
        stored = checkpoint.get("hyper_parameters", {})
        if stored.get("vocabulary") is None:
            return
        if self.vocabulary != Vocabulary(**stored["vocabulary"]) or self.length != stored.get("length", self.length):
            raise ValueError(
                "the checkpoint was trained with another vocabulary or another length of sentences; give the data that "
                "it was trained on"
            )

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the nats per token of held-out text."""
        self._log_nll(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the nats per token of the test text."""
        self._log_nll(batch, "test")

    def _log_nll(self, batch: Batch, stage: str) -> None:
        tokens = int(batch["length"].sum())
        nll = -self.generator.log_prob(batch["tokens"], batch["length"]).sum() / tokens
        self.log(f"{stage}/nll", nll, on_epoch=True, batch_size=tokens, sync_dist=True)

    def on_test_epoch_end(self) -> None:
        """Log what the data says of samples, and what a model that learnt from them says of the data."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        figures = data.score(self.sample_tokens(self.test_samples))
        if self.reverse_steps:
            held, device = data.splits.test, self.device
            tokens, lengths = held.tokens.to(device), held.lengths.to(device)
            vocabulary, steps, rate = self.known, self.reverse_steps, self.learning_rate
            figures["reverse_nll"] = reverse_nll(
                self.make_generator, self.sample_tokens, tokens, lengths, vocabulary.lengths, steps, rate
            )
        self.log_dict({f"test/{name}": float(value) for name, value in figures.items()})

    # -- samples ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample_tokens(
        self,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        prefix: str = "",
        banned: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Token ids of samples, ``-> n t``; arguments as for ``sample``, and a token that is never drawn."""
        given = torch.tensor(self.known.encode(prefix), dtype=torch.int64, device=self.device) if prefix else None
        options: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "banned": banned}
        sizes = [min(ROWS, n - first) for first in range(0, n, ROWS)]
        return torch.cat([self.generator.sample(size, prefix=given, generator=generator, **options) for size in sizes])

    def sample(
        self,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        prefix: str = "",
        generator: torch.Generator | None = None,
    ) -> list[str]:
        """Sentences, without ``<unk>``: that stands for words which are not known.

        Args:
            n: how many.
            temperature, top_k, top_p: see ``truncate``.
            prefix: text that each of them begins with.
            generator: the source of the noise.

        Raises:
            ValueError: no samples; a prefix too long, or with a token that is not known; what ``truncate`` says.
        """
        check_draws(n, temperature)
        vocabulary = self.known
        vocabulary.check(prefix)
        options: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "prefix": prefix}
        tokens = self.sample_tokens(n, banned=vocabulary.unk, generator=generator, **options)
        return [vocabulary.decode(row) for row in tokens]


def open_start(start: str, vocabulary: Any, length: int | None, generator: str | None, options: Any) -> TextModel:
    """The trained model to go on from; ValueError if it is none of text, or something else is asked for beside it."""
    if options or vocabulary:
        raise ValueError("start brings a generator and its vocabulary: leave out generator_options and vocabulary")
    begun = load(start)
    if not isinstance(begun, TextModel):
        raise ValueError(f"start must be a trained model of text, {start} is a {begun.registry_name}")
    for name, given, own in (("generator", generator, begun.hparams["generator"]), ("length", length, begun.length)):
        if given not in (None, own):
            raise ValueError(f"{start} has the {name} {own}, and {given} is asked for beside it; leave out {name}")
    return begun
