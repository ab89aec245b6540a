"""Each mistake of a user ends in one or two lines on stderr and the right exit code; ``--debug`` shows the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gumbelzoo
import pytest
import torch
from gumbelzoo.commands.run_folders import runs
from gumbelzoo.train import main

FIT = ["fit", "--config", "tiny.yaml"]
TEXT = ["fit", "--config", "textgan_grammar"]

MISTAKES = {
    "no command of that name": (["fti"], 2, "did you mean 'fit'?"),
    "nothing to fit": (["fit"], 2, "nothing says which model and data to use; add --config configs/catvae_digits.yaml"),
    "missing configuration": (["fit", "--config", "nope.yaml"], 2, "nope.yaml"),
    "run without its configuration": (["fit", "--config", "runs/catvae_digit/1"], 2, "no file 'runs/catvae_digit/1'"),
    "configuration misspelt": (["fit", "--config", "catvae_digit"], 2, "did you mean 'catvae_digits'?"),
    "configuration without value": (["fit", "--config"], 2, "--config needs a value"),
    "not YAML": (["fit", "--config", "broken.yaml"], 2, "broken.yaml: it is no YAML"),
    "empty configuration": (["fit", "--config", "empty.yaml"], 2, "empty.yaml: it is empty"),
    "unknown key of the model": ([*FIT, "--model.estmator=exact"], 2, "did you mean '--model.estimator'?"),
    "unknown key of the model in a file": (["fit", "--config", "key.yaml"], 2, "did you mean 'model.latents'?"),
    "unknown key of the data": ([*FIT, "--data.nam=mnist"], 2, "did you mean '--data.name'?"),
    "unknown key of the trainer": ([*FIT, "--trainer.max_epoch=3"], 2, "did you mean '--trainer.max_epochs'?"),
    "unknown key of a callback": (
        [*FIT, "--trainer.callbacks+=LearningRateMonitor", "--trainer.callbacks.x=1"],
        2,
        "LearningRateMonitor: unknown key 'x'",
    ),
    "unknown section": (["fit", "--config", "section.yaml"], 2, "did you mean 'trainer.accelerator'?"),
    "unknown option": ([*FIT, "--modl.latents=3"], 2, "did you mean '--model.latents'?"),
    "option of the optimizer": ([*FIT, "--learning_rate=1e-3"], 2, "did you mean '--model.optimizer.learning_rate'?"),
    "estimator of no section": ([*FIT, "--estimator=exact"], 2, "did you mean '--model.estimator'?"),
    "batch size of no section": ([*FIT, "--batch_size=9"], 2, "did you mean '--data.batch_size'?"),
    "batch size of the model": ([*FIT, "--model.batch_size=9"], 2, "did you mean '--data.batch_size'?"),
    "epochs of no section": ([*FIT, "--max_epochs=3"], 2, "did you mean '--trainer.max_epochs'?"),
    "wrong type": ([*FIT, "--model.latents=many"], 2, "model.latents: expected int, got 'many'"),
    "wrong type in a file": (["fit", "--config", "type.yaml"], 2, "model.latents: expected int, got 'many'"),
    "wrong type of a part": (
        [*TEXT, "--model.objective=seqgan", "--model.objective.rollouts=a"],
        2,
        "model.objective.rollouts: expected int, got 'a'",
    ),
    "unknown option of a part": (
        [*FIT, "--model.estimator=reinforce", "--model.estimator.sample=8"],
        2,
        "unknown key 'model.estimator.sample'; did you mean 'model.estimator.samples'?",
    ),
    "wrong type of the trainer": ([*FIT, "--trainer.max_epochs=three"], 2, "trainer.max_epochs: expected int"),
    "unknown model": ([*FIT, "--model=categorical_va"], 2, "did you mean 'categorical_vae'?"),
    "class in place of a name": ([*FIT, "--model=CategoricalVAE"], 2, "did you mean 'categorical_vae'?"),
    "class of no model": ([*FIT, "--model=pathlib.Path"], 2, "'pathlib.Path' is no model"),
    "no such class": ([*FIT, "--model=nowhere.Model"], 2, "No module named 'nowhere'"),
    "unknown data": ([*FIT, "--data=image"], 2, "did you mean 'images'?"),
    "unknown estimator": ([*FIT, "--model.estimator=gumbel_sofmax"], 2, "did you mean 'gumbel_softmax'?"),
    "unknown data set": ([*FIT, "--data.name=mnst"], 2, "did you mean 'mnist'?"),
    "unknown wandb mode": ([*FIT, "--wandb=onlin"], 2, "wandb"),
    "no source": (["sample"], 2, "which source to use; --help tells"),
    "no codes": (["decode", "catvae-digits"], 2, "which codes to use; --help tells"),
    "temperature 0": ([*FIT, "--model.temperature=0"], 2, "needs initial > 0, got 0"),
    "unknown schedule": ([*FIT, "--model.temperature={name: cosin}"], 2, "did you mean 'cosine'?"),
    "checkpoint_every 0": ([*FIT, "--checkpoint_every=0"], 2, "checkpoint_every must be >= 1"),
    "images of another shape": ([*FIT, "--model.image_shape=[1,28,28]"], 2, "image_shape"),
    "missing checkpoint": ([*FIT, "--ckpt_path=nope.ckpt"], 2, "nope.ckpt"),
    "missing run": (["fit", "--ckpt_path=nope"], 2, "there is no run or checkpoint 'nope'; `list runs` names them"),
    "nothing to measure": (["test"], 2, "give what to test: a run or a release, as in `test RUN`"),
    "section in place of an option": ([*FIT, "--model.foo=1"], 2, "did you mean '--model.prior'?"),
    "name of another part": ([*FIT, "--model.optimizer.name=adam"], 2, "did you mean 'model.optimizer."),
    "release of this folder": (["sample", "relese"], 2, "did you mean 'release'?"),
    "nothing to resume": ([*FIT, "--ckpt_path=last"], 2, "there is no run in runs/tiny"),
    "nothing to test": (["test", "--config", "tiny.yaml"], 2, "there is no run in runs/tiny"),
    "truncated checkpoint": ([*FIT, "--ckpt_path=truncated.ckpt"], 2, "truncated.ckpt is damaged"),
    "foreign checkpoint": ([*FIT, "--ckpt_path=foreign.ckpt"], 2, "foreign.ckpt is no checkpoint"),
    "checkpoint with code": ([*FIT, "--ckpt_path=code.ckpt"], 2, "code.ckpt is damaged or no checkpoint"),
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
    """Working folder with malformed configurations and checkpoints, and a small release."""
    tiny = (workspace / "tiny.yaml").read_text()
    (workspace / "broken.yaml").write_text("model: [\n")
    (workspace / "empty.yaml").write_text("# nothing\n")
    (workspace / "key.yaml").write_text(tiny.replace("latents:", "latnts:"))
    (workspace / "type.yaml").write_text(tiny.replace("latents: 4", "latents: many"))
    (workspace / "section.yaml").write_text(tiny.replace("trainer:", "trainr:"))
    (workspace / "truncated.ckpt").write_bytes(b"PK\x03\x04 cut short")
    torch.save({"weights": torch.zeros(2)}, workspace / "foreign.ckpt")
    torch.save({"state_dict": print, "loops": {}, "global_step": 0}, workspace / "code.ckpt")
    (workspace / "empty").mkdir()
    (workspace / "file").write_text("")
    network = {"name": "mlp", "hidden": [4]}
    model = gumbelzoo.create_model(
        "categorical_vae", image_shape=[1, 8, 8], latents=2, encoder=network, decoder=network
    )
    gumbelzoo.save_pretrained(model, workspace / "release")
    return workspace


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_ends_in_one_line(mistake: str, mistakes: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The line names the fix. No run is left behind."""
    arguments, code, expected = MISTAKES[mistake]
    assert main(arguments) == code
    error = capfd.readouterr().err
    assert expected in error
    assert "Traceback" not in error
    assert 1 <= len(error.strip().splitlines()) <= 2
    assert not list(mistakes.glob("runs/*"))


def test_nearest_option_of_a_chosen_part(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Options of parts that are not chosen are not proposed."""
    fit = ["fit", "--model=vq_vae", "--data=images", "--model.codebook_size=8"]
    assert main([*fit, "--model.quantizer=vector"]) == 2
    assert "did you mean '--model.quantizer.codebook_size'?" in capfd.readouterr().err
    assert main([*fit, "--model.quantizer=fsq"]) == 2
    assert "quantizer.codebook_size" not in capfd.readouterr().err


def test_debug_raises_the_error(mistakes: Path) -> None:
    with pytest.raises(ValueError, match="needs initial > 0"):
        main([*FIT, "--model.temperature=0", "--debug"])


@pytest.mark.parametrize("script", [["-m", "gumbelzoo.train"], [str(Path(gumbelzoo.__file__).parent / "train.py")]])
def test_script_exits_without_traceback(script: list[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, *script, "fti"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "did you mean 'fit'?" in done.stderr


def test_escape_codes_are_not_printed(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file's content is printed as text, whatever it would tell the terminal."""
    network = {"name": "mlp", "hidden": [4]}
    model = gumbelzoo.create_model("categorical_vae", image_shape=[1, 8, 8], encoder=network, decoder=network)
    folder = gumbelzoo.save_pretrained(model, workspace / "release")
    content = json.loads((folder / "config.json").read_text())
    content["data"] = {"class": "\u001b]0;title\u0007\u001b[2J", "arguments": {}}
    (folder / "config.json").write_text(json.dumps(content))
    for command in ("test", "reconstruct"):
        assert main([command, "release"]) == 2
        error = capfd.readouterr().err
        assert "unknown data" in error and "\x1b" not in error and "\x07" not in error


def test_reader_may_stop_reading() -> None:
    command = f"{sys.executable} -m gumbelzoo.train list | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert len(done.stdout.splitlines()) == 1 and done.stderr == ""


def test_progress_bar_can_be_off(workspace: Path) -> None:
    assert main(["fit", "--config", "tiny.yaml", "--trainer.max_steps=1", "--trainer.enable_progress_bar=false"]) == 0


def test_commit_of_another_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package installed inside a user's own repository has no commit."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    person = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(tmp_path), *person, "commit", "-qm", "x", "--allow-empty"], check=True)
    (tmp_path / "site/gumbelzoo").mkdir(parents=True)
    monkeypatch.setattr(runs, "PACKAGE", tmp_path / "site/gumbelzoo")
    assert runs.environment()["commit"] is None
    monkeypatch.setattr(runs, "PACKAGE", tmp_path)
    assert runs.environment()["commit"]
