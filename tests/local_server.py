"""A web server on this machine, whose answers a test decides."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalServer:
    """Answers at `url` while its `with` statement lasts; a subclass has the rules of a test.

    Args:
        handler: answers requests; it gets this object as `rules`.
    """

    def __init__(self, handler: type["QuietHandler"]):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"rules": self}))
        self._server.daemon_threads, self._server.block_on_close = True, False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()


class QuietHandler(BaseHTTPRequestHandler):
    """Writes no line for each request."""

    rules: LocalServer

    def log_message(self, *arguments):
        pass
