"""Metrics of samples and reconstructions, computed from arrays; they import neither data nor models."""

from .bleu import bleu, self_bleu
from .ngrams import Corpus, copied, distinct, novelty
from .plane import draw_plane

__all__ = ["Corpus", "bleu", "copied", "distinct", "draw_plane", "novelty", "self_bleu"]
