"""Upload to and download from a hub, over HTTP, with a stand-in of its interface that runs on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gumbelzoo
import pytest
import torch
from gumbelzoo.pretrained import hub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # how huggingface_hub calls httpx

ARGUMENTS: dict[str, Any] = {"image_shape": [1, 8, 8], "latents": 3, "categories": 4, "hidden": [8]}


class Hub(ThreadingHTTPServer):
    """What the hub answers to ``huggingface_hub``: a repository, a commit, large files, a listing, downloads."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request; what is not here is 404."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def answer(self, code: int, content: Any = b"", **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def handle_any(self) -> None:
        body = self.body()
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        self.server.tokens.add(self.headers.get("Authorization", ""))
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            self.create(json.loads(body))
        elif path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif parts[0] == "objects" and self.command == "PUT":
            self.server.objects[parts[1]] = body
            self.answer(200)
        elif parts[:2] == ["api", "models"]:
            self.of_repository("/".join(parts[2:4]), parts[4:], body)
        elif path.endswith(".git/info/lfs/objects/batch"):
            self.batch(json.loads(body))
        elif len(parts) == 5 and parts[2] == "resolve":
            self.download("/".join(parts[:2]), parts[4])
        else:
            self.answer(404, {"error": "not here"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def create(self, request: dict[str, Any]) -> None:
        repository = f"{request['organization']}/{request['name']}"
        known = repository in self.server.repositories
        self.server.repositories.setdefault(repository, {})
        self.server.private[repository] = request.get("visibility") == "private" or request.get("private", False)
        self.answer(409 if known else 200, {"url": f"{self.server.url}/{repository}"})

    def of_repository(self, repository: str, what: list[str], body: bytes) -> None:
        files = self.server.repositories.get(repository)
        if files is None:
            self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        elif what[:1] == ["preupload"]:
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self.answer(200, {"files": modes})
        elif what[:1] == ["commit"]:
            for operation in map(json.loads, body.decode().splitlines()):
                value = operation["value"]
                if operation["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif operation["key"] == "lfsFile":
                    files[value["path"]] = self.server.objects[value["oid"]]
            self.answer(200, {"commitUrl": f"{self.server.url}/{repository}/commit/{'0' * 40}", "commitOid": "0" * 40})
        elif what[:1] == ["tree"]:
            entries = [{"type": "file", "path": name, "size": len(files[name]), "oid": "1" * 40} for name in files]
            self.answer(200, entries)
        else:
            siblings = [{"rfilename": name, "size": len(files[name])} for name in files]
            self.answer(200, {"id": repository, "sha": "0" * 40, "siblings": siblings, "private": False, "tags": []})

    def batch(self, request: dict[str, Any]) -> None:
        objects = [
            {**entry, "actions": {"upload": {"href": f"{self.server.url}/objects/{entry['oid']}"}}}
            for entry in request["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def download(self, repository: str, name: str) -> None:
        content = self.server.repositories.get(repository, {}).get(name)
        if content is None:
            self.answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
        else:
            tag = hashlib.sha256(content).hexdigest()
            self.answer(200, content, ETag=f'"{tag}"', X_Repo_Commit="0" * 40)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A running stand-in; what is downloaded goes into a cache of the test."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    # what HF_HUB_DISABLE_XET=1 does: uploads are plain HTTP, which the stand-in speaks
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    running = Hub()
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def model() -> Any:
    """Untrained, in eval mode."""
    return gumbelzoo.create_model("categorical_vae", **ARGUMENTS).eval()


def test_a_pushed_model_comes_back_equal(server: Hub, model: Any, tmp_path: Path) -> None:
    url = model.push_to_hub("someone/vae", token="hf_secret", endpoint=server.url, private=True, card="# a card")
    assert url.startswith(f"{server.url}/someone/vae/commit/")
    files = server.repositories["someone/vae"]
    assert sorted(files) == ["README.md", "config.json", "model.safetensors"]
    assert files["README.md"] == b"# a card"
    assert server.private == {"someone/vae": True}
    assert "Bearer hf_secret" in server.tokens
    assert hashlib.sha256(files["model.safetensors"]).hexdigest() in server.objects

    server.asked.clear()
    loaded = gumbelzoo.load(hub.fetch("someone/vae", server.url))
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    asked = {request.rpartition("/")[2] for request in server.asked if "/resolve/" in request}
    assert asked == {"config.json", "model.safetensors"}  # nothing else is even downloaded


def test_a_folder_is_pushed_as_it_is_and_again(server: Hub, model: Any, tmp_path: Path) -> None:
    (tmp_path / "samples.png").write_bytes(b"a picture")
    folder = model.save_pretrained(tmp_path / "vae", pictures={"samples.png": tmp_path / "samples.png"})
    (folder / "secret.txt").write_text("not of the release")
    for _ in range(2):
        gumbelzoo.push_to_hub(folder, "someone/vae", token="hf_secret", endpoint=server.url)
    assert server.repositories["someone/vae"] == {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name != "secret.txt"
    }


def test_a_name_is_enough_where_the_environment_says_which_hub(server: Hub, model: Any, tmp_path: Path) -> None:
    model.push_to_hub("someone/vae", token="hf_secret", endpoint=server.url)
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


def test_what_the_hub_does_not_have_is_one_line(server: Hub) -> None:
    server.repositories["someone/else"] = {"weights.bin": b"", "README.md": b""}
    with pytest.raises(ValueError, match=r"^no folder 'someone/nothing' here, and the hub has no release of that name"):
        hub.fetch("someone/nothing", server.url)
    with pytest.raises(ValueError, match=r"'someone/else' is no gumbelzoo release: it has no config\.json$"):
        hub.fetch("someone/else", server.url)


def test_a_hub_out_of_reach_is_one_line(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=r"^no folder 'someone/vae' here, and the hub has no release[^\n]*$"):
        hub.fetch("someone/vae", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match=r"^the hub did not take 'someone/vae'[^\n]*$"):
        model.push_to_hub("someone/vae", token="hf_secret", endpoint="http://127.0.0.1:9")


def test_a_malformed_release_of_the_hub_is_refused(server: Hub, model: Any) -> None:
    model.push_to_hub("someone/vae", token="hf_secret", endpoint=server.url)
    files = server.repositories["someone/vae"]
    files["model.safetensors"] = files["model.safetensors"][:-1]
    with pytest.raises(ValueError, match="truncated or no safetensors"):
        gumbelzoo.load(hub.fetch("someone/vae", server.url))


def test_weights_are_fetched_for_a_release_only(server: Hub, model: Any) -> None:
    model.push_to_hub("someone/vae", token="hf_secret", endpoint=server.url)
    server.repositories["someone/vae"]["config.json"] = b"[]"
    server.asked.clear()
    with pytest.raises(ValueError, match="one JSON object"):
        hub.fetch("someone/vae", server.url)
    assert not any("safetensors" in line for line in server.asked if line.startswith("GET"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_what_is_too_large_is_not_fetched(server: Hub, model: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model.push_to_hub("someone/vae", token="hf_secret", endpoint=server.url)
    monkeypatch.setitem(hub.LIMITS, name, 100)
    server.asked.clear()
    with pytest.raises(ValueError, match=rf"{name} has \d+ bytes, more than the 100 "):
        hub.fetch("someone/vae", server.url)
    assert not any("/resolve/" in line for line in server.asked)


def test_only_releases_are_pushed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no release folder"):
        gumbelzoo.push_to_hub(tmp_path, "someone/vae")
