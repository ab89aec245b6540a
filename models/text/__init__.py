"""Text: generators, trained by maximum likelihood or against a discriminator."""

from .text_gan import TextGAN

__all__ = ["TextGAN"]
