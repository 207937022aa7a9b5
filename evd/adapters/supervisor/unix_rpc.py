"""XML-RPC over a Unix socket, as supervisord speaks it."""

import http.client
import xmlrpc.client
from pathlib import Path

from evd.adapters.http.client import UnixConnection


class UnixTransport(xmlrpc.client.Transport):
    """The way to the server that listens at `path`; each of its steps takes at most `answer_s`."""

    def __init__(self, path: Path, answer_s: float) -> None:
        super().__init__()
        self._path = path
        self._answer_s = answer_s

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        """A connection of its own for each call."""
        return UnixConnection(self._path, self._answer_s)
