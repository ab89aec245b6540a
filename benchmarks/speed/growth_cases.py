"""Cases of ``growth.py``: for each part, its curves, and the power with which their mathematics grows.

A curve is one way to compute: a function that builds a step for a size. Its power is the exponent of the work that the
formulas need when one size grows and all others stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from gumbelzoo.benchmarks.speed.growth_steps import (
    BATCH,
    CATEGORIES,
    DIM,
    EXAMPLES,
    LATENTS,
    VECTORS,
    Step,
    bound_step,
    codebook_step,
    codes_step,
    expectation_step,
    levels,
    likelihood_step,
    relaxed_step,
    rollout_step,
    sample_step,
    vector,
)
from gumbelzoo.models.relaxed import RelaxedCategorical
from gumbelzoo.registry import Spec
from torch import Tensor

CLASSES, ROWS = 64, 256  # of the layer, where the other one grows
LENGTH, VOCABULARY = 8, 32  # of text, where the other one grows


@dataclass(frozen=True)
class Curve:
    """One way to compute.

    Attributes:
        step: builds the step of a size.
        time: power of the size in the work of the formulas.
        memory: power in the numbers that the formulas keep.
    """

    step: Callable[[int], Step]
    time: float = 1.0
    memory: float = 1.0


@dataclass(frozen=True)
class Part:
    """Curves over one size.

    Attributes:
        title: heading of the page and of the picture.
        size: name of the size, with the others in brackets.
        smallest: first size; three decades follow.
        mathematics: how the work of the formulas grows.
        curves: by name.
    """

    title: str
    size: str
    smallest: int
    mathematics: str
    curves: Mapping[str, Curve]

    def sizes(self, decades: int) -> list[int]:
        """Sizes at two a decade, the first and the last one included."""
        return [round(self.smallest * 10**exponent * factor) for exponent in range(decades) for factor in (1, 3)] + [
            self.smallest * 10**decades
        ]


def layer_curves(shape: Callable[[int], tuple[int, int]]) -> dict[str, Curve]:
    """Curves of the layer, and of PyTorch's function."""

    def relaxed(sample: Callable[[Tensor], Tensor]) -> Curve:
        return Curve(lambda n: relaxed_step(sample, shape(n)))

    return {
        "soft": relaxed(RelaxedCategorical("gumbel_softmax", 0.7)),
        "straight-through": relaxed(RelaxedCategorical("straight_through_gumbel_softmax", 0.7)),
        "codes": Curve(lambda n: codes_step(shape(n))),
        "F.gumbel_softmax": relaxed(partial(F.gumbel_softmax, tau=0.7)),
    }


QUANTIZER_SPECS: dict[str, Callable[[int], Spec]] = {
    "vector": vector,
    "gumbel": lambda size: {"name": "gumbel", "codebook_size": size},
    "sim_vq": lambda size: {"name": "sim_vq", "codebook_size": size},
    "residual": lambda size: {"name": "residual", "quantizer": vector(size), "codebooks": 2},
}

PARTS: dict[str, Part] = {
    "rows": Part(
        "The layer over rows",
        f"rows N ({CLASSES} classes)",
        100,
        "Every row is drawn and differentiated by itself: time and memory are linear in N.",
        layer_curves(lambda n: (n, CLASSES)),
    ),
    "classes": Part(
        "The layer over classes",
        f"classes K ({ROWS} rows)",
        10,
        "A sample needs a random number, two logarithms and an exponential per class: time and memory are linear in K.",
        layer_curves(lambda n: (ROWS, n)),
    ),
    "vocabulary": Part(
        "Text over the vocabulary",
        f"vocabulary V ({BATCH} sentences of {LENGTH} tokens)",
        30,
        "Logits, samples and their embeddings have V entries per token: linear in V. Memory also has the gradient of "
        "the embedding and of the head.",
        {
            "roll-out, LSTM": Curve(lambda v: rollout_step("lstm", v, LENGTH)),
            "roll-out, transformer": Curve(lambda v: rollout_step("transformer", v, LENGTH)),
            "likelihood, LSTM": Curve(lambda v: likelihood_step("lstm", v, LENGTH)),
            "sampling, LSTM": Curve(lambda v: sample_step("lstm", v, LENGTH)),
        },
    ),
    "length": Part(
        "Text over its length",
        f"length T ({BATCH} sentences, vocabulary {VOCABULARY})",
        1,
        "An LSTM is linear in T. A transformer attends to all earlier tokens, so its work and what its backward pass "
        "keeps of a roll-out are quadratic; its matrices are linear, and are most of it at these lengths. A sample "
        "keeps keys and values of T tokens only.",
        {
            "roll-out, LSTM": Curve(lambda t: rollout_step("lstm", VOCABULARY, t)),
            "roll-out, transformer": Curve(lambda t: rollout_step("transformer", VOCABULARY, t), 2.0, 2.0),
            "likelihood, LSTM": Curve(lambda t: likelihood_step("lstm", VOCABULARY, t)),
            "likelihood, transformer": Curve(lambda t: likelihood_step("transformer", VOCABULARY, t), 2.0, 2.0),
            "sampling, transformer": Curve(lambda t: sample_step("transformer", VOCABULARY, t), 2.0, 1.0),
        },
    ),
    "codebook": Part(
        "Quantizers over the codebook",
        f"codes K ({VECTORS} vectors of width {DIM})",
        10,
        "A vector is compared with each of K codes: time is linear in K. Memory is that of the codebook's gradient or "
        "statistics, and for Gumbel codes the logits, linear too. FSQ rounds coordinates: nothing grows with K.",
        {
            **{name: Curve(partial(codebook_step, spec)) for name, spec in QUANTIZER_SPECS.items()},
            "fsq": Curve(partial(codebook_step, levels), 0.0, 0.0),
        },
    ),
    "samples": Part(
        "Expectations and bounds over samples",
        f"samples ({EXAMPLES} examples, {LATENTS} x {CATEGORIES} latents)",
        2,
        "Each sample is drawn and its cost evaluated once. Baselines of the others are sums that leave one out. All "
        "are linear in the number of samples.",
        {
            "expectation, gumbel_softmax": Curve(partial(expectation_step, "gumbel_softmax", {})),
            "expectation, leave_one_out": Curve(partial(expectation_step, "reinforce", {"baseline": "leave_one_out"})),
            "expectation, rebar": Curve(partial(expectation_step, "rebar", {})),
            "bound, gumbel_softmax": Curve(partial(bound_step, "gumbel_softmax")),
            "bound, vimco": Curve(partial(bound_step, "vimco")),
        },
    ),
}
