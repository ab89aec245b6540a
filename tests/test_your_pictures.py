"""A user's folder of pictures: from the files to a release, on the command line; and two gigabytes of them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import time
from pathlib import Path

import gumbelzoo
import numpy as np
import pytest
import torch
import yaml
from gumbelzoo.data import ImageData
from gumbelzoo.data.images.folder_cache import decode_once
from gumbelzoo.data.images.folder_tree import PictureFile
from gumbelzoo.data.loader import TensorLoader
from gumbelzoo.tests.data.images.photographs import write_photographs
from gumbelzoo.train import main

PAGE = Path(gumbelzoo.__file__).parent / "docs/your_data.md"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder of a user, with an empty cache."""
    monkeypatch.setattr("sys.argv", ["gumbelzoo"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GUMBELZOO_DATA", raising=False)
    (tmp_path / "user").mkdir()
    monkeypatch.chdir(tmp_path / "user")
    return tmp_path / "user"


def colleague(release: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a place that has only a release."""
    place.mkdir()
    shutil.copytree(release, place / Path(release).name)
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    return place


def test_folder_trains_and_is_released(
    user: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The options as a user types them; the release has no path, and says that the pictures are missing."""
    write_photographs(user / "pets", 40, 10, 40)
    (user / "pets/empty.png").touch()
    network = ["--model.dim=4", "--model.encoder.widths=[8]", "--model.decoder.widths=[8]"]
    data = ["--data=images", "--data.name=folder", "--data.path=pets", "--data.size=8", "--data.flip=true"]
    options = [*network, *data, "--data.batch_size=8", "--trainer.max_steps=3", "--trainer.accelerator=cpu"]
    assert main(["fit", "--model=vq_vae", "--model.image_shape=[3,8,8]", *options]) == 0, capfd.readouterr().err
    assert "left out: empty.png (empty)\n" in capfd.readouterr().err
    run = "runs/vq_vae_images/1"
    assert main(["test", run]) == 0
    tested = json.loads(Path(run, "test.json").read_text())
    assert tested["data"]["classes"] == "3: 0 circles, 1 squares, 2 stripes"
    assert tested["data"]["left out"] == "1 files: empty.png (empty)"
    assert main(["export", run, "pets-8px"]) == 0, capfd.readouterr().err

    shutil.copytree(user / "pets", user.parent / "elsewhere")
    place = colleague("pets-8px", user.parent / "colleague", monkeypatch)
    config = (place / "pets-8px/config.json").read_text()
    assert json.loads(config)["data"]["arguments"]["size"] == 8 and '"path"' not in config
    assert gumbelzoo.load("pets-8px").reconstruct(torch.rand(2, 3, 8, 8)).shape == (2, 3, 8, 8)
    capfd.readouterr()
    assert main(["reconstruct", "pets-8px"]) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"gumbelzoo reconstruct: name='folder' needs a path.*--data\.path=DIR.*", said)
    assert main(["test", "pets-8px", "--data.path=../elsewhere"]) == 0
    printed = capfd.readouterr().out
    assert all(f"{name:24s} {value:.4f}" in printed for name, value in tested["metrics"].items())


def test_pictures_of_the_page_fit_its_commands(user: Path) -> None:
    """The folder that its Python writes has the classes of its commands, and a batch of its configuration."""
    section = PAGE.read_text().partition("## A folder of pictures")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(code, {})
    config = yaml.safe_load((PAGE.parents[1] / "configs/vqvae_folder.yaml").read_text())
    data = ImageData(**config["data"]["init_args"], path="pets", size=64)
    data.setup("fit")
    assert next(iter(data.train_dataloader()))["image"].shape == (64, 3, 64, 64)
    assert f"--model.classes={data.classes} " in section and len(data.class_names) == data.classes


@pytest.mark.slow
def test_photographs_from_files_to_samples(
    user: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every command of the page, on 500 photographs of three classes, for two epochs; then a colleague's."""
    write_photographs(user / "pets", 500, 60, 300)
    section = PAGE.read_text().partition("## A folder of pictures")[2].partition("\n## ")[0]
    block = "".join(re.findall(r"```bash\n(.*?)```", section, re.DOTALL))
    for line in filter(None, block.replace("\\\n", " ").splitlines()):
        program, *words = shlex.split(line)
        assert program == "gumbelzoo"
        quick = ["--trainer.max_epochs=2", "--trainer.accelerator=cpu"] if words[0] == "fit" else []
        assert main([*words, *quick]) == 0, f"{line}: {capfd.readouterr().err}"
    tested = json.loads(Path("runs/vqvae_folder/1/test.json").read_text())
    assert tested["data"]["split"].endswith("test") and 0 < tested["metrics"]["test/nmse"] < 2

    config = yaml.safe_load(Path("runs/vqvae_folder/1/config.yaml").read_text())
    assert config["data"]["init_args"]["path"] == "pets"
    shutil.copytree("pets", user.parent / "the same pictures")
    prior = next(path.name for path in Path("checkpoints").iterdir() if "prior" in path.name)
    place = colleague(f"checkpoints/{prior}", user.parent / "colleague", monkeypatch)
    expected = json.loads((place / prior / "config.json").read_text())["test"]["metrics"]
    model = gumbelzoo.load(prior)
    assert model.sample(2, label=1).shape == (2, 3, 64, 64)
    capfd.readouterr()
    assert main(["test", prior, "--data.path=../the same pictures"]) == 0, capfd.readouterr().err
    printed = capfd.readouterr().out
    assert all(f"{name:24s} {value:.4f}" in printed for name, value in expected.items())
    assert main(["sample", prior, "--label", "2", "-n", "4"]) == 0


def anonymous_megabytes() -> float:
    """Memory of this process that is no file's."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) / 1000


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is told by Linux")
def test_two_gigabytes_take_no_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Anonymous memory grows by less than 100 MB while 2 GB are decoded, then read in a random order."""
    levels = np.random.default_rng(0).integers(0, 256, (1000, 3, 64, 64), dtype=np.uint8)
    seconds = {}
    for name, rows in (("100 MB", 8_140), ("2 GB", 162_800)):
        files = [PictureFile(str(number), 1, 1) for number in range(rows)]
        before = anonymous_megabytes()
        found = decode_once(tmp_path / name, files, (3, 64, 64), lambda file: levels[int(file.name) % 1000])
        loader = TensorLoader({"image": found.images}, 64, shuffle=True)
        growth = [anonymous_megabytes() - before]
        for _ in range(3):
            start = time.perf_counter()
            total = 0
            for number, batch in enumerate(loader):
                total += int(batch["image"][0, 0, 0, 0])
                if number % 500 == 0:
                    growth.append(anonymous_megabytes() - before)
            seconds[name] = (time.perf_counter() - start) / len(loader)
        assert max(growth) < 100, (name, growth)
        assert (tmp_path / f"{name}.levels").stat().st_size == rows * 3 * 64 * 64
    (tmp_path / "2 GB.levels").unlink()
    with capsys.disabled():
        ratio = seconds["2 GB"] / seconds["100 MB"]
        print(f"\na batch of 64 takes {1e3 * seconds['2 GB']:.3f} ms of 2 GB, {ratio:.2f} times that of 100 MB")
