"""A web server on this machine that serves files as well or as badly as a test wants, and remembers what was asked of it."""

import time
from contextlib import suppress

from local_server import LocalServer, QuietHandler


class WeightsServer(LocalServer):
    """Serves `files` (path below the root -> bytes); used in a `with` statement.

    Args:
        files: what is there; another path is answered with 404.
        cut_after: bytes of the file after which a connection ends, one number for each of the first requests.
        ranges: whether it goes on where it is asked to.
        statuses: answers of the first requests that are no file.
        stall: seconds without a byte before the second half of a file, in the first request.
        pause: seconds before each answer.
    """

    def __init__(self, files, *, cut_after=(), ranges=True, statuses=(), stall=0.0, pause=0.0):
        self.files, self.ranges, self.pause = files, ranges, pause
        self.cut_after, self.statuses, self.stalls = list(cut_after), list(statuses), [stall] if stall else []
        super().__init__(_Handler)
        self.requests = []  # (path, Range header or '')


class _Handler(QuietHandler):
    def do_GET(self):
        rules, asked = self.rules, self.headers.get("Range", "")
        rules.requests.append((self.path, asked))
        time.sleep(rules.pause)
        if rules.statuses or self.path not in rules.files:
            return self.send_error(rules.statuses.pop(0) if rules.statuses else 404)
        content = rules.files[self.path]
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and rules.ranges else 0
        if start and start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self._send(content[start : rules.cut_after.pop(0) if rules.cut_after else None])

    def _send(self, content):
        half = len(content) // 2 if self.rules.stalls else len(content)
        self.wfile.write(content[:half])
        if self.rules.stalls:
            time.sleep(self.rules.stalls.pop(0))
        with suppress(OSError):  # the other side has given up, as it should
            self.wfile.write(content[half:])
