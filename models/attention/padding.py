"""Batches without the padding that all of their rows share. Axes: ``b`` batch, ``s`` places, ``t`` steps."""

from __future__ import annotations

from torch import nn

from ...interfaces import Batch


def needs_all_places(attention: nn.Module) -> bool:
    """True if a part of it, such as a learned baseline, is built for one number of places."""
    return any(hasattr(part, "event_shape") for part in attention.modules()) or any(
        weight.ndim for weight in attention.parameters()
    )


def trim(batch: Batch, sources: bool) -> Batch:
    """Cut a batch of pairs to its longest row, so that nothing is computed on what is padding in all of them.

    Args:
        batch: of ``PairSource``.
        sources: cut the places too; else only the steps of the targets and of the known alignment.
    """
    steps = int(batch["target_length"].max())
    cut: Batch = {name: batch[name][:, :steps] for name in ("target", "alignment") if name in batch}  # b t
    if sources:
        cut["source"] = batch["source"][:, : int(batch["source_length"].max())]  # b s ...
    return {**batch, **cut}
