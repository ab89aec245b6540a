"""Batches without the padding that all of their rows share. Axes: ``b`` batch, ``s`` places, ``t`` steps."""

from __future__ import annotations

from ...interfaces import Batch


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
