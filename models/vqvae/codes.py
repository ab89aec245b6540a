"""Codes from elsewhere: whether they are those of a VQ-VAE, told by the checksum of its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from ...interfaces import Batch
from .vqvae import VQVAE


def weights_checksum(model: nn.Module) -> str:
    """Return the SHA-256 of a model's parameters and buffers by their names, the same on every device."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def has_codes(source: Any) -> bool:
    """True for data of codes, in the place of images; nothing is read."""
    return "code_shape" in dir(source)


def batch_codes(batch: Batch, encode: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the codes ``b h w q`` of a batch, or encode its images ``b c h w``."""
    return batch["codes"] if "codes" in batch else encode(batch["image"])


def check_codes(source: Any, vqvae: VQVAE, draws: bool, fits: bool) -> None:
    """Check that codes are those of a VQ-VAE; where no model is trained, other weights are a warning.

    Args:
        source: the codes, a ``CodeSource``.
        vqvae: the model.
        draws: True if a prior is to learn from samples of q(z | x).
        fits: True before training.

    Raises:
        ValueError: draws, another grid or codebook, or before training other weights.
    """
    if draws:
        raise ValueError("posterior_draws needs images: codes on disk are the modes of q(z | x)")
    shape, size = (*vqvae.grid, vqvae.quantizer.codebooks), vqvae.quantizer.codebook_size
    name, checksum = (source.encoder[fact] for fact in ("name", "sha256"))
    if (tuple(source.code_shape), source.codebook_size) != (shape, size):
        raise ValueError(
            f"the codes are {tuple(source.code_shape)} of {source.codebook_size} by {name}, those of the prior's "
            f"VQ-VAE {shape} of {size}: give the model that encoded them as --model.vqvae, or encode the images again"
        )
    if checksum == weights_checksum(vqvae):
        return
    said = f"the codes were made by {name}, whose weights are other ones than those of the prior's VQ-VAE"
    if fits:
        raise ValueError(f"{said}: give that model as --model.vqvae, or encode the images with this one")
    rank_zero_warn(f"{said}, as after rounding; the metrics are of these codes")
