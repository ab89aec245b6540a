"""The graph of a prior over codes: logits of every code given the others that it depends on.

Axes: ``b`` batch, ``h w q`` grid of codes, ``k`` codes of a codebook.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...models.base import ZooModel
from ...models.vqvae.prior import CodePrior
from ...models.vqvae.priors.base import AutoregressiveNetwork, CodeNetwork
from ...models.vqvae.priors.maskgit import MaskGIT
from .graph import BATCH, Graph, Value


class Prior(Graph):
    """Logits of an autoregressive network over the whole grid: each code depends on those before it.

    Args:
        network: of the prior.
        classes: number of labels, 0 for an unconditional prior.
    """

    codes_meaning = "earlier codes in raster order h w q; later ones have no influence on a code's logits"

    def __init__(self, network: CodeNetwork, classes: int) -> None:
        grid: tuple[int | str, ...] = (BATCH, *network.shape)
        k = network.codebook_size
        inputs = [Value("codes", grid, torch.int64, 0, k - 1, self.codes_meaning), *self.masks(grid)]
        if classes:
            inputs.append(Value("label", (BATCH,), torch.int64, 0, classes - 1, "class of the image"))
        super().__init__("prior.onnx", inputs, [Value("logits", (*grid, k), meaning="of every code, unnormalised")])
        self.network: Any = network

    def masks(self, grid: tuple[int | str, ...]) -> list[Value]:
        """Return further inputs."""
        return []

    def forward(self, codes: Tensor, label: Tensor | None = None) -> Tensor:
        """Compute ``b h w q k``."""
        return self.network.logits(codes, self._label(codes, label))

    def _label(self, codes: Tensor, label: Tensor | None) -> Tensor:
        return codes.new_zeros(codes.shape[0]) if label is None else label


class MaskedPrior(Prior):
    """Logits of a MaskGIT: each masked code depends on all codes that are not masked."""

    codes_meaning = "known codes; masked ones have no influence"

    def masks(self, grid: tuple[int | str, ...]) -> list[Value]:
        """Return the mask."""
        return [Value("masked", grid, torch.bool, meaning="True where a code is not known yet")]

    def forward(self, codes: Tensor, masked: Tensor, label: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Compute ``b h w q k``."""
        logits = self.network.logits(codes.flatten(1), masked.flatten(1), self._label(codes, label))
        return logits.unflatten(1, self.network.shape)


def prior_graphs(model: ZooModel) -> list[Graph]:
    """Return the graph of a prior's network, if it is autoregressive or masked."""
    if not isinstance(model, CodePrior):
        return []
    if isinstance(model.network, MaskGIT):
        return [MaskedPrior(model.network, model.classes)]
    return [Prior(model.network, model.classes)] if isinstance(model.network, AutoregressiveNetwork) else []
