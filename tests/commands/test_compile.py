"""``fit --compile``: the same training up to rounding, and checkpoints that load either way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from gumbelzoo.commands.training import speed
from gumbelzoo.pretrained.run import read_checkpoint
from gumbelzoo.train import main
from torch import Tensor

FIT = ["fit", "--config", "tiny.yaml", "--trainer.enable_progress_bar=false"]


def weights(run: str) -> dict[str, Tensor]:
    return read_checkpoint(Path("runs/tiny") / run / "checkpoints/last.ckpt")["state_dict"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # of the compiler
@pytest.mark.usefixtures("workspace")
def test_compiled_run_is_the_eager_one() -> None:
    """Weights after some steps are equal to rounding, under the same names; a run in turn goes on without it."""
    torch._dynamo.reset()
    assert main([*FIT, "--trainer.max_steps=4", "--name=eager"]) == 0
    assert main([*FIT, "--trainer.max_steps=4", "--name=compiled", "--compile=true"]) == 0
    eager, compiled = weights("eager"), weights("compiled")
    assert list(eager) == list(compiled)
    for name in eager:
        torch.testing.assert_close(compiled[name], eager[name], rtol=1e-3, atol=1e-5)
    assert main(["test", "runs/tiny/compiled"]) == 0


def test_networks_are_compiled(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(type(module).__name__))
    assert main([*FIT, "--trainer.max_steps=1", "--compile=true"]) == 0
    assert len(compiled) == 2


def test_model_without_networks_is_refused(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is a machine without a compiler, both before a run is made."""
    assert main(["fit", "--config", "textgan_grammar", "--compile=true"]) == 2
    assert "text_gan has none, leave it out" in capsys.readouterr().err
    monkeypatch.setattr(speed.shutil, "which", lambda name: None)
    assert main([*FIT, "--compile=true"]) == 2
    assert "--compile needs a C++ compiler" in capsys.readouterr().err
    assert not Path("runs").exists()
