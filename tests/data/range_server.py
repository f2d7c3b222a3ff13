"""A web server on this machine that serves a folder by ranges of bytes, as well or as badly as a test wants."""

import time
from contextlib import suppress
from pathlib import Path

from local_server import LocalServer, QuietHandler


class RangeServer(LocalServer):
    """Serves the files of a folder; used in a `with` statement. What goes wrong does so for tar files only.

    Args:
        statuses: answers of the first requests that are no file.
        cuts: so many requests end in the middle of what they promised.
        stall: seconds without a byte in the middle of each answer.
        ranges: whether ranges are kept to; otherwise the whole file comes.
        fail_every: every so-manieth request is answered with 503; 0: none.
    """

    def __init__(self, folder: Path, *, statuses=(), cuts=0, stall=0.0, ranges=True, fail_every=0):
        self.folder, self.stall, self.ranges, self.fail_every = folder, stall, ranges, fail_every
        self.statuses, self.cuts = list(statuses), cuts
        super().__init__(_Handler)
        self.requests = []  # (path, Range header or '') of tar files


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        rules, asked = self.rules, self.headers.get("Range", "")
        path, is_shard = rules.folder / self.path.lstrip("/"), self.path.endswith(".tar")
        if is_shard:
            rules.requests.append((self.path, asked))
        if is_shard and rules.statuses:
            return self.send_error(rules.statuses.pop(0))
        if is_shard and rules.fail_every and len(rules.requests) % rules.fail_every == 0:
            return self.send_error(503)
        if not path.is_file():
            return self.send_error(404)
        self._send(path.read_bytes(), asked if rules.ranges else "", is_shard)

    def _send(self, content, asked, is_shard):
        start, stop = 0, len(content)
        if asked:
            start, last = (int(text) for text in asked.removeprefix("bytes=").split("-"))
            stop = min(last + 1, len(content))
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        half = (start + stop) // 2
        with suppress(OSError):  # the other side has given up, as it should
            self.wfile.write(content[start:half])
            self.wfile.flush()
            if is_shard and self.rules.cuts:
                self.rules.cuts -= 1
                self.close_connection = True
                return
            time.sleep(self.rules.stall if is_shard else 0)
            self.wfile.write(content[half:stop])
