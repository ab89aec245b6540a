"""Steps of ``growth_cases.py``: functions that build what is timed for a size. A step is forward and backward pass."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from gumbelzoo.benchmarks.common.measure import DEVICE
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.models.text.generators import GENERATORS, LanguageModel
from gumbelzoo.registry import Spec
from gumbelzoo.vocabulary import Vocabulary
from torch import Tensor

Step = Callable[[], object]
BATCH, WIDTH = 8, 32  # of text
VECTORS, DIM = 1024, 32  # of a quantizer
EXAMPLES, LATENTS, CATEGORIES = 16, 4, 8  # of an expectation

# -- the layer --------------------------------------------------------------------------------------------------------


def relaxed_step(sample: Callable[[Tensor], Tensor], shape: tuple[int, int]) -> Step:
    """Draw relaxed samples of random logits and go back."""
    logits, weight = torch.randn(shape, device=DEVICE, requires_grad=True), torch.randn(shape, device=DEVICE)

    def run() -> None:
        sample(logits).backward(weight)
        logits.grad = None

    return run


def codes_step(shape: tuple[int, int]) -> Step:
    """Draw exact codes."""
    logits, layer = torch.randn(shape, device=DEVICE), RelaxedCategorical()
    return lambda: layer.sample(logits)


# -- text -------------------------------------------------------------------------------------------------------------


def generator(name: str, vocabulary: int, length: int) -> LanguageModel:
    """Build a small generator."""
    spec = {"name": name, "width": WIDTH, **({"hidden": WIDTH} if name == "lstm" else {"dropout": 0.0})}
    tokens = Vocabulary([str(token) for token in range(vocabulary)])
    return GENERATORS.build(spec, vocabulary=tokens, max_length=length).to(DEVICE)


def rollout_step(name: str, vocabulary: int, length: int) -> Step:
    """Draw relaxed sentences through the layer, and go back: the generator's step of a Gumbel GAN."""
    model, layer = generator(name, vocabulary, length), RelaxedCategorical("gumbel_softmax", 0.7)
    weight = torch.randn(length, vocabulary, device=DEVICE)

    def run() -> None:
        (model.rollout(BATCH, layer) * weight).sum().backward()
        model.zero_grad()

    return run


def likelihood_step(name: str, vocabulary: int, length: int) -> Step:
    """Compute the likelihood of sentences, and go back."""
    model, tokens = generator(name, vocabulary, length), torch.randint(vocabulary, (BATCH, length), device=DEVICE)

    def run() -> None:
        model.log_prob(tokens).sum().backward()
        model.zero_grad()

    return run


def sample_step(name: str, vocabulary: int, length: int) -> Step:
    """Draw sentences of token ids."""
    model = generator(name, vocabulary, length)
    return lambda: model.sample(BATCH)


# -- codebooks --------------------------------------------------------------------------------------------------------


def codebook_step(spec: Callable[[int], Spec], size: int) -> Step:
    """Quantize random vectors in training mode, and go back."""
    torch.manual_seed(0)
    quantizer = QUANTIZERS.build(spec(size), dim=DIM, positions=1).to(DEVICE)
    z = torch.randn(VECTORS, 1, DIM, device=DEVICE, requires_grad=True)

    def run() -> None:
        quantized = quantizer(z)
        (quantized.vectors.square().mean() + quantized.loss).backward()
        quantizer.zero_grad()
        z.grad = None

    return run


def levels(size: int) -> Spec:
    """FSQ with about this number of codes, in two coordinates."""
    side = math.isqrt(size)
    return {"name": "fsq", "levels": (side, size // side)}


def vector(size: int) -> Spec:
    """Nearest codes with moving averages."""
    return {"name": "vector", "codebook_size": size, "kmeans_batches": 0}


# -- samples ----------------------------------------------------------------------------------------------------------


def event_weights(like: Tensor) -> Tensor:
    """Weights of a linear cost, ``n k``."""
    return torch.linspace(-1, 1, like.shape[-1] * like.shape[-2], device=like.device).view(like.shape[-2:])


def expectation_step(estimator: str, options: dict[str, object], samples: int) -> Step:
    """Estimate the expectation of a linear cost, and go back."""
    layer = RelaxedCategorical({"name": estimator, "samples": samples, **options}, 0.7).to(DEVICE)
    logits = torch.randn(EXAMPLES, LATENTS, CATEGORIES, device=DEVICE, requires_grad=True)

    def run() -> None:
        layer.expectation(logits, lambda z: (z * event_weights(z)).sum((-1, -2))).sum().backward()
        logits.grad = None

    return run


def bound_step(estimator: str, m: int) -> Step:
    """Estimate a bound of m copies, and go back."""
    layer = RelaxedCategorical(estimator, 0.7).to(DEVICE)
    logits = torch.randn(EXAMPLES, LATENTS, CATEGORIES, device=DEVICE, requires_grad=True)

    def run() -> None:
        value = layer.multi_sample_bound(logits, lambda z: (z * event_weights(z)).sum((-1, -2)), m)
        value.sum().backward()
        logits.grad = None

    return run
