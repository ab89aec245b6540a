"""The glimpse classifier: paths, controls, evaluation, releases, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gumbelzoo
import lightning as L
import pytest
import torch
from gumbelzoo.callbacks.figures import image_figures
from gumbelzoo.data import ClutterData, ImageData, SlateData
from gumbelzoo.models import GlimpseClassifier, GlimpseTransformer
from gumbelzoo.models.glimpse.places import PLACES
from gumbelzoo.models.glimpse.rollouts import draw_path, soft_logits
from gumbelzoo.models.relaxed.entropy_weight import decayed_entropy_weight
from torch import Tensor

QUIET = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
Scene = tuple[Tensor, Tensor, Tensor]
Make = Callable[..., GlimpseClassifier]


@pytest.fixture
def data() -> ClutterData:
    """Digits of 8 x 8 on 16 x 16, with two pieces of clutter."""
    return ClutterData("digits", side=16, pieces=2, piece=3, batch_size=50)


def fit(model: GlimpseClassifier, data: Any, steps: int) -> L.Trainer:
    trainer = L.Trainer(accelerator="cpu", max_steps=steps, max_epochs=-1, limit_val_batches=0, **QUIET)
    trainer.fit(model, data)
    return trainer


def test_no_choice_after_the_last_glimpse(make: Make, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many choices as glimpses, and the class depends on the last one: no log-probability without an effect."""
    model, asked = make(glimpses=3), []
    policy = model.network.places
    logits = policy.logits
    monkeypatch.setattr(policy, "logits", lambda *given: asked.append(given[2]) or logits(*given))
    path = draw_path(model.network, scene[0], 3, model.layer.sample)
    assert asked == [0, 1, 2] and path.log_probs.shape == path.codes.shape == (2, 3)
    fixed = iter(torch.tensor([[0, 0], [1, 1], [2, 2], [0, 0], [1, 1], [3, 3]]))
    one, other = (draw_path(model.network, scene[0], 3, lambda _: next(fixed)).logits for _ in range(2))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("places", [*PLACES.names(), "soft", "none"])
def test_evaluation_is_deterministic(places: str, make: Make, scene: Scene) -> None:
    """Places of evaluation are not drawn, and those of the random control are the same in each pass."""
    arguments = {"soft": {"soft": True}, "none": {"glimpses": 0}}.get(places, {"places": places})
    model = make(**arguments).eval()
    x, _, centre = scene
    batch = {"centre": centre}
    assert torch.equal(model.class_logits(x, batch), model.class_logits(x, batch))
    assert torch.equal(model.paths(x, centre), model.paths(x, centre))
    assert model.paths(x, centre).shape == (2, model.glimpses)


@pytest.mark.parametrize(
    "options",
    [
        *({"places": name} for name in PLACES),
        {"glimpses": 0},
        {"glimpses": 0, "estimator": "relax"},
        {"soft": True, "temperature": "learned"},
        {"soft": True, "estimator": "relax"},
    ],
    ids=str,
)
def test_every_trained_parameter_gets_gradient(options: dict[str, Any], make: Make, scene: Scene) -> None:
    """What a control does not read is not trained: several processes would wait for it."""
    model = make(**options)
    model.objective(*scene, 0.1)[0].backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad == (p.grad is None)]


def test_controls_look_where_they_should(make: Make) -> None:
    """The centre at the middle, the oracle at the nearest places in their order, random places everywhere."""
    x = torch.rand(50, 1, 6, 6)
    centre = torch.tensor([[1.5, 1.5], [4.5, 1.6]]).repeat(25, 1)
    oracle = make(places="oracle").paths(x, centre)
    assert oracle[:2].tolist() == [[0, 1], [2, 3]]
    assert make(places="centre", grid=3, window=2).paths(x).unique().tolist() == [4]
    assert make(places="random").paths(x).unique().tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="must be told where the object is"):
        make(places="oracle").paths(x)
    assert make(places="oracle").views(x) == {}


def test_blind_model_sees_its_windows_only(make: Make) -> None:
    """What is in no window of a path has no gradient, but for the coarse view."""
    model = make(scales=1, grid=2, window=3).eval()
    x = torch.rand(1, 1, 6, 6, requires_grad=True)
    state, windows = model.network.start(x)
    model.network.look(state.detach(), windows, torch.tensor([3])).sum().backward()
    assert x.grad is not None and not x.grad[..., :3, :].any() and not x.grad[..., :3].any() and x.grad.any()


def test_soft_glimpse_is_a_mixture(make: Make, scene: Scene) -> None:
    """Of a certain policy it is the hard one; its gradient reaches the policy without any estimator."""
    model, x = make(soft=True), scene[0]
    with torch.no_grad():
        for weight in model.network.places.parameters():
            weight.mul_(1000)
    logits, _ = soft_logits(model.network, x, 2)
    hard = draw_path(model.network, x, 2, model.layer.mode)
    torch.testing.assert_close(logits, hard.logits)
    loss, _ = make(soft=True).objective(*scene, 0.1)
    loss.backward()


def test_entropy_weight_falls_to_zero() -> None:
    assert [decayed_entropy_weight(0.4, step, 100) for step in (0, 50, 100, 101)] == [0.4, 0.2, 0.0, 0.0]
    assert decayed_entropy_weight(0.4, 10**6, float("inf")) == 0.4


@pytest.mark.parametrize(
    "arguments",
    [
        {"entropy": 0.05, "estimator": {"name": "reinforce", "samples": 2}},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"soft": True}, marks=pytest.mark.slow),
    ],
    ids=["reinforce", "straight through", "soft"],
)
def test_glimpses_learn(arguments: dict[str, Any]) -> None:
    """A hundred steps on small digits are far from chance, 0.9."""
    torch.manual_seed(0)
    model = GlimpseClassifier(glimpses=2, grid=2, window=6, hidden=32, optimizer={"learning_rate": 1e-2}, **arguments)
    data = ClutterData("digits", side=10, pieces=1, piece=2, batch_size=32)
    trainer = fit(model, data, 100)
    (found,) = trainer.test(model, data, verbose=False)
    assert found["test/error"] < 0.75 and found["test/seen"] > 0.3
    assert found["test/accuracy"] == pytest.approx(1 - found["test/error"])
    assert model.config()["image_shape"] == [1, 10, 10] and model.layer.step == 100


def test_seen_is_the_share_of_ink(make: Make) -> None:
    """The oracle of one large window sees the digit, and a window elsewhere nothing."""
    data = ClutterData("digits", side=30, pieces=0)
    model = GlimpseClassifier((1, 30, 30), glimpses=1, window=20, grid=11, places="oracle", hidden=4)
    trainer = L.Trainer(accelerator="cpu", **QUIET)
    (found,) = trainer.test(model, data, verbose=False)
    assert found["test/seen"] == pytest.approx(1)
    (less,) = trainer.test(
        GlimpseClassifier((1, 30, 30), glimpses=1, window=2, grid=3, places="centre", hidden=4), data, verbose=False
    )
    assert less["test/seen"] < 0.2


def test_trained_model_is_the_loaded_one(tmp_path: Path, data: ClutterData) -> None:
    """``config`` has the shape of the data; a release gives the same classes and text, which names known images."""
    model = GlimpseClassifier(glimpses=2, grid=3, window=6, hidden=8, estimator="reinmax")
    fit(model, data, 2)
    loaded = gumbelzoo.load(str(gumbelzoo.save_pretrained(model, tmp_path / "release")))
    x = torch.rand(20, 1, 16, 16)
    assert torch.equal(loaded.logits(x), model.eval().logits(x))
    lines = [one.sample(30, generator=torch.Generator().manual_seed(3)) for one in (model, loaded)]
    assert lines[0] == lines[1] and len(lines[0]) == 30 and model.examples.float().std() > 0
    number, _, rest = lines[0][0].removeprefix("image ").partition(": ")
    places, _, classes = rest.partition(" -> ")
    assert len(places.split()) == 2 and f"(label {int(model.example_labels[int(number)])})" in classes


def test_cold_samples_are_paths(make: Make) -> None:
    model = make().eval()
    model.examples.uniform_()
    for line in model.sample(20, temperature=1e-4):
        number, _, rest = line.removeprefix("image ").partition(": ")
        x = model.examples[int(number)][None]
        assert rest.startswith(f"{' '.join(map(str, model.paths(x)[0].tolist()))} -> {int(model.predict(x))} ")


def test_paths_are_drawn(make: Make) -> None:
    """The picture of a run has the images, the framed windows and what is in them."""
    figures = image_figures(make().eval(), torch.rand(11, 1, 6, 6), list(range(11)))
    assert set(figures) == {"views"} and figures["views"].shape[0] == 3
    names = set(make().views(torch.rand(2, 3, 6, 6)[:, :1]))
    assert names == {"glimpses", "seen"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"places": "everywhere"}, "unknown choice of places"),
        ({"estimator": "reinforced"}, "unknown estimator"),
        ({"grid": 100}, "grid must be at most 64"),
        ({"image_shape": (1, 2000, 6)}, "sides of at most"),
        ({"grid": 64, "window": 1000}, "more than 2\\^28 numbers for images of 6 x 6"),
        ({"scales": 6, "window": 1000}, "more than 2\\^28 numbers"),
        ({"grid": 64, "image_shape": (1, 1000, 1000)}, "more than 2\\^28 numbers"),
        ({"entropy": -1.0}, "entropy"),
        ({"glimpses": 10, "estimator": "exact", "image_shape": None}, r"needs 5 evaluations .* 5\^10 in all"),
    ],
)
def test_bad_glimpse_classifier_raises(arguments: dict[str, Any], message: str, make: Make) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_other_data_is_refused(make: Make) -> None:
    """Slates, images of another shape or without labels; and nothing to build from."""
    with pytest.raises(ValueError, match="use --data=images"):
        fit(make(), SlateData(), 1)
    with pytest.raises(ValueError, match=r"the data has \(1, 8, 8\)"):
        fit(make(classes=10), ImageData("digits"), 1)
    with pytest.raises(ValueError, match="must have 'label'"):
        fit(GlimpseClassifier(hidden=4), ImageData.from_arrays(torch.rand(50, 8, 8), batch_size=10), 1)
    with pytest.raises(ValueError, match="train it on images"):
        GlimpseClassifier().predict(torch.rand(1, 1, 6, 6))
    for model in (GlimpseClassifier(), GlimpseTransformer()):
        with pytest.raises(ValueError, match="train it on images"):
            model.views(torch.rand(1, 1, 6, 6))
    with pytest.raises(ValueError, match="takes images of shape"):
        make().predict(torch.rand(1, 1, 7, 7))
