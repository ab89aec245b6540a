"""What learns: LightningModules that are registered by name, each on the one relaxed-sampling layer."""

from .base import ZooModel
from .categorical_vae import CategoricalVAE
from .classifier import Classifier
from .code_prior import CodePrior
from .gaussian_vae import GaussianVAE
from .registry import MODELS, register_model
from .structured_prediction import StructuredPrediction
from .text_gan import TextGAN
from .vq_vae import VQVAE

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
