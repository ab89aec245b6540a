"""Parts of the recurrent VAE, one per file; importing this package registers them."""

from . import adversarial, autoregressive, categorical, gaussian, kl  # noqa: F401  (importing registers)
from .encoder import GRUConfig, SentenceEncoder
from .latent import LATENTS, Latent
from .matching import MATCHINGS, Matching
from .priors import PRIORS

__all__ = ["LATENTS", "MATCHINGS", "PRIORS", "GRUConfig", "Latent", "Matching", "SentenceEncoder"]
