"""XML-RPC over a Unix socket, as supervisord speaks it."""

import http.client
import socket
import xmlrpc.client
from pathlib import Path


class UnixTransport(xmlrpc.client.Transport):
    """The way to the server that listens at `path`; each of its steps takes at most `answer_s`."""

    def __init__(self, path: Path, answer_s: float) -> None:
        super().__init__()
        self._path = path
        self._answer_s = answer_s

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        """A connection of its own for each call."""
        return _Connection(self._path, self._answer_s)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, answer_s: float) -> None:
        super().__init__("localhost", timeout=answer_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
