"""The spatial transformer: its warp, its start at the identity, and what is classified."""

from __future__ import annotations

import math
from pathlib import Path

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.callbacks.figures import image_figures
from gumbelzoo.data import ClutterData
from gumbelzoo.models import GlimpseTransformer
from gumbelzoo.models.glimpse.localizers import LOCALIZERS, soft_argmax, start_at_zero
from gumbelzoo.models.glimpse.transforms import TRANSFORMS, warp
from torch import nn

QUIET = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)


@pytest.mark.parametrize("localizer", LOCALIZERS.names())
@pytest.mark.parametrize("name", TRANSFORMS.names())
def test_transformer_starts_at_the_identity(name: str, localizer: str) -> None:
    """Before training the warped image is the image itself, for odd and unequal sides too."""
    x = torch.rand(3, 2, 9, 12)
    model = GlimpseTransformer((2, 9, 12), transform=name, localizer=localizer)
    torch.testing.assert_close(model.warped(x), x, rtol=0, atol=1e-5)
    assert GlimpseTransformer((2, 9, 12), window=5).warped(x).shape == (3, 2, 5, 5)


@pytest.mark.parametrize("name", TRANSFORMS.names())
def test_coordinates_are_float32_in_mixed_precision(name: str) -> None:
    """The seven bits of bfloat16 would blur the identity, and move what a soft argmax finds."""
    x = torch.rand(2, 1, 60, 60)
    model = GlimpseTransformer((1, 60, 60), transform=name, localizer="soft_argmax")
    numbers = torch.full((1, model.transform.numbers), 0.003, dtype=torch.bfloat16)
    scores = torch.randn(3, 40, 40).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model.warped(x), x, rtol=0, atol=1e-4)
        theta, found = model.transform(numbers), soft_argmax(scores)
    torch.testing.assert_close(theta, model.transform(numbers.float()))
    torch.testing.assert_close(found, soft_argmax(scores.float()))


def test_soft_argmax_is_the_middle_of_the_highest_score() -> None:
    """In the coordinates of a warp, where the outer edges of an image are -1 and 1; (x, y), for unequal sides too."""
    scores = torch.zeros(2, 3, 4)
    scores[0, 2, 0] = scores[1, 1, 3] = 100.0
    torch.testing.assert_close(soft_argmax(scores), torch.tensor([[-0.75, 2 / 3], [0.75, 0.0]]))
    torch.testing.assert_close(soft_argmax(torch.ones(1, 3, 4)), torch.zeros(1, 2))


@pytest.mark.parametrize("name", TRANSFORMS.names())
def test_soft_argmax_moves_the_window_to_the_object(name: str) -> None:
    """With features that are the image and a score that is large where it is bright, the object is in the middle."""
    x = torch.zeros(2, 1, 8, 8)
    x[0, 0, 1, 6] = x[1, 0, 5, 2] = 1.0
    localizer = LOCALIZERS.build("soft_argmax", image_shape=(1, 8, 8), transform=TRANSFORMS.build(name))
    localizer.features, localizer.coarse = nn.Identity(), 1
    localizer.regression = nn.Sequential(nn.Flatten(), start_at_zero(nn.Linear(64, TRANSFORMS[name].numbers)))
    localizer.score = start_at_zero(nn.Conv2d(1, 1, 3, padding=1, bias=False))
    with torch.no_grad():
        localizer.score.weight[..., 1, 1] = 100.0
    warped = warp(x, TRANSFORMS.build(name)(localizer(x)))
    middle = warped[:, 0, 3:5, 3:5]  # of an even side, the object is spread over four pixels
    torch.testing.assert_close(middle, torch.full_like(middle, 0.25))
    torch.testing.assert_close(localizer(torch.zeros(1, 1, 8, 8)), torch.zeros(1, TRANSFORMS[name].numbers))


@pytest.mark.parametrize("background", [-0.42, 0.0, 1.0])
def test_background_stays_when_zoomed_out(background: float) -> None:
    """Of a normalised image, whose background is -mean / std, there is no bright frame: zeros would be a border."""
    x = torch.full((1, 1, 12, 12), background)
    x[..., 4:8, 4:8] = 2.0
    out = warp(x, torch.tensor([[[3.0, 0.0, 0.5], [0.0, 3.0, 0.0]]]))
    assert float(out[..., 0, :].max()) == pytest.approx(background) == float(out[..., -1, :].min())
    assert float(out.amin()) == pytest.approx(background) and float(out.amax()) > background


def test_gradient_of_the_transform() -> None:
    """Of the matrix and of the image, by finite differences."""
    torch.manual_seed(0)
    x = torch.rand(2, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    theta = torch.tensor([[[0.7, 0.1, 0.05], [-0.1, 0.8, 0.03]]], dtype=torch.float64).repeat(2, 1, 1)
    assert torch.autograd.gradcheck(warp, (x, theta.requires_grad_()), eps=1e-7, atol=1e-4)


def test_attention_never_turns() -> None:
    """Scale and shift only; the affine transform has all six numbers."""
    theta = TRANSFORMS["attention"]()(torch.tensor([[math.log(0.5), 0.2, -0.3]]))
    torch.testing.assert_close(theta[0], torch.tensor([[0.5, 0.0, 0.2], [0.0, 0.5, -0.3]]))
    raw = torch.arange(6.0)[None]
    assert TRANSFORMS["affine"]()(raw).flatten().tolist() == [1.0, 1.0, 2.0, 3.0, 5.0, 5.0]


def test_warped_image_is_what_is_classified() -> None:
    """A shift of the transform changes the logits, which depend on the warped image alone."""
    model, x = GlimpseTransformer((1, 12, 12), window=6).eval(), torch.rand(2, 1, 12, 12)
    before = model.logits(x)
    with torch.no_grad():
        model.localizer.regression[-1].bias.copy_(torch.tensor([-0.5, 0.0, 0.4, 0.0, -0.5, 0.4]))
    assert not torch.allclose(model.logits(x), before, atol=1e-4)
    torch.testing.assert_close(model.logits(x), model.network(model.warped(x)))
    hidden = x.clone()
    hidden[..., :3, :3] = 0.0  # outside of the window
    with torch.no_grad():
        for weight in model.localizer.features.parameters():
            weight.zero_()
    torch.testing.assert_close(model.logits(hidden), model.logits(x))


@pytest.mark.parametrize("localizer", LOCALIZERS.names())
def test_every_transformer_parameter_learns(localizer: str) -> None:
    """After the first step the localizer learns too; its last layers start at 0."""
    torch.manual_seed(0)
    model = GlimpseTransformer((1, 12, 12), window=6, localizer=localizer)
    batch = {"image": torch.rand(32, 1, 12, 12), "label": torch.arange(32) % 10}
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model.training_metrics(batch)["loss"].backward()
        optimizer.step()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.any(), name


def test_transformer_learns_and_is_released(tmp_path: Path) -> None:
    """A hundred steps on small digits are far from chance; a release gives the same classes, text and pictures."""
    torch.manual_seed(0)
    data = ClutterData("digits", side=10, pieces=1, piece=2, batch_size=50)
    model = GlimpseTransformer(window=8, optimizer={"learning_rate": 1e-2})
    trainer = L.Trainer(accelerator="cpu", max_steps=120, max_epochs=-1, limit_val_batches=0, **QUIET)
    trainer.fit(model, data)
    (found,) = trainer.test(model, data, verbose=False)
    assert found["test/error"] < 0.75 and model.theta(torch.rand(1, 1, 10, 10)).sub(torch.eye(2, 3)).abs().max() > 0.01
    loaded, x = gumbelzoo.load(str(gumbelzoo.save_pretrained(model, tmp_path / "release"))), torch.rand(9, 1, 10, 10)
    assert torch.equal(loaded.logits(x), model.eval().logits(x))
    lines = [one.sample(5, generator=torch.Generator().manual_seed(0)) for one in (model, loaded)]
    assert lines[0] == lines[1] and all("(label " in line for line in lines[0])
    assert set(image_figures(model, x, [0] * 9)) == {"views"}
