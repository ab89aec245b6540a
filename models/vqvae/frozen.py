"""The frozen VQ-VAE inside a prior over its codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from ...registry import unknown_arguments
from .vqvae import VQVAE


def frozen_vqvae(vqvae: Any) -> VQVAE:
    """Return a trained VQ-VAE, or build an untrained one, in eval mode and without gradients.

    Raises:
        ValueError: nothing, a text or anything else that is no VQ-VAE, or an argument that a VQ-VAE does not take.
    """
    # Not inlined: `save_hyperparameters` walks up enclosing `__init__` frames and would merge both models' arguments.
    if not vqvae:
        raise ValueError("a prior needs the VQ-VAE whose codes it learns: --model.vqvae=RUN, .ckpt file or release")
    if isinstance(vqvae, str):
        raise ValueError(f"vqvae must be a loaded VQ-VAE, got the text '{vqvae}'; use vqvae=load('{vqvae}')")
    if not isinstance(vqvae, (VQVAE, Mapping)):
        kind = getattr(vqvae, "registry_name", type(vqvae).__name__)
        raise ValueError(f"vqvae must be a VQ-VAE or the arguments of one, got a {kind}")
    if isinstance(vqvae, Mapping):
        unknown_arguments("vqvae", VQVAE, vqvae)
        vqvae = VQVAE(**vqvae)
    return vqvae.requires_grad_(False).eval()


def warn_of_other_pixels(vqvae: VQVAE, found: float) -> None:
    """Warn of training pixels whose variance is another one than that of the VQ-VAE's own."""
    variance = float(vqvae.likelihood.data_variance)
    if not math.isclose(variance, found, rel_tol=0.05):
        rank_zero_warn(
            f"the VQ-VAE was trained on images whose pixels have a variance of {variance:.3f}, here it is "
            f"{found:.3f}: other data, or another --data.binarization?"
        )
