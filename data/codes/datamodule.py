"""Data module of codes on disk: a prior trains from them without the encoder that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ...pretrained.paths import user_path
from ..base import InMemoryData, register_data
from .folder import CodeFolder, Shards
from .header import SPLITS


@dataclass(frozen=True)
class CodeSplit:
    """Codes ``n ...`` of a split, and their labels ``n``, if there are some; both are mapped from files."""

    codes: Shards
    labels: Shards | None

    def __len__(self) -> int:
        return len(self.codes)

    def tensors(self) -> dict[str, Shards]:
        """Return all rows by batch key."""
        return {"codes": self.codes} if self.labels is None else {"codes": self.codes, "label": self.labels}


class CodeSplits:
    """The splits of a folder; one that was not encoded raises a ValueError when it is used."""

    def __init__(self, folder: CodeFolder) -> None:
        self._folder = folder
        self.source = f"codes of {folder.header.model['name']} in the folder {folder.path.resolve().name}"

    @property
    def train(self) -> CodeSplit:
        """Training split."""
        return self._split("train")

    @property
    def valid(self) -> CodeSplit:
        """Validation split."""
        return self._split("valid")

    @property
    def test(self) -> CodeSplit:
        """Test split."""
        return self._split("test")

    def _split(self, name: str) -> CodeSplit:
        return CodeSplit(self._folder.codes(name), self._folder.labels(name))


@register_data("codes")
class CodeData(InMemoryData):
    """Codes of ``gumbelzoo encode --split all``, in batches of ``{"codes": int64 b ..., "label": int64 b}``.

    A ``code_prior`` learns from them without the encoder. Batches are those of the images that were encoded, in the
    same order for the same seed. The codes are the modes of images without flips; of a dynamic binarization they are
    of one draw.

    Args:
        path: the folder.
        batch_size: rows of a training batch, per process; the remainder of an epoch is dropped.
        eval_batch_size: most rows of a validation or test batch, per process.
        root: default of path.
        seed: seed of the order of training rows.

    Raises:
        ValueError: no path, a damaged folder, a split that was not encoded, a batch size that does not fit.
        FileNotFoundError: there is no such folder.

    Example:
        >>> data = CodeData("codes", batch_size=50)  # doctest: +SKIP
        >>> next(iter(data.train_dataloader()))["codes"].shape  # doctest: +SKIP
        torch.Size([50, 7, 7, 1])
    """

    def __init__(
        self,
        path: str | None = None,
        batch_size: int = 100,
        eval_batch_size: int = 500,
        root: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__("codes", batch_size, eval_batch_size, root, seed)
        self.path = path

    @cached_property
    def folder(self) -> CodeFolder:
        """The folder, whose files are mapped."""
        place = self.path or self.root
        if place is None:
            raise ValueError("data=codes needs a path, a folder of `gumbelzoo encode --split all`: --data.path=DIR")
        return CodeFolder(user_path(place))

    @cached_property
    def splits(self) -> CodeSplits:
        """The codes by split."""
        return CodeSplits(self.folder)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape ``c h w`` of the images that were encoded."""
        return self.folder.header.image_shape

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of the codes of an image, ``h w q``."""
        return self.folder.shape

    @property
    def codebook_size(self) -> int | None:
        """Number of codes k of each codebook; None for continuous latents."""
        return self.folder.codebook_size

    @property
    def encoder(self) -> Mapping[str, str]:
        """Name and SHA-256 of the weights of the model that made the codes."""
        model = self.folder.header.model
        return {name: str(model[name]) for name in ("name", "sha256")}

    @cached_property
    def classes(self) -> int:
        """Number of classes, one more than the largest label of all splits; 0 for images without labels."""
        labels = [self.folder.labels(name) for name in self.folder.splits]
        return 1 + max((int(shard.max()) for part in labels if part for shard in part.shards), default=-1)

    def metadata(self) -> dict[str, str]:
        """Return the facts printed with every result: data set, source, sizes of the splits, codes, licence."""
        header = self.folder.header
        stated = {str(name): str(value) for name, value in header.data.get("metadata", {}).items()}
        sizes = {name: f"{header.splits[name].images:,}" if name in header.splits else "no" for name in SPLITS}
        grid = " x ".join(map(str, self.code_shape))
        return {
            "data set": f"codes of {stated.get('data set', 'images')}",
            "source": self.splits.source,
            "split": f"{sizes['train']} training, {sizes['valid']} validation, {sizes['test']} test",
            "codes": f"{grid} of {self.codebook_size}, of images without flips",
            "encoder": f"{header.model['class']} with weights of SHA-256 {header.model['sha256'][:16]}",
            **{name: stated[name] for name in ("binarization", "licence") if name in stated},
        }
