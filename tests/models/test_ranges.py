"""Every number that a constructor takes has a range, and a value outside of it is refused by the argument's name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, get_type_hints

import jaxtyping
import numpy as np
import pytest
import torch
from gumbelzoo.models import MODELS
from gumbelzoo.models.attention.attentions import ATTENTIONS
from gumbelzoo.models.base import OptimizerConfig
from gumbelzoo.models.gates.base import GATES
from gumbelzoo.models.gates.costs import GATE_COSTS
from gumbelzoo.models.gates.networks import GATED_NETWORKS
from gumbelzoo.models.gates.selectors import SELECTORS
from gumbelzoo.models.glimpse.localizers import LOCALIZERS
from gumbelzoo.models.glimpse.transforms import TRANSFORMS
from gumbelzoo.models.inputs import check_image_shape
from gumbelzoo.models.networks.convolutional import GRID_DECODERS, GRID_ENCODERS
from gumbelzoo.models.networks.image import DECODERS, ENCODERS
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.relaxed import ESTIMATORS, SCHEDULES, RelaxedCategorical, RelaxedSubset
from gumbelzoo.models.relaxed.baselines import BASELINES
from gumbelzoo.models.relaxed.subset.estimator import SUBSET_ESTIMATORS
from gumbelzoo.models.slate.base import SLATE_OBJECTIVES
from gumbelzoo.models.text.arguments import Pretraining
from gumbelzoo.models.text.discriminators import DISCRIMINATORS
from gumbelzoo.models.text.domain_rewards.base import DOMAIN_REWARDS
from gumbelzoo.models.text.generators import GENERATORS
from gumbelzoo.models.text.objectives import OBJECTIVES
from gumbelzoo.models.text.objectives.adversarial import Adversary
from gumbelzoo.models.text.vae import LATENTS, MATCHINGS, PRIORS, GRUConfig
from gumbelzoo.models.vqvae.likelihoods import LIKELIHOODS
from gumbelzoo.models.vqvae.priors import CODE_NETWORKS
from gumbelzoo.ranges import check_most, check_sizes
from gumbelzoo.registry import Registry
from gumbelzoo.vocabulary import Vocabulary

TEXT: dict[str, Any] = {"vocabulary": Vocabulary(["<eos>", "a", "b"]), "max_length": 5}
VQVAE = {"image_shape": [1, 8, 8], "dim": 4, "quantizer": {"name": "fsq", "levels": [2, 2]}}
CONTEXTS: list[tuple[Registry[Any], dict[str, Any]]] = [
    (ESTIMATORS, {"event_shape": (2, 2)}),
    (QUANTIZERS, {"dim": 4, "positions": 4}),
    (LIKELIHOODS, {"channels": 1}),
    (ENCODERS, {"image_shape": (1, 8, 8), "features": 4}),
    (DECODERS, {"image_shape": (1, 8, 8), "features": 4}),
    (GRID_ENCODERS, {"image_shape": (1, 8, 8), "dim": 4}),
    (GRID_DECODERS, {"image_shape": (1, 8, 8), "dim": 4, "outputs": 1}),
    (CODE_NETWORKS, {"shape": (2, 2, 1), "codebook_size": 4, "classes": 2}),
    (GENERATORS, TEXT),
    (DISCRIMINATORS, TEXT),
    (OBJECTIVES, {**TEXT, "domain_reward": {"name": "token_share", "tokens": ["a"]}}),
    (LATENTS, {}),
    (MATCHINGS, {"width": 4}),
    (PRIORS, {"latents": 2, "categories": 3}),
    (SLATE_OBJECTIVES, {"items": 4, "slots": 2, "user_width": 3}),
    (ATTENTIONS, {"max_lengths": (4, 4)}),
    (LOCALIZERS, {"image_shape": (1, 8, 8), "transform": TRANSFORMS.build("affine")}),
    (GATES, {"channels": 4}),
    (SELECTORS, {"channels": 4}),
    (GATE_COSTS, {"prices": torch.full((4,), 0.25)}),
    (GATED_NETWORKS, {"image_shape": (1, 28, 28), "classes": 3}),
    (SUBSET_ESTIMATORS, {"k": 2}),
    (BASELINES, {"event_shape": (2, 2)}),
    (DOMAIN_REWARDS, {}),
]
MODEL_ARGUMENTS: dict[str, dict[str, Any]] = {"code_prior": {"vqvae": VQVAE}, "text_gan": TEXT, "text_vae": TEXT}
# Arguments for which 0 has a meaning: none of it, or no limit.
ZERO = {
    *(
        "residual_blocks",
        "top_kernel",
        "code_prior.classes",
        "text_gan.classes",
        "text_vae.classes",
        "glimpse_classifier.glimpses",
        "kmeans_batches",
        "warmup",
        "beta_warmup",
    ),
    *("reverse_steps", "pretraining.steps", "pretraining.discriminator_steps", "organ.memory", "organ_gumbel.memory"),
}
# Weights of a control variate, which are learned, and numbers of channels, from 0 on, which have a test of their own.
ANY_SIGN = {"rebar.scale", "relax.scale", "fixed.open"}


def owners() -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Every part and every model by name, and what its caller fills in."""
    for registry, context in CONTEXTS:
        for name in registry:
            known = inspect.signature(registry[name]).parameters
            yield name, registry[name], {key: value for key, value in context.items() if key in known}
    for name in SCHEDULES:
        yield name, partial(schedule, name), {}
    for name in MODELS:
        yield name, MODELS[name], MODEL_ARGUMENTS.get(name, {})
    groups = {"optimizer": OptimizerConfig, "pretraining": Pretraining, "adversary": Adversary}
    groups["encoder"] = GRUConfig
    for name, kind in groups.items():
        yield name, kind, {}


def schedule(name: str, **arguments: Any) -> RelaxedCategorical:
    """Build a layer with a temperature schedule."""
    return RelaxedCategorical(temperature={"name": name, **arguments})


def out_of_range(name: str, argument: str, hint: Any, default: Any) -> list[Any]:
    """Values of an argument that no constructor takes."""
    numbers = [value for value in (default if isinstance(default, tuple) else [default]) if not isinstance(value, bool)]
    text = str(hint)
    if {argument, f"{name}.{argument}"} & ANY_SIGN or "bool" in text or "str" in text:
        return []
    if "Sequence[int]" in text or (isinstance(default, tuple) and all(type(value) is int for value in numbers)):
        return [[0], [-1], [8, 0]]
    if re.search(r"\bint\b", text):
        return [-1] if {argument, f"{name}.{argument}"} & ZERO else [0, -1]
    return [-1.0, float("nan"), float("inf")] if "float" in text else []


def of_another_type(name: str, argument: str, hint: Any, default: Any) -> list[Any]:
    """Numbers as some readers of YAML give them: 1e-3 is a text, and 8.0 no size."""
    found = {int: 2.5, list: [8, 2.5], float: "1e-3"}
    return [found[kind] for kind in dict.fromkeys(map(type, out_of_range(name, argument, hint, default)))]


Values = Callable[[str, str, Any, Any], list[Any]]


def cases(
    name: str, kind: Callable[..., Any], context: dict[str, Any], values: Values = out_of_range
) -> Iterator[tuple[str, Any]]:
    """Arguments of a part or a model, with bad values."""
    entry: Any = SCHEDULES[name] if isinstance(kind, partial) else kind
    hints = get_type_hints(entry if inspect.isfunction(entry) else entry.__init__)
    for argument, parameter in inspect.signature(entry).parameters.items():
        # What the caller fills in, its own arguments decide.
        if argument not in context or name in MODELS:
            for bad in values(name, argument, hints.get(argument), parameter.default):
                yield argument, bad


OWNERS = list(owners())


@pytest.mark.parametrize(("name", "kind", "context"), OWNERS, ids=[owner[0] for owner in OWNERS])
def test_numbers_out_of_range_are_named(name: str, kind: Callable[..., Any], context: dict[str, Any]) -> None:
    """Nothing is built that trains a dead network, or that fails later in another library's words."""
    for argument, bad in cases(name, kind, context):
        with pytest.raises(ValueError, match=rf"\b{argument}\b") as caught:
            kind(**{**context, argument: bad})
        assert "\n" not in str(caught.value)


TYPED = [owner for owner in OWNERS if not isinstance(owner[1], partial)]  # steps of a schedule may be 1e4, a float


@pytest.mark.parametrize(("name", "kind", "context"), TYPED, ids=[owner[0] for owner in TYPED])
def test_numbers_of_another_type_are_named(
    name: str, kind: Callable[..., Any], context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a user, whose annotations are not checked."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for argument, bad in cases(name, kind, context, of_another_type):
        with pytest.raises(ValueError, match=rf"\b{argument}\b") as caught:
            kind(**{**context, argument: bad})
        assert "\n" not in str(caught.value)


def test_range_table_has_cases() -> None:
    """The table does not run empty when annotations change."""
    assert sum(len(list(cases(*owner))) for owner in OWNERS) > 300


@pytest.mark.parametrize("width", [1.0, True, "8", None, [8, 2.5]])
def test_sizes_are_whole(width: Any) -> None:
    """A float or a switch in a part's options is refused before a network is built."""
    with pytest.raises(ValueError, match=r"width must be .*whole number"):
        check_sizes(width=width)


def test_whole_numbers_of_numpy_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes come from shapes and counts of arrays too."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    two = np.int64(2)
    assert check_image_shape(np.array([1, 8, 8])) == (1, 8, 8)
    assert GATES.build({"name": "fixed", "open": [two]}, channels=4).mode(torch.zeros(4)).tolist() == [0, 0, 1, 0]
    assert RelaxedSubset(two)(torch.zeros(3)).sum() == 2
    layer = RelaxedCategorical({"name": "gumbel_rao", "samples": two, "inner_samples": two})
    assert layer.expectation(torch.zeros(5, 3), lambda z: z[..., 0]).shape == (5,)


@pytest.mark.parametrize("size", [5, [1, 5]])
def test_largest_sizes(size: Any) -> None:
    check_most(5, width=size, none=[])
    with pytest.raises(ValueError, match=re.escape(f"width must be at most 4, got {size}")):
        check_most(4, depth=4, width=size)


def sequences(name: str, kind: Callable[..., Any], context: dict[str, Any]) -> Iterator[str]:
    """Arguments that take several sizes."""
    yield from dict.fromkeys(argument for argument, bad in cases(name, kind, context) if bad == [8, 0])


SEQUENCES = [(*owner, argument) for owner in OWNERS for argument in sequences(*owner)]


@pytest.mark.parametrize(
    ("name", "kind", "context", "argument"), SEQUENCES, ids=[f"{owner[0]}.{owner[3]}" for owner in SEQUENCES]
)
def test_no_sizes_at_all(name: str, kind: Callable[..., Any], context: dict[str, Any], argument: str) -> None:
    """An empty list is a network without such layers, or refused by the argument's name."""
    message = argument
    try:
        kind(**{**context, argument: []})
    except ValueError as error:
        message = str(error)
    assert re.search(rf"\b{argument}\b", message) and "\n" not in message
