"""Many clients of a WebSocket in one cheap process: when each of their messages was here.

`python -m tests.bench.crowd PORT COUNT` prints READY once all have had a first message, and at the
end of its input the delays in ms, as JSON.  A message tells when its causes happened: `sent_s`, or
the `ts` of the charging points in it, by this machine's clock.
"""

import json
import os
import select
import socket
import sys
import time
from datetime import datetime

import orjson

from tests.bench.figures import percentile

HANDSHAKE = (
    b"GET /feed HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
RECEIVE_BYTES = 1 << 20
_TEXT, _PING = 0x81, 0x89


class Client:
    """One connection, and what it has received of a frame."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.sendall(HANDSHAKE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(RECEIVE_BYTES)
        self._bytes = head.partition(b"\r\n\r\n")[2]
        self.socket.setblocking(False)

    def receive(self) -> None:
        """Take what has come in."""
        self._bytes += self.socket.recv(RECEIVE_BYTES)

    def messages(self) -> list[bytes]:
        """The whole messages among what was taken; pings are answered."""
        found = []
        while (frame := self._next_frame()) is not None:
            kind, payload = frame
            if kind == _TEXT:
                found.append(payload)
            elif kind == _PING:
                # A mask of zeros leaves it as it is.
                pong = bytes((0x8A, 0x80 | len(payload))) + bytes(4) + payload
                self.socket.sendall(pong)
        return found

    def _next_frame(self) -> tuple[int, bytes] | None:
        data = self._bytes
        if len(data) < 2:
            return None
        length, start = data[1], 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start], "big")
        if len(data) < start + length:
            return None
        self._bytes = data[start + length :]
        return data[0], data[start : start + length]


def causes_of(message: bytes) -> list[float]:
    """The times, in seconds since 1970, of what a message tells of."""
    fields = orjson.loads(message)
    if "sent_s" in fields:
        return [fields["sent_s"]]
    meters = [point["telemetry"] for point in fields["charging_points"]]
    return [datetime.fromisoformat(meter["ts"]).timestamp() for meter in meters if meter]


class Crowd:
    """The clients, and the delay in seconds of each cause at each of them."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._poll.register(0, select.EPOLLIN)
        self._clients: dict[int, Client] = {}
        self._waiting: set[int] = set()
        # Clients get the same messages: each is read once.
        self._causes: dict[int, list[float]] = {}
        self.delays: list[float] = []

    @property
    def is_ready(self) -> bool:
        """Whether all have had a first message."""
        return not self._waiting

    def add(self, client: Client) -> None:
        """Take in one more, whose first message may have come with the end of its handshake."""
        fd = client.socket.fileno()
        self._clients[fd] = client
        self._waiting.add(fd)
        self._read(fd)
        self._poll.register(fd, select.EPOLLIN)

    def leave(self) -> None:
        """Close every connection: clients that work out figures do not read."""
        for client in self._clients.values():
            client.socket.close()

    def step(self, wait_s: float) -> bool:
        """Read what comes within `wait_s`; False once the input has ended."""
        for fd, _ in self._poll.poll(wait_s):
            if fd == 0:
                if not os.read(0, 1):
                    return False
                continue
            self._clients[fd].receive()
            self._read(fd)
        return True

    def _read(self, fd: int) -> None:
        for message in self._clients[fd].messages():
            now_s = time.time()
            if fd in self._waiting:
                self._waiting.remove(fd)
                continue
            key = hash(message[30:])
            if key not in self._causes:
                self._causes[key] = causes_of(message)
            self.delays += [now_s - cause_s for cause_s in self._causes[key]]


def main() -> None:
    """Follow, and print the figures."""
    port, count = map(int, sys.argv[1:])
    crowd = Crowd()
    for _ in range(count):
        crowd.add(Client(port))
        # Those who came first are asked meanwhile whether they read.
        crowd.step(0)
    while not crowd.is_ready:
        crowd.step(1)
    print("READY", flush=True)
    while crowd.step(1):
        pass
    crowd.leave()
    milliseconds = sorted(delay_s * 1000 for delay_s in crowd.delays)
    shares = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    figures = {name: percentile(milliseconds, share) for name, share in shares.items()}
    print(json.dumps({"count": len(milliseconds), **figures}), flush=True)


if __name__ == "__main__":
    main()
