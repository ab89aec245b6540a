"""The base class of recurrent VAEs: likelihood, bounds and figures, all in nats per sentence.

Importance-weighted bound: Burda, Grosse & Salakhutdinov 2016 (arXiv:1509.00519), eq. 8. Axes: ``b`` batch, ``t`` time,
``s`` samples, ``w`` width of z, ``c`` classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ....interfaces import Batch
from ...relaxed.bounds import importance_weighted_bound
from ...relaxed.sampling import one_hot
from ..base import ROWS, TextModel
from ..labels import batch_labels
from .encoder import SentenceEncoder
from .figures import mutual_information, spread
from .latent import Latent
from .likelihood import decoder_inputs, sentence_nll
from .matching import Matching


class LatentTextModel(TextModel):
    """Base class of VAEs of sentences. A subclass builds the parts, and writes ``training_metrics``.

    Attributes:
        latent: posterior and prior of z.
        matching: objective.
        encoder: of sentences; only after ``build``.
        bound_samples: m of the importance-weighted bound at test.
        bound_sentences: test sentences that the costly figures are of.
    """

    latent: Latent
    matching: Matching
    encoder: SentenceEncoder
    bound_samples: int
    bound_sentences: int

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[Batch] = []

    # -- distributions ------------------------------------------------------------------------------------------------

    def posterior(self, batch: Batch) -> Tensor:
        """Return the parameters of q(z | x), ``b ...``."""
        label = self._one_hot(batch_labels(batch, self.classes))
        return self.latent.posterior(self.encoder(batch["tokens"], batch["length"], label))

    def nll(self, batch: Batch, z: Tensor, word_dropout: float = 0.0) -> Tensor:
        """Compute -log p(x | z) of z ``... b w``, ``... b`` nats; one draw of the dropped words for all copies."""
        inputs = decoder_inputs(self.generator, batch["tokens"], word_dropout)
        context = self.context(z, self._one_hot(batch_labels(batch, self.classes)))
        return sentence_nll(self.generator, inputs, batch["tokens"], batch["length"], context)

    def context(self, z: Tensor, label: Tensor | None) -> Tensor:
        """Join z ``... b w`` and one-hot labels ``b c``: what the decoder is given, ``... b (w c)``."""
        return z if label is None else torch.cat([z, label.to(z.dtype).expand(*z.shape[:-1], -1)], -1)

    def _one_hot(self, labels: Tensor | None) -> Tensor | None:
        """Labels ``b`` as vectors ``b c``; None for an unconditional model."""
        return None if labels is None else one_hot(labels, self.classes)

    def log_weights(self, batch: Batch, posterior: Tensor, s: int, generator: torch.Generator | None) -> Tensor:
        """Return log p(x, z) - log q(z | x) at s exact draws of z, ``s b`` nats."""
        z, ratio = self.latent.draw(posterior, s, generator)
        return ratio - self.nll(batch, z)

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def on_test_epoch_start(self) -> None:
        """Forget the sentences of a test that was interrupted."""
        self._seen = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the negative ELBO, its terms, and what else is descended, at an exact draw of z."""
        self._log_elbo(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the same, and keep the sentences for the other figures."""
        self._log_elbo(batch, "test")
        self._seen.append(batch)

    def _log_elbo(self, batch: Batch, stage: str) -> None:
        posterior = self.posterior(batch)
        z, _ = self.latent.draw(posterior, 1)
        correction = self.latent.correction(z)
        kl = self.latent.kl(posterior).sum(-1) + (0.0 if correction is None else correction[0])
        terms = {"kl": kl.mean(), "reconstruction": self.nll(batch, z)[0].mean()}
        terms["elbo"] = terms["kl"] + terms["reconstruction"]
        if (penalty := self.matching.penalty(z[0])) is not None:
            terms["objective"] = terms["reconstruction"] + penalty.mean()
        named = {f"{stage}/{name}": value for name, value in terms.items()}
        self.log_dict(named, on_epoch=True, batch_size=len(z[0]), sync_dist=True)

    def on_test_epoch_end(self) -> None:
        """Log the figures of the fixed sentences, then those of samples."""
        seen = {name: torch.cat([batch[name] for batch in self._seen]) for name in self._seen[0]}
        self._seen = []
        self.log_dict({f"test/{name}": value for name, value in self.figures(seen).items()}, sync_dist=True)
        super().on_test_epoch_end()

    @torch.no_grad()
    def figures(self, seen: Batch) -> dict[str, Tensor]:
        """Return figures of sentences, in nats per sentence, those marked * of ``bound_sentences`` of them.

        - ``bound`` *: the importance-weighted bound on -log p(x) of ``bound_samples`` exact draws.
        - ``mutual_information`` *: that of z and the sentence; see ``figures.mutual_information``.
        - ``shuffle_cost`` *: what -log p(x | z) loses if z is that of the sentence before, which in a sorted file is
          much the same.
        - ``active_latents``, and of categories ``usage`` and ``perplexity``.
        """
        posterior = torch.cat([self.posterior(part) for part in parts_of(seen)])
        row = spread(len(posterior), self.bound_sentences).to(posterior.device)
        chosen, own = rows_of(seen, row), posterior[row]
        z = self.latent.draw(own, 1)[0][0]
        both = torch.stack([z, z.roll(1, 0)], 1).split(ROWS)  # b 2 w, the own z and that of the sentence before
        costs = [self.nll(part, pair.transpose(0, 1)) for part, pair in zip(parts_of(chosen), both, strict=True)]
        loss, shuffled = torch.cat(costs, 1)
        return {
            "bound": self.importance_weighted_bound(chosen, own).mean(),
            "mutual_information": mutual_information(self.latent.pairwise_log_prob(own, z)),
            "shuffle_cost": (shuffled - loss).mean(),
            **self.latent.usage(posterior),
            **self.matching.figures(self.latent, posterior),
        }

    @torch.no_grad()
    def importance_weighted_bound(
        self,
        batch: Batch,
        posterior: Tensor | None = None,
        samples: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Compute the m-sample bound on -log p(x) with exact draws of z, ``b`` nats; m is ``bound_samples``, or given.

        Raises:
            ValueError: fewer than 1 sample.
        """
        posterior = self.posterior(batch) if posterior is None else posterior
        order = batch["length"].argsort()  # sentences of one length go together, and need no padding

        def log_weights(row: Tensor, posterior: Tensor, s: int) -> Tensor:
            return self.log_weights(rows_of(batch, row), posterior, s, generator)

        m = self.bound_samples if samples is None else samples
        return importance_weighted_bound(log_weights, m, order, posterior[order])[order.argsort()]


def rows_of(batch: Batch, row: Tensor) -> Batch:
    """Return some rows of a batch."""
    return {name: value[row.to(value.device)] for name, value in batch.items()}


def parts_of(batch: Batch) -> list[Batch]:
    """Return a batch in parts of at most ``ROWS`` rows."""
    return [rows_of(batch, row) for row in torch.arange(len(batch["tokens"])).split(ROWS)]
