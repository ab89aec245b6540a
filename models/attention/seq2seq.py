"""An LSTM that writes a target, attending to one place of its source at every step, softly or by a hard choice.

Axes: ``b`` batch, ``s`` places of a source, ``t`` steps of a target, ``v`` target tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...interfaces import Batch, Cells
from ...ranges import check_most, check_sizes, check_temperature, check_weights
from ...registry import Spec
from ...vocabulary import Vocabulary
from ..base import ModelCard, OptimizerConfig, Part, ZooModel, check_draws, register_model
from ..relaxed.densities import entropy as entropy_of
from ..relaxed.distributed import process_mean
from ..relaxed.entropy_weight import decayed_entropy_weight
from ..relaxed.sampling import categorical_sample, mode, tempered_softmax
from ..run_length import run_length
from . import attention as likelihoods
from .attentions import ATTENTIONS
from .encoders import ENCODERS, build_encoder
from .network import AttentionNetwork
from .padding import needs_all_places, trim
from .sides import MAX_WIDTH, Sides
from .totals import Totals

EXAMPLES = 64  # training sources that a model keeps, for ``sample``


@register_model("attention_seq2seq")
class AttentionSeq2Seq(ZooModel):
    """Sequence to sequence with an attention that is soft, or a hard choice of one place trained by any estimator.

    Each model is judged by its own exact likelihood: soft attention by log p(y | mean of the values), a hard one by the
    exact marginal over places.

    Args:
        source_vocabulary, target_vocabulary: tokens of both sides, or their configurations; None takes them, and the
            lengths, from the data. The first is ``Cells``, or their configuration, for sources that are pictures.
        max_lengths: places of a source and steps of a target at most, EOS included.
        attention: marginal (exact), soft, ``{name: bound, estimator: ...}``, ``{name: multi_sample, m: 4, estimator:
            vimco}``, and the controls uniform and fixed.
        encoder: embedding (no mixing of places), ``{name: bilstm, layers: 1}``, or cells, for pictures.
        width: d of all layers.
        entropy: initial reward of each choice per nat of its entropy, which falls linearly to 0 at the end of training.
            Without it the bounds commit to wrong places early. Search it: 0.1 suits most, 1 some score functions.
        optimizer: options of ``OptimizerConfig``.

    Raises:
        ValueError: an unknown name or option, a size out of range, only some of the first three arguments.

    Example:
        >>> letters = Vocabulary(["<eos>", "a", "b"], level="character")
        >>> model = AttentionSeq2Seq(letters, letters, max_lengths=(5, 6))
        >>> source = torch.tensor([[1, 2, 2, 0, 0]])  # b s
        >>> model.translate(source).shape  # b t
        torch.Size([1, 6])
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: hard against soft attention, by exact likelihoods.",
        limits="`nll` is that of the model's own kind of attention, in nats per target token. `marginal_nll` is that "
        "of a hard choice from the same scores, and `argmax_nll` that of the largest one; of a soft model these two "
        "are controls.",
        example="for line in model.sample(8):\n    print(line)",
        pictures=("alignments",),
        metrics=("nll", "alignment_error", "sequence_error"),
    )
    parts: ClassVar[Mapping[str, Part]] = {"attention": ATTENTIONS, "encoder": ENCODERS, "optimizer": OptimizerConfig}
    batch_key = "source"
    monitor: str | None = "val/nll"
    examples: Tensor

    def __init__(
        self,
        source_vocabulary: Vocabulary | Cells | dict | None = None,
        target_vocabulary: Vocabulary | dict | None = None,
        max_lengths: Sequence[int] | None = None,
        attention: Spec = "marginal",
        encoder: Spec = "embedding",
        width: int = 64,
        entropy: float = 0.0,
        optimizer: OptimizerConfig | dict = ZooModel.optimizer_config,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        check_most(MAX_WIDTH, width=width)
        self.save_hyperparameters()
        self.use_optimizer(optimizer)
        check_weights(entropy=entropy)
        self.entropy, self._options = entropy, (attention, encoder, width)
        self.sides: Sides | None = None
        self._totals = Totals()
        self._written: list[tuple[Tensor, Tensor]] = []
        given = (source_vocabulary, target_vocabulary, max_lengths)
        if all(part is not None for part in given):
            self._build(Sides.read(*given))  # type: ignore[arg-type]
        elif any(part is not None for part in given):
            raise ValueError("source_vocabulary, target_vocabulary and max_lengths come together: give all, or none")
        else:
            # What is unknown is refused now; 10 unordered samples need as many places.
            ATTENTIONS.build(attention, max_lengths=(10, 10))
            build_encoder(encoder, None, places=2, width=width)

    def _build(self, sides: Sides) -> None:
        attention, encoder, width = self._options
        used = ATTENTIONS.build(attention, max_lengths=sides.max_lengths)
        built = build_encoder(encoder, sides.source, sides.max_lengths[0], width)
        self.sides, self.network = sides, AttentionNetwork(used, built, len(sides.target), width)
        self.register_buffer("examples", sides.empty_sources(EXAMPLES))

    def config(self) -> dict[str, Any]:
        """Return plain arguments that rebuild the model, with the vocabularies and lengths of its data."""
        return {**super().config(), **(self.sides.config() if self.sides else {})}

    def configure_model(self) -> None:
        """Build for the trainer's data, or check that they are those of the model.

        Raises:
            ValueError: no pairs, or pairs of other vocabularies or lengths.
        """
        super().configure_model()
        if (source := self.source) is None:
            self.require_sides()
            return
        sides = Sides.read(source.source_vocabulary, source.target_vocabulary, source.max_lengths)
        if self.sides is None:
            self._build(sides)
        elif sides != self.sides:
            raise ValueError("the model was made for other pairs: give the data that it was trained on")

    def require_sides(self) -> Sides:
        """Return the vocabularies and lengths; ValueError while there are none."""
        if self.sides is None:
            raise ValueError("this model has no vocabulary yet: train it on pairs, or give both and the max_lengths")
        return self.sides

    # -- training and evaluation --------------------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        """Keep some training sources, for ``sample``."""
        if self.source is not None:
            found = next(iter(self.source.train_dataloader()))["source"][:EXAMPLES]
            self.examples.copy_(found[torch.arange(EXAMPLES) % len(found)])

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss``: minus the objective and the reward of entropy, in nats per target token."""
        batch = self._trimmed(batch)
        scores, values, log_prob, steps = self.network(batch)
        objective = self.network.attention.objective(scores, values, log_prob, steps)
        if self.entropy:
            weight = decayed_entropy_weight(self.entropy, self.global_step, run_length(self.trainer))
            objective = objective + weight * entropy_of(scores)
        return {"loss": -(objective * steps).sum() / process_mean(steps.sum())}

    def _trimmed(self, batch: Batch) -> Batch:
        return trim(batch, sources=not needs_all_places(self.network.attention))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Sum the exact likelihoods, and the errors of the alignment where it is known."""
        attention, batch = self.network.attention, self._trimmed(batch)
        scores, values, log_prob, steps = self.network(batch)
        self._totals.add("nll", -attention.log_likelihood(scores, values, log_prob), steps)
        self._totals.add("marginal_nll", -likelihoods.marginal(attention.layer, scores, values, log_prob), steps)
        self._totals.add("argmax_nll", -likelihoods.argmax(scores, values, log_prob), steps)
        if "alignment" in batch:
            wrong = mode(scores) != batch["alignment"]
            self._totals.add("alignment_error", wrong, batch["alignment"] >= 0)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Sum what validation does, and write a target for each source."""
        self.validation_step(batch, batch_idx)
        self._written.append((batch["source"].cpu(), self.translate(batch["source"]).cpu()))

    def on_validation_epoch_start(self) -> None:
        """Forget the sums of the last pass."""
        self._totals, self._written = Totals(), []

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        """Log the means per target token."""
        self._log_totals("val")

    def on_test_epoch_end(self) -> None:
        """Log the means per target token, perplexity, and the entropy of the data if it is known."""
        self._log_totals("test")

    def _log_totals(self, stage: str) -> None:
        metrics: dict[str, Any] = self._totals.means(self.trainer.strategy)
        if stage == "test":
            metrics["perplexity"] = metrics["nll"].exp()
            if (entropy := getattr(self.source, "entropy", None)) is not None:
                metrics["entropy"] = float(entropy)  # Lightning puts numbers on the device, where processes are summed
            if score := getattr(self.source, "score", None):
                metrics |= score(*(torch.cat(side) for side in zip(*self._written, strict=True)))
        self.log_dict({f"{stage}/{name}": value for name, value in metrics.items()}, sync_dist=True)

    @torch.no_grad()
    def attend(self, batch: Batch) -> Tensor:
        """Return the probabilities of the places at each step of given targets, ``b t s``."""
        return tempered_softmax(self.network(batch)[0], 1.0)

    # -- targets ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def translate(
        self, source: Tensor, *, temperature: float | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Write targets ``b t`` for sources, which end in EOS: the most probable token of each step, or drawn.

        Args:
            source: token ids ``b s``; levels of cells, uint8 ``b s h w``, for sources that are pictures.
            temperature: divides the log-probabilities of drawn tokens; None takes the most probable.
            generator: source of the noise.

        Raises:
            ValueError: sources of another form, or without EOS; errors of ``check_temperature``.
        """
        check_temperature(1.0 if temperature is None else temperature)
        sides = self.require_sides()
        sides.check_sources(source)

        def choose(log_p: Tensor) -> Tensor:
            if temperature is None:
                return log_p.argmax(-1)
            return categorical_sample(log_p / temperature, generator=generator)

        return self.network.write(source, sides.source.lengths(source), sides.max_lengths[1], choose)

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> list[str]:
        """Draw targets for training sources that the model has kept, as lines ``source -> target``.

        Args:
            n: number of lines.
            temperature: divides the log-probabilities of the tokens.
            generator: source of the noise.

        Raises:
            ValueError: n < 1, or a temperature that is not > 0.
        """
        check_draws(n, temperature)
        sides = self.require_sides()
        index = torch.randint(len(self.examples), (n,), device=self.device, generator=generator)
        parts = [
            (part, self.translate(part, temperature=temperature, generator=generator))
            for part in self.examples[index].split(500)
        ]
        return [
            f"{sides.source.decode(source)} -> {sides.target.decode(target)}"
            for part, written in parts
            for source, target in zip(part, written, strict=True)
        ]
