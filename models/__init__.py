"""What learns: LightningModules that are registered by name, each on the one relaxed-sampling layer."""

from .base import MODELS, ZooModel, register_model
from .classifier.cnn import Classifier
from .text.text_gan import TextGAN
from .vae.categorical import CategoricalVAE
from .vae.gaussian import GaussianVAE
from .vae.structured_prediction import StructuredPrediction
from .vqvae.prior import CodePrior
from .vqvae.vqvae import VQVAE

__all__ = [
    "MODELS",
    "VQVAE",
    "CategoricalVAE",
    "Classifier",
    "CodePrior",
    "GaussianVAE",
    "StructuredPrediction",
    "TextGAN",
    "ZooModel",
    "register_model",
]
