"""Each mistake of a user ends in one or two lines on stderr and the right exit code; ``--debug`` shows the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gumbelzoo
import pytest
import torch
from gumbelzoo.commands import runs
from gumbelzoo.train import main

FIT = ["fit", "--config", "tiny.yaml"]

MISTAKES = {
    "no command of that name": (["fti"], 2, "did you mean 'fit'?"),
    "nothing to fit": (["fit"], 2, "--config configs/catvae_digits.yaml"),
    "missing configuration": (["fit", "--config", "nope.yaml"], 2, "nope.yaml"),
    "configuration misspelt": (["fit", "--config", "catvae_digit"], 2, "did you mean 'catvae_digits'?"),
    "not YAML": (["fit", "--config", "broken.yaml"], 2, "no YAML"),
    "unknown key of the model": ([*FIT, "--model.estmator=exact"], 2, "did you mean 'estimator'?"),
    "unknown key of the model in a file": (["fit", "--config", "key.yaml"], 2, "did you mean 'latents'?"),
    "unknown key of the data": ([*FIT, "--data.nam=mnist"], 2, "did you mean 'name'?"),
    "unknown key of the trainer": ([*FIT, "--trainer.max_epoch=3"], 2, "did you mean '--trainer.max_epochs'?"),
    "unknown section": (["fit", "--config", "section.yaml"], 2, "did you mean 'trainer.accelerator'?"),
    "unknown option": ([*FIT, "--modl.latents=3"], 2, "did you mean '--model.latents'?"),
    "wrong type": ([*FIT, "--model.latents=many"], 2, "latents"),
    "wrong type of the trainer": ([*FIT, "--trainer.max_epochs=three"], 2, "trainer.max_epochs"),
    "unknown class": ([*FIT, "--model=CategoricalVA"], 2, "did you mean 'CategoricalVAE'?"),
    "unknown estimator": ([*FIT, "--model.estimator=gumbel_sofmax"], 2, "did you mean 'gumbel_softmax'?"),
    "unknown data set": ([*FIT, "--data.name=mnst"], 2, "did you mean 'mnist'?"),
    "unknown wandb mode": ([*FIT, "--wandb=onlin"], 2, "wandb"),
    "no source": (["sample"], 2, "which source to use; --help tells"),
    "no codes": (["decode", "catvae-digits"], 2, "which codes to use; --help tells"),
    "temperature 0": ([*FIT, "--model.temperature=0"], 2, "needs initial > 0, got 0.0"),
    "unknown schedule": ([*FIT, "--model.temperature={name: cosin}"], 2, "did you mean 'cosine'?"),
    "checkpoint_every 0": ([*FIT, "--checkpoint_every=0"], 2, "checkpoint_every must be >= 1"),
    "images of another shape": ([*FIT, "--model.image_shape=[1,28,28]"], 2, "image_shape"),
    "missing checkpoint": ([*FIT, "--ckpt_path=nope.ckpt"], 2, "nope.ckpt"),
    "nothing to resume": ([*FIT, "--ckpt_path=last"], 2, "there is no run in runs/tiny"),
    "nothing to test": (["test", "--config", "tiny.yaml"], 2, "there is no run in runs/tiny"),
    "truncated checkpoint": ([*FIT, "--ckpt_path=truncated.ckpt"], 2, "truncated.ckpt is truncated"),
    "foreign checkpoint": ([*FIT, "--ckpt_path=foreign.ckpt"], 2, "foreign.ckpt is no checkpoint"),
    "checkpoint with code": ([*FIT, "--ckpt_path=code.ckpt"], 2, "code.ckpt is truncated or no checkpoint"),
    "missing data": ([*FIT, "--data.name=omniglot", "--data.root=empty"], 2, "omniglot"),
    "unwritable folder": ([*FIT, "--trainer.default_root_dir=file"], 1, "file"),
    "unknown release": (["sample", "catvae-nothing"], 2, "catvae-nothing"),
    "not a release": (["sample", "empty"], 2, "empty is no release folder"),
    "option of sample": (["sample", "empty", "--sed", "3"], 2, "did you mean '--seed'?"),
    "no picture format": (["sample", "release", "--out", "x.doc"], 2, "picture format"),
    "minus one sample": (["sample", "release", "-n", "-1"], 2, "-n must be >= 1"),
    "data of no release": (["reconstruct", "release"], 2, "does not say which data"),
    "export of no run": (["export", "release", "out"], 2, "no run folder"),
    "release of another test": (["test", "catvae-nothing"], 2, "catvae-nothing"),
}


@pytest.fixture
def mistakes(workspace: Path) -> Path:
    tiny = (workspace / "tiny.yaml").read_text()
    (workspace / "broken.yaml").write_text("model: [\n")
    (workspace / "key.yaml").write_text(tiny.replace("latents:", "latnts:"))
    (workspace / "section.yaml").write_text(tiny.replace("trainer:", "trainr:"))
    (workspace / "truncated.ckpt").write_bytes(b"PK\x03\x04 cut short")
    torch.save({"weights": torch.zeros(2)}, workspace / "foreign.ckpt")
    torch.save({"state_dict": print, "loops": {}, "global_step": 0}, workspace / "code.ckpt")
    (workspace / "empty").mkdir()
    (workspace / "file").write_text("")
    model = gumbelzoo.create_model("categorical_vae", image_shape=[1, 8, 8], latents=2, hidden=[4])
    gumbelzoo.save_pretrained(model, workspace / "release")
    return workspace


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_a_line_that_names_the_fix(
    mistake: str, mistakes: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments, code, expected = MISTAKES[mistake]
    assert main(arguments) == code
    error = capfd.readouterr().err
    assert expected in error
    assert "Traceback" not in error
    assert 1 <= len(error.strip().splitlines()) <= 2
    assert not list(mistakes.glob("runs/*/*/checkpoints"))


def test_debug_raises_the_error_itself(mistakes: Path) -> None:
    with pytest.raises(ValueError, match="needs initial > 0"):
        main([*FIT, "--model.temperature=0", "--debug"])


@pytest.mark.parametrize("script", [["-m", "gumbelzoo.train"], [str(Path(gumbelzoo.__file__).parent / "train.py")]])
def test_the_program_itself_exits_without_a_traceback(script: list[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, *script, "fti"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "did you mean 'fit'?" in done.stderr


def test_what_a_file_says_is_printed_without_escape_codes(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = gumbelzoo.create_model("vq_vae", image_shape=[1, 8, 8])
    folder = gumbelzoo.save_pretrained(model, workspace / "release")
    content = json.loads((folder / "config.json").read_text())
    content["data"] = {"class": "\u001b]0;title\u0007\u001b[2J", "arguments": {}}
    (folder / "config.json").write_text(json.dumps(content))
    for command in ("test", "reconstruct"):
        assert main([command, "release"]) == 2
        error = capfd.readouterr().err
        assert "unknown data class" in error and "\x1b" not in error and "\x07" not in error


def test_a_reader_may_stop_reading() -> None:
    command = f"{sys.executable} -m gumbelzoo.train list | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert len(done.stdout.splitlines()) == 1 and done.stderr == ""


def test_no_progress_bar(workspace: Path) -> None:
    assert main(["fit", "--config", "tiny.yaml", "--trainer.max_steps=1", "--trainer.enable_progress_bar=false"]) == 0


def test_another_repository_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package inside a user's own repository has no commit of ours."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    person = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(tmp_path), *person, "commit", "-qm", "x", "--allow-empty"], check=True)
    (tmp_path / "site/gumbelzoo").mkdir(parents=True)
    monkeypatch.setattr(runs, "PACKAGE", tmp_path / "site/gumbelzoo")
    assert runs.circumstances()["commit"] is None
    monkeypatch.setattr(runs, "PACKAGE", tmp_path)
    assert runs.circumstances()["commit"]
