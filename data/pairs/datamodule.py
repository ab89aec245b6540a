"""Data module of pairs of sequences."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from ...interfaces import Batch, Cells
from ...vocabulary import Vocabulary
from ..base import InMemoryData, register_data
from ..keyed_random import Key
from ..storage import Folders
from . import cipher, cmudict, scenes  # noqa: F401  (importing a reader registers its set)
from .scores import score
from .splits import PAIR_SETS, PairSplits


@register_data("pairs")
class PairData(InMemoryData):
    """Pairs in batches of token ids ``source`` ``b s`` and ``target`` ``b t``, and their lengths ``b``.

    Both sides end in EOS, which their lengths count, and are padded with it; see ``interfaces.PairSource``. Where the
    place in the source of each target token is known, ``alignment`` ``b t`` has it, and -1 for none. Sources that are
    pictures are the levels of their cells, uint8 ``b s h w``.

    Args:
        name: cipher (strings enciphered by a hidden permutation and a hidden alphabet, drawn; alignments are known),
            cmudict (words and their pronunciations; alignments are not known), scenes (pictures with one to three MNIST
            digits and their captions; the places of the digits are known) or scenes_digits (the same with small digits,
            no download).
        batch_size: pairs in a training batch, per process.
        eval_batch_size: most pairs in a validation or test batch, per process.
        root: folder of the data sets; default ``$GUMBELZOO_DATA``, else the user's cache folder.
        seed: seed of drawn pairs, and of the order of training pairs. Scenes of validation and test have one of their
            own.

    Raises:
        ValueError: an unknown name, a batch size that does not fit; at first use, a missing package.

    Example:
        >>> data = PairData("cipher", batch_size=20)
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["source"].shape, batch["alignment"].shape
        (torch.Size([20, 10]), torch.Size([20, 10]))
    """

    def __init__(
        self,
        name: str = "cipher",
        batch_size: int = 128,
        eval_batch_size: int = 500,
        root: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(name, batch_size, eval_batch_size, root, seed)
        self._read = PAIR_SETS[name]

    @cached_property
    def splits(self) -> PairSplits:
        """The pairs, read or drawn at first use."""
        return self._read(Folders(self.root), self.seed)

    @property
    def source_vocabulary(self) -> Vocabulary | Cells:
        """The tokens of the sources by id, or the cells of sources that are pictures."""
        return self.splits.source_vocabulary

    @property
    def target_vocabulary(self) -> Vocabulary:
        """The tokens of the targets by id."""
        return self.splits.target_vocabulary

    @property
    def max_lengths(self) -> tuple[int, int]:
        """Places s of a source and t of a target, EOS included."""
        return self.splits.train.source.shape[1], self.splits.train.target.shape[1]

    @property
    def entropy(self) -> float | None:
        """Nats per target token that no model can be below; None if it is not known."""
        return self.splits.entropy

    def score(self, source: Tensor, written: Tensor) -> dict[str, float]:
        """Return ``sequence_error`` and ``token_error`` of targets ``b t`` written for test sources ``b s``.

        Each source counts once, with its nearest reference.
        """
        references = self._with_pictures(self.splits.test.tensors())
        return score(written, source, (references["source"], references["target"]))

    def train_transform(self, batch: Batch, key: Key) -> Batch:
        """Look up the pictures of a batch."""
        return self._with_pictures(batch)

    def eval_transform(self, batch: Batch, key: Key) -> Batch:
        """Look up the pictures of a batch."""
        return self._with_pictures(batch)

    def _with_pictures(self, batch: Batch) -> Batch:
        """Batch with the levels of cells in the place of their numbers; sources of tokens stay."""
        pictures = self.splits.pictures
        return batch if pictures is None else {**batch, "source": pictures[batch["source"]]}

    def details(self) -> dict[str, str]:
        """Return the metadata of the set."""
        return dict(self.splits.metadata)
