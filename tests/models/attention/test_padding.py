"""Padding that all rows of a batch share: it is cut, and changes no figure."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gumbelzoo.models import AttentionSeq2Seq
from gumbelzoo.models.attention.padding import needs_all_places, trim
from gumbelzoo.vocabulary import Vocabulary
from torch import Tensor

LETTERS = Vocabulary(["<eos>", "a", "b", "c"], level="character")
PADDED = {
    "source": torch.tensor([[1, 2, 0, 0, 0, 0], [3, 2, 1, 0, 0, 0]]),
    "source_length": torch.tensor([3, 4]),
    "target": torch.tensor([[1, 0, 0, 0, 0], [2, 1, 0, 0, 0]]),
    "target_length": torch.tensor([2, 3]),
    "alignment": torch.tensor([[1, -1, -1, -1, -1], [0, 2, -1, -1, -1]]),
}


def make(**options: Any) -> AttentionSeq2Seq:
    torch.manual_seed(0)
    return AttentionSeq2Seq(LETTERS, LETTERS, (6, 5), width=8, **options)


def test_trim_leaves_the_longest_row() -> None:
    """Both sides are as long as their longest row, and an unknown alignment stays unknown."""
    cut = trim(PADDED, sources=True)
    assert {name: rows.shape[1:] for name, rows in cut.items() if rows.ndim > 1} == {
        "source": (4,),
        "target": (3,),
        "alignment": (3,),
    }
    assert trim(PADDED, sources=False)["source"] is PADDED["source"]
    assert "alignment" not in trim({k: v for k, v in PADDED.items() if k != "alignment"}, sources=True)


@pytest.mark.parametrize("attention", ["marginal", "soft", "uniform", "fixed"])
@pytest.mark.parametrize("encoder", ["embedding", "bilstm"])
def test_padding_changes_no_loss(encoder: str, attention: str) -> None:
    """The loss of a padded batch is that of one without padding, and so are its gradients."""
    model = make(encoder=encoder, attention=attention)
    losses, gradients = [], []
    for batch in (PADDED, trim(PADDED, sources=True)):
        model.zero_grad()
        scores, values, log_prob, steps = model.network(batch)
        whole = model.network.attention.objective(scores, values, log_prob, steps)
        losses.append(-(whole * steps).sum() / steps.sum())
        losses[-1].backward()
        gradients.append([weight.grad.clone() for weight in model.parameters() if weight.grad is not None])
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(losses[0], model.training_metrics(PADDED)["loss"])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("estimator", ["relax", "unordered", {"name": "reinforce", "baseline": "learned"}])
def test_some_estimators_see_all_places(estimator: Any) -> None:
    """A surrogate, a baseline or draws without replacement are built for one number of places, and get all of them."""
    seen: list[int] = []
    model = make(attention={"name": "bound", "estimator": estimator})

    def keep(module: torch.nn.Module, given: tuple[dict[str, Tensor]]) -> None:
        seen.append(given[0]["source"].shape[1])

    model.network.register_forward_pre_hook(keep)
    model.training_metrics(PADDED)["loss"].backward()
    make_marginal = make()
    make_marginal.network.register_forward_pre_hook(keep)
    make_marginal.training_metrics(PADDED)
    assert seen == [6, 4]


def test_own_estimator_of_one_size_sees_all_places() -> None:
    """Weights that are no single number may be built for one number of places, whatever their name."""
    attention = make().network.attention
    assert not needs_all_places(attention)
    attention.layer.scale = torch.nn.Parameter(torch.tensor(1.0))
    assert not needs_all_places(attention)
    attention.layer.own = torch.nn.Parameter(torch.zeros(6))
    assert needs_all_places(attention)


@pytest.mark.parametrize("samples", [4, 10])
def test_many_samples_before_the_data(samples: int) -> None:
    """Without a vocabulary the options are checked for a size that every one of them can have."""
    AttentionSeq2Seq(attention={"name": "bound", "estimator": {"name": "unordered", "samples": samples}})
