"""The LSTM stack: steps against whole sequences, dropout masks."""

from __future__ import annotations

import pytest
import torch
from gumbelzoo.models.networks.lstm import LSTMStack
from torch import Tensor


def make(dropout: float = 0.0) -> tuple[LSTMStack, Tensor]:
    torch.manual_seed(0)
    return LSTMStack(3, 5, layers=2, dropout=dropout), torch.randn(4, 6, 3)


def steps(stack: LSTMStack, x: Tensor) -> Tensor:
    state, features = stack.initial_state(len(x)), []
    for row in x.unbind(1):
        feature, state = stack.step(row, state)
        features.append(feature)
    return torch.stack(features, 1)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_lstm_steps_equal_the_whole(dropout: float) -> None:
    """With dropout too: the masks of the initial state are those of a whole sequence."""
    stack, x = make(dropout)
    results = []
    for function in (stack, lambda x: steps(stack, x)):
        torch.manual_seed(1)
        results.append(function(x))
    assert results[0].shape == (4, 6, 5)
    torch.testing.assert_close(results[0], results[1])
    assert torch.allclose(results[0], stack.eval()(x)) == (dropout == 0)


def test_lstm_dropout_mask_is_per_sequence() -> None:
    """A feature is dropped at every position of a sequence or at none."""
    stack, x = make(dropout=0.5)
    dropped = stack(x) == 0
    assert torch.equal(dropped.any(1), dropped.all(1)) and 0 < dropped.float().mean() < 1


def test_lstm_matches_torch() -> None:
    """Layers are those of ``nn.LSTM`` with the same weights."""
    stack, x = make()
    whole = torch.nn.LSTM(3, 5, num_layers=2, batch_first=True)
    names = {
        f"{i}.{name}_l0": f"{name}_l{i}" for i in range(2) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    whole.load_state_dict({names[name]: value for name, value in stack.state_dict().items()})
    torch.testing.assert_close(stack(x), whole(x)[0])


def test_every_lstm_weight_gets_gradient() -> None:
    stack, x = make(dropout=0.5)
    for output in (stack(x), steps(stack, x)):
        stack.zero_grad()
        output.square().sum().backward()
        for name, parameter in stack.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


@pytest.mark.parametrize("options", [{"layers": 0}, {"dropout": 1.0}, {"dropout": -0.1}])
def test_lstm_mistakes_name_the_fix(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"layers must be a whole number >= 1|dropout must be in \[0, 1\)"):
        LSTMStack(3, 5, **options)  # type: ignore[arg-type]
