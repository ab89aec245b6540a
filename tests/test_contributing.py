"""CONTRIBUTING.md: its example of an estimator is run as it stands."""

import re
from pathlib import Path

import pytest
import torch
from gumbelzoo.models.relaxed import ESTIMATORS, RelaxedCategorical
from gumbelzoo.models.vae.categorical import CategoricalVAE

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()


def test_the_example_is_an_estimator_that_trains_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.setattr(ESTIMATORS, "_entries", dict(ESTIMATORS._entries))  # forgotten after the test
    known = set(ESTIMATORS.names())
    exec(compile(example, "CONTRIBUTING.md", "exec"), {"__name__": "example"})
    (name,) = set(ESTIMATORS.names()) - known
    mask = torch.tensor([True, False, True])
    assert (RelaxedCategorical(name)(torch.randn(100, 3), mask=mask).sum(0) > 0).equal(mask)
    model = CategoricalVAE(image_shape=(1, 4, 4), latents=2, categories=3, hidden=(8,), estimator=name)
    model.training_metrics({"image": torch.rand(16, 1, 4, 4).round()})["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.encoder.parameters())
