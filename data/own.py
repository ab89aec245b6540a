"""Data modules of users: tuples become batches by key, and facts that they do not state are made up for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning.pytorch import LightningDataModule

from .licences import licence_of


def name_batches(kind: type[LightningDataModule], keys: Sequence[str]) -> None:
    """Let a class of data modules give the values of its batches by ``keys``, after its own hooks."""
    own: Callable[[Any, Any, int], Any] = kind.on_after_batch_transfer

    def on_after_batch_transfer(self: Any, batch: Any, dataloader_idx: int) -> Any:
        return by_key(own(self, batch, dataloader_idx), keys)

    kind.on_after_batch_transfer = on_after_batch_transfer  # type: ignore[method-assign]


def by_key(batch: Any, keys: Sequence[str]) -> Any:
    """Return the values of a tuple, or one value, by key; a batch that is a mapping as it is.

    Raises:
        ValueError: another number of values than of keys.
    """
    if isinstance(batch, Mapping):
        return batch
    values = batch if isinstance(batch, (tuple, list)) else (batch,)
    if len(values) != len(keys):
        raise ValueError(
            f"a batch has {len(values)} values, and the data were registered with the keys {', '.join(keys)}: "
            "give one key for each"
        )
    return dict(zip(keys, values, strict=True))


def metadata_of(data: LightningDataModule) -> dict[str, str]:
    """Return the metadata of a data module as texts; without any its name, its class and an unknown licence."""
    metadata = getattr(data, "metadata", None)
    stated = metadata() if callable(metadata) else metadata
    if isinstance(stated, Mapping):
        return {str(fact): str(value) for fact, value in stated.items()}
    kind = type(data)
    name = str(getattr(data, "name", "") or getattr(data, "registry_name", "") or kind.__name__)
    return {"data set": name, "source": f"{kind.__module__}.{kind.__qualname__}", "licence": licence_of(name)}
