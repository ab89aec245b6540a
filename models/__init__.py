"""What learns: LightningModules that are registered by name, each on the one relaxed-sampling layer."""

from .attention.seq2seq import AttentionSeq2Seq
from .base import MODELS, ZooModel, register_model
from .classifier.cnn import Classifier
from .gates.frequency_gate import FrequencyGate
from .gates.sparse_classifier import SparseClassifier
from .gates.sparse_variational_dropout import SparseVariationalDropout
from .glimpse.glimpse_classifier import GlimpseClassifier
from .glimpse.glimpse_transformer import GlimpseTransformer
from .slate.slate_agent import SlateAgent
from .text.text_gan import TextGAN
from .text.text_vae import TextVAE
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
    "FrequencyGate",
    "GaussianVAE",
    "GlimpseClassifier",
    "GlimpseTransformer",
    "SlateAgent",
    "SparseClassifier",
    "SparseVariationalDropout",
    "StructuredPrediction",
    "TextGAN",
    "TextVAE",
    "ZooModel",
    "register_model",
]
