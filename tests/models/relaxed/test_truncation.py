"""Top-k, nucleus and temperature against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from gumbelzoo.models.relaxed.truncation import truncate

P = torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.25, 0.25, 0.4, 0.1]])
LOGITS = P.log() + 3.0  # unnormalised


def kept(**options: float) -> list[list[int]]:
    rows = truncate(LOGITS, **options).isfinite()  # type: ignore[arg-type]
    return [row.nonzero().flatten().tolist() for row in rows]


def test_top_k_keeps_the_most_probable() -> None:
    assert kept(top_k=1) == [[1], [2]]
    assert kept(top_k=3) == [[1, 2, 3], [0, 1, 2]]
    assert kept(top_k=4) == kept(top_k=9) == kept() == [[0, 1, 2, 3]] * 2


def test_top_k_keeps_ties() -> None:
    assert kept(top_k=2)[1] == [0, 1, 2]


def test_top_p_keeps_the_fewest_that_reach_it() -> None:
    assert kept(top_p=1e-9) == [[1], [2]]
    assert kept(top_p=0.49) == [[1], [0, 2]]
    assert kept(top_p=0.7) == [[1, 3], [0, 1, 2]]
    assert kept(top_p=0.95) == kept(top_p=1.0) == [[0, 1, 2, 3]] * 2


def test_top_p_after_top_k() -> None:
    assert kept(top_k=2, top_p=0.66)[0] == [1]  # 0.5 / 0.75 > 0.66
    assert kept(top_k=2, top_p=0.67)[0] == [1, 3]


def test_kept_classes_keep_their_odds() -> None:
    p = truncate(LOGITS, top_p=0.9, temperature=0.5).softmax(-1)
    assert p[0, 2] == 0
    assert p[0, 1] / p[0, 3] == pytest.approx((0.5 / 0.25) ** 2, rel=1e-5)


def test_temperature_applies_first() -> None:
    assert kept(top_p=0.6)[0] == [1, 3]
    assert kept(top_p=0.6, temperature=0.5)[0] == [1]  # 0.25 of 0.345


def test_masked_classes_stay_masked() -> None:
    logits = LOGITS.clone()
    logits[:, 1] = -math.inf
    for options in ({"top_k": 3}, {"top_p": 1.0}, {"top_k": 4, "top_p": 0.99}):
        assert truncate(logits, **options)[:, 1].isneginf().all()  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}, {"temperature": 0.0}], ids=str)
def test_bad_arguments_raise(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        truncate(LOGITS, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_at_a_low_temperature_is_finite(dtype: torch.dtype) -> None:
    """Logits of float16 end at 65,504."""
    logits = torch.tensor([10.0, 5.0, 0.0])
    assert torch.equal(truncate(logits.to(dtype), temperature=1e-4), truncate(logits, temperature=1e-4))
