"""Text: generators, trained by maximum likelihood or against a discriminator, and recurrent VAEs."""

from .text_gan import TextGAN
from .text_vae import TextVAE

__all__ = ["TextGAN", "TextVAE"]
