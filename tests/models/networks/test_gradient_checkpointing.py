"""Gradient checkpointing of transformers: the same gradients, dropout included, and fewer features kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from gumbelzoo.models.networks.transformer import Transformer
from gumbelzoo.models.text.generators import GENERATORS
from gumbelzoo.models.vqvae.priors import CODE_NETWORKS
from gumbelzoo.vocabulary import Vocabulary
from torch import Tensor, nn


def transformer(**options: Any) -> tuple[nn.Module, Callable[[Any], Tensor]]:
    model = Transformer(width=8, depth=3, heads=2, dropout=0.2, **options)
    x = torch.randn(4, 10, 8, generator=torch.Generator().manual_seed(1))
    valid = torch.arange(10) < torch.tensor([10, 4, 7, 1])[:, None]
    return model, lambda model: model(x, valid=valid).square().sum()


def prior(name: str, **options: Any) -> tuple[nn.Module, Callable[[Any], Tensor]]:
    spec = {"name": name, "width": 8, "depth": 3, "heads": 2, "dropout": 0.2, **options}
    model = CODE_NETWORKS.build(spec, shape=(2, 3, 2), codebook_size=5, classes=2)
    codes = torch.randint(5, (4, 2, 3, 2), generator=torch.Generator().manual_seed(1))
    return model, lambda model: model.loss(codes, torch.tensor([0, 1, 1, 0]))


def text(**options: Any) -> tuple[nn.Module, Callable[[Any], Tensor]]:
    vocabulary = Vocabulary(["<eos>", "a", "b"])
    spec = {"name": "transformer", "width": 8, "depth": 3, "heads": 2, "dropout": 0.2, **options}
    model = GENERATORS.build(spec, vocabulary=vocabulary, max_length=5)
    tokens = torch.tensor([[1, 2, 1, 0, 0], [2, 2, 1, 1, 2]])
    return model, lambda model: -model.log_prob(tokens, vocabulary.lengths(tokens)).sum()


BUILDS: dict[str, Callable[..., tuple[nn.Module, Callable[[Any], Tensor]]]] = {
    "transformer": transformer,
    "code_transformer": lambda **options: prior("transformer", **options),
    "maskgit": lambda **options: prior("maskgit", **options),
    "text": text,
}


def step(build: Callable[..., Any], **options: Any) -> tuple[list[Tensor], Tensor, int]:
    """Gradients, the next random number, and the number of values that are kept for the backward pass."""
    torch.manual_seed(0)
    model, loss = build(**options)
    kept = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        value = loss(model)
    drawn = torch.rand(())
    value.backward()
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None], drawn, kept


@pytest.mark.parametrize("name", BUILDS)
def test_checkpointed_gradients_are_equal(name: str) -> None:
    """Bit for bit, and the random state after the step as well."""
    gradients, drawn, kept = step(BUILDS[name])
    again, drawn_again, kept_again = step(BUILDS[name], gradient_checkpointing=True)
    assert len(again) == len(gradients) > 20
    assert all(torch.equal(one, other) for one, other in zip(gradients, again, strict=True))
    assert drawn == drawn_again
    assert kept_again < kept / 2


def test_samples_are_drawn_with_a_cache() -> None:
    """Nothing is computed again where nothing is trained."""
    torch.manual_seed(0)
    model, _ = prior("transformer", gradient_checkpointing=True)
    codes = model.eval().sample(torch.tensor([0, 1]), lambda logits: logits.argmax(-1))
    assert codes.shape == (2, 2, 3, 2)
