"""A Hugging Face Hub of one process on the loopback, with the routes that its client asks for."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class FakeHub:
    """Repositories in memory: ``files[repository][path]``, on branches that all show the same.

    Attributes:
        private: Whether a repository is private.
        branches: Of each repository.
        asked: Methods and paths of all requests, in order.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.branches: dict[str, set[str]] = {}
        self.asked: list[str] = []

    def create(self, repository: str, *, private: bool) -> None:
        """Make an empty repository."""
        self.files[repository], self.private[repository] = {}, private
        self.branches[repository] = {"main"}

    def commit(self, repository: str) -> str:
        """A commit's name: a hash of the content."""
        digest = hashlib.sha1(usedforsecurity=False)
        for path, content in sorted(self.files[repository].items()):
            digest.update(path.encode() + b"\0" + content)
        return digest.hexdigest()

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Its address, while it answers."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self.answer(hub.read(unquote(urlsplit(self.path).path)))

            def do_HEAD(self) -> None:
                self.answer(hub.read(unquote(urlsplit(self.path).path)), body=False)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self.answer(hub.write(unquote(urlsplit(self.path).path), self.rfile.read(length)))

            def answer(self, reply: "Reply", *, body: bool = True) -> None:
                hub.asked.append(f"{self.command} {urlsplit(self.path).path}")
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(reply.content)))
                for key, value in reply.headers.items():
                    self.send_header(key, value)
                self.end_headers()
                if body:
                    self.wfile.write(reply.content)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def read(self, path: str) -> "Reply":
        """Answer GET and HEAD: a repository, its tree, or the content of a file."""
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            repository, rest = "/".join(parts[2:4]), parts[4:]
            if repository not in self.files:
                return Reply.missing("RepoNotFound")
            if rest and rest[1] not in {self.commit(repository), *self.branches[repository]}:
                return Reply.missing("RevisionNotFound")
            if rest[:1] == ["tree"]:
                return Reply.json([self.entry(repository, name) for name in self.files[repository]])
            return Reply.json(
                {
                    "id": repository,
                    "sha": self.commit(repository),
                    "private": self.private[repository],
                    "siblings": [{"rfilename": name} for name in self.files[repository]],
                }
            )
        repository, name = "/".join(parts[:2]), "/".join(parts[4:])
        content = self.files.get(repository, {}).get(name)
        if parts[2] != "resolve" or content is None:
            return Reply.missing("EntryNotFound")
        headers = {"ETag": f'"{_blob(content)}"', "X-Repo-Commit": self.commit(repository)}
        return Reply(200, content, headers)

    def write(self, path: str, body: bytes) -> "Reply":
        """Answer POST: make a repository or a branch, or take a commit."""
        if path == "/api/repos/create":
            wish = json.loads(body)
            repository = f"{wish['organization']}/{wish['name']}"
            known = repository in self.files
            if not known:
                private = wish.get("private", wish.get("visibility") == "private")
                self.create(repository, private=private)
            url = {"url": f"https://huggingface.co/{repository}"}
            return Reply(409 if known else 200, json.dumps(url).encode(), {})
        if path == "/api/validate-yaml":
            return Reply.json({"errors": [], "warnings": []})
        parts = path.strip("/").split("/")
        repository, action = "/".join(parts[2:4]), parts[4]
        if action == "branch":
            self.branches[repository].add(parts[5])
            return Reply.json({})
        if parts[5] not in self.branches[repository]:
            return Reply.missing("RevisionNotFound")
        if action == "preupload":
            files = json.loads(body)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files
            ]
            return Reply.json({"files": modes})
        for line in body.splitlines():
            item = json.loads(line)
            if item["key"] == "file":
                value = item["value"]
                self.files[repository][value["path"]] = base64.b64decode(value["content"])
        commit = self.commit(repository)
        url = f"https://huggingface.co/{repository}/commit/{commit}"
        return Reply.json({"commitUrl": url, "commitOid": commit})

    def entry(self, repository: str, name: str) -> dict[str, Any]:
        """A file as a tree lists it."""
        content = self.files[repository][name]
        return {"type": "file", "path": name, "size": len(content), "oid": _blob(content)}


class Reply:
    """Status, content and headers."""

    def __init__(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.status, self.content, self.headers = status, content, headers

    @classmethod
    def json(cls, value: Any) -> "Reply":
        """Success."""
        return cls(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    @classmethod
    def missing(cls, code: str) -> "Reply":
        """Not found, with the code by which the client tells what."""
        return cls(404, b"{}", {"X-Error-Code": code})


def _blob(content: bytes) -> str:
    """Git's name of a file's content."""
    head = b"blob %d\0" % len(content)
    return hashlib.sha1(head + content, usedforsecurity=False).hexdigest()
