"""A stand-in for the Hugging Face hub that runs on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub(ThreadingHTTPServer):
    """A hub as ``huggingface_hub`` needs it: repositories, commits, large files, listings, downloads."""

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
    """Answers one request; 404 for unknown paths."""

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
