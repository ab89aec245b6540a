"""Size and labels of the pictures that commands write, and what `fit` offers next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gumbelzoo.callbacks import figures
from gumbelzoo.train import main
from PIL import Image

COMMANDS = {
    "sample": ["sample", "vae", "-n", "6"],
    "reconstruct": ["reconstruct", "vae", "-n", "6"],
    "interpolate": ["interpolate", "vae", "-n", "6", "--steps", "2"],
    "decode": ["decode", "vae", "codes.npz"],
}


def size(picture: str) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


@pytest.mark.parametrize("command", COMMANDS)
def test_scale_columns_and_no_labels(command: str, vae: Path) -> None:
    """Two columns of 8 x 8 images, each pixel three times as large, without a margin."""
    np.savez("codes.npz", codes=np.zeros((6, 3), np.int64))
    options = ["--scale", "3", "--columns", "2", "--out", "out.png"]
    assert main([*COMMANDS[command], *options, "--no_labels"]) == 0
    across, down = {"reconstruct": (2, 6), "interpolate": (8, 3)}.get(command, (2, 3))
    gap = 12 * (command == "reconstruct") * 2  # between pairs of rows
    assert size("out.png") == (across * 28 + 4, down * 28 + 4 + gap)
    assert main([*COMMANDS[command], *options]) == 0
    assert size("out.png")[1] > down * 28 + 4 + gap


def test_default_pictures_can_be_read(vae: Path) -> None:
    """Images of 8 x 8 pixels fill a page."""
    for command, minimum in {"sample": 900, "reconstruct": 1000, "interpolate": 1100}.items():
        assert main([command, "vae", "--out", f"{command}.png"]) == 0
        assert minimum <= size(f"{command}.png")[0] <= 1250, command


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scale", "0"], "--scale must be >= 1"),
        (["--columns", "-2"], "--columns must be >= 1"),
        (["--scale", "5000"], "change -n, --columns or --scale"),
        (["--scale", str(10**9)], "too large a picture"),
        (["-n", "9000", "--columns", "1"], "16,000 on a side"),
    ],
)
def test_impossible_size_is_refused(options: list[str], message: str, vae: Path, capfd: pytest.CaptureFixture) -> None:
    for command in ("sample", "interpolate"):
        if "-n" not in options or command == "sample":
            assert main([command, "vae", *options]) == 2
            error = capfd.readouterr().err
            assert message in error and len(error.splitlines()) == 1
    assert not list(Path().glob("*.png"))


def test_next_commands_are_those_of_the_model(workspace: Path, capfd: pytest.CaptureFixture) -> None:
    """A classifier neither samples nor reconstructs."""
    model = ["--model=classifier", "--model.image_shape=[1,8,8]", "--model.classes=10"]
    data = ["--data=images", "--data.name=digits", "--trainer.accelerator=cpu"]
    assert main(["fit", *model, *data, "--trainer.max_steps=1"]) == 0
    printed = capfd.readouterr().out.partition("next")[2]
    assert " test runs/" in printed and " export runs/" in printed
    assert "sample" not in printed and "reconstruct" not in printed


def test_completions_show_probabilities_and_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drawn halves are zeros and ones with the probabilities shown beside them, below the given half."""
    import gumbelzoo
    import torch

    model = gumbelzoo.create_model("structured_prediction", image_shape=[1, 8, 8], latents=2, categories=2)
    shown = {}
    monkeypatch.setattr(figures, "completion_grid", lambda *parts: shown.update(parts=parts) or torch.zeros(3, 1, 1))
    figures.image_figures(model.eval(), torch.full((8, 1, 8, 8), 0.5))
    images, completions, drawn = shown["parts"]
    assert completions.shape == drawn.shape == (figures.COMPLETIONS, len(images), 1, 8, 8)
    assert torch.equal(drawn[..., :4, :], images[None, ..., :4, :].expand_as(drawn[..., :4, :]))
    lower, probabilities = drawn[..., 4:, :], completions[..., 4:, :]
    assert set(lower.unique().tolist()) == {0.0, 1.0} and not set(probabilities.unique().tolist()) <= {0.0, 1.0}
    assert float((lower - probabilities).mean()) == pytest.approx(0, abs=0.05)


def test_own_logger_is_beside_ours(workspace: Path) -> None:
    """It takes neither ``metrics.csv`` nor the curves away."""
    own = ["--trainer.logger=CSVLogger", "--trainer.logger.save_dir=own", "--trainer.max_steps=20"]
    assert main(["fit", "--config", "tiny.yaml", *own]) == 0
    assert len(list(Path("own").rglob("metrics.csv"))) == 1
    run = Path("runs/tiny/1")
    assert "train/elbo" in (run / "metrics.csv").read_text().splitlines()[0]
    assert (run / "figures/curves.png").is_file()
