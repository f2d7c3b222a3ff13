"""A hub on this machine, as far as huggingface_hub's own client needs one to make a repository, to send a folder and to fetch it."""

import base64
import hashlib
import json
from urllib.parse import unquote

from local_server import LocalServer, QuietHandler

SHA = "a" * 40


class SmallHub(LocalServer):
    """Repositories in memory: `files` has path -> content of each by its name."""

    def __init__(self):
        super().__init__(_Answers)
        self.files: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []


class _Answers(QuietHandler):
    rules: SmallHub

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        place = unquote(self.path)
        self.rules.asked.append(f"POST {place}")
        if place == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization', 'me')}/{asked['name']}"
            self.rules.files.setdefault(name, {})
            return self._json({"url": f"{self.rules.url}/{name}"})
        if place == "/api/validate-yaml":  # of a card, before it is sent
            return self._json({"errors": [], "warnings": []})
        repo = "/".join(place.split("/")[3:5])
        if "/preupload/" in place:
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(body)["files"]]
            return self._json({"files": files})
        for line in body.splitlines():  # the commit
            entry = json.loads(line)
            if entry["key"] == "file":
                self.rules.files[repo][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        return self._json({"success": True, "commitOid": SHA, "commitUrl": f"{self.rules.url}/{repo}/commit/{SHA}"})

    def do_GET(self):
        place = unquote(self.path.split("?")[0])
        self.rules.asked.append(f"{self.command} {place}")
        parts = place.strip("/").split("/")
        if parts[:2] == ["api", "whoami-v2"]:
            return self._json({"name": "me", "type": "user", "auth": {}})
        repo = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        files = self.rules.files.get(repo)
        if files is None:
            return self._json({"error": "Repository not found"}, status=404, headers={"X-Error-Code": "RepoNotFound"})
        if "resolve" in parts:
            return self._content(files[parts[-1]])
        if "tree" in parts:
            return self._json([{"type": "file", "path": name, "size": len(data), "oid": _oid(data)} for name, data in files.items()])
        return self._json({"id": repo, "sha": SHA, "siblings": [{"rfilename": name} for name in files], "tags": [], "private": False})

    do_HEAD = do_GET

    def _content(self, data: bytes) -> None:
        self._send(data, 200, {"ETag": f'"{_oid(data)}"', "X-Repo-Commit": SHA, "Content-Type": "application/octet-stream"})

    def _json(self, value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, data: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
