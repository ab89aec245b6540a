"""The VQ-VAE and learned priors over its codes."""

from .prior import CodePrior
from .vqvae import VQVAE

__all__ = ["VQVAE", "CodePrior"]
