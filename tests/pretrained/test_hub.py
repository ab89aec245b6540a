"""Upload to and download from a hub over HTTP: a stand-in for it runs on this machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.pretrained import hub
from gumbelzoo.tests.pretrained.hub_server import Hub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # how huggingface_hub calls httpx

ARGUMENTS: dict[str, Any] = {
    "image_shape": [1, 8, 8],
    "latents": 3,
    "categories": 4,
    "encoder": {"name": "mlp", "hidden": [8]},
    "decoder": {"name": "mlp", "hidden": [8]},
}


@pytest.fixture
def model() -> Any:
    """Untrained, in eval mode."""
    return gumbelzoo.create_model("categorical_vae", **ARGUMENTS).eval()


def test_pushed_model_is_fetched_equal(server: Hub, model: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"token": "hf_secret", "endpoint": server.url, "private": True, "card": "# a card"}
    url = gumbelzoo.push_to_hub(model, "someone/vae", **options)
    assert url.startswith(f"{server.url}/someone/vae/commit/")
    files = server.repositories["someone/vae"]
    assert sorted(files) == ["README.md", "config.json", "model.safetensors"]
    assert files["README.md"] == b"# a card"
    assert server.private == {"someone/vae": True}
    assert "Bearer hf_secret" in server.tokens
    assert hashlib.sha256(files["model.safetensors"]).hexdigest() in server.objects

    server.asked.clear()
    loaded = hub.fetch("someone/vae", server.url).load_model()
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    asked = {request.rpartition("/")[2] for request in server.asked if "/resolve/" in request}
    assert asked == {"config.json", "model.safetensors"}  # nothing else is even downloaded


def test_revision_is_asked_for(server: Hub, model: Any) -> None:
    """For the sizes and for both files; what was fetched at another revision does not serve."""
    gumbelzoo.push_to_hub(model, "someone/vae", token="hf_secret", endpoint=server.url)
    server.asked.clear()
    assert hub.fetch("someone/vae", server.url, "v1.0").load_model().latents == 3
    assert any("/revision/v1.0" in request for request in server.asked)
    with pytest.raises(ValueError, match=r"no release of that name at the revision 'v2': "):
        hub.fetch("someone/nothing", server.url, "v2")


def test_folder_is_pushed_twice(server: Hub, model: Any, tmp_path: Path) -> None:
    (tmp_path / "samples.png").write_bytes(b"a picture")
    pictures = {"samples.png": tmp_path / "samples.png"}
    folder = gumbelzoo.save_pretrained(model, tmp_path / "vae", pictures=pictures)
    (folder / "secret.txt").write_text("not of the release")
    for _ in range(2):
        gumbelzoo.push_to_hub(folder, "someone/vae", token="hf_secret", endpoint=server.url)
    assert server.repositories["someone/vae"] == {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name != "secret.txt"
    }


def test_uploaded_card_names_the_repository(server: Hub, model: Any, tmp_path: Path) -> None:
    """Whoever reads it there has no folder of the release's name."""
    card = 'To reproduce: `gumbelzoo test vae`\n\n`gumbelzoo fit --model.vqvae=vae`\n\nmodel = gumbelzoo.load("vae")\n'
    folder = gumbelzoo.save_pretrained(model, tmp_path / "vae", card=card)
    gumbelzoo.push_to_hub(folder, "someone/other", token="hf_secret", endpoint=server.url)
    pushed = server.repositories["someone/other"]["README.md"].decode()
    assert pushed == card.replace("test vae", "test someone/other").replace("=vae", "=someone/other").replace(
        '"vae"', '"someone/other"'
    )
    assert (folder / "README.md").read_text() == card


def test_hub_id_is_loaded_and_cached(server: Hub, model: Any, tmp_path: Path) -> None:
    """The environment names the hub; the second time it is out of reach."""
    gumbelzoo.push_to_hub(model, "someone/vae", token="hf_secret", endpoint=server.url)
    script = "import gumbelzoo; print(gumbelzoo.load('someone/vae').sample(2).shape)"
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path), "HF_TOKEN": "hf_secret"}
    for more in ({}, {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}):  # then from the cache
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env={**environment, "OMP_NUM_THREADS": "1", **more},
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == "torch.Size([2, 1, 8, 8])", done.stderr


def test_missing_repository_or_release_raises(server: Hub) -> None:
    server.repositories["someone/else"] = {"weights.bin": b"", "README.md": b""}
    with pytest.raises(ValueError, match=r"^no folder 'someone/nothing' here, and the hub has no release of that name"):
        hub.fetch("someone/nothing", server.url)
    with pytest.raises(ValueError, match=r"'someone/else' is no gumbelzoo release: it has no config\.json$"):
        hub.fetch("someone/else", server.url)


def test_hub_out_of_reach_raises(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=r"^no folder 'someone/vae' here, and the hub has no release[^\n]*$"):
        hub.fetch("someone/vae", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match=r"^the hub did not take 'someone/vae'[^\n]*$"):
        gumbelzoo.push_to_hub(model, "someone/vae", token="hf_secret", endpoint="http://127.0.0.1:9")


def test_malformed_release_of_the_hub_raises(server: Hub, model: Any) -> None:
    gumbelzoo.push_to_hub(model, "someone/vae", token="hf_secret", endpoint=server.url)
    files = server.repositories["someone/vae"]
    files["model.safetensors"] = files["model.safetensors"][:-1]
    with pytest.raises(ValueError, match="truncated or no safetensors"):
        hub.fetch("someone/vae", server.url).load_model()


def test_weights_of_no_release_are_not_fetched(server: Hub, model: Any) -> None:
    gumbelzoo.push_to_hub(model, "someone/vae", token="hf_secret", endpoint=server.url)
    server.repositories["someone/vae"]["config.json"] = b"[]"
    server.asked.clear()
    with pytest.raises(ValueError, match="one JSON object"):
        hub.fetch("someone/vae", server.url)
    assert not any("safetensors" in line for line in server.asked if line.startswith("GET"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_too_large_a_file_is_not_fetched(server: Hub, model: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gumbelzoo.push_to_hub(model, "someone/vae", token="hf_secret", endpoint=server.url)
    monkeypatch.setitem(hub.LIMITS, name, 100)
    server.asked.clear()
    with pytest.raises(ValueError, match=rf"{name} has \d+ bytes, more than the 100 "):
        hub.fetch("someone/vae", server.url)
    assert not any("/resolve/" in line for line in server.asked)


def test_pushing_no_release_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no release folder"):
        gumbelzoo.push_to_hub(tmp_path, "someone/vae")
