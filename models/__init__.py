"""What learns: LightningModules that are registered by name, each on the one relaxed-sampling layer."""

from .attention.seq2seq import AttentionSeq2Seq
from .base import MODELS, ZooModel, register_model
from .classifier.cnn import Classifier
from .slate.slate_agent import SlateAgent
from .text.text_gan import TextGAN
from .vae.categorical import CategoricalVAE
from .vae.gaussian import GaussianVAE
from .vae.structured_prediction import StructuredPrediction
from .vqvae.prior import CodePrior
from .vqvae.vqvae import VQVAE

__all__ = [
    "MODELS",
    "VQVAE",
    "AttentionSeq2Seq",
    "CategoricalVAE",
    "Classifier",
    "CodePrior",
    "GaussianVAE",
    "SlateAgent",
    "StructuredPrediction",
    "TextGAN",
    "ZooModel",
    "register_model",
]
