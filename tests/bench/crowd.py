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
from collections.abc import Sequence
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


def follow(clients: Sequence[Client]) -> list[float]:
    """Read until the input ends; the delay in seconds of each cause at each client."""
    poll = select.epoll()
    by_fd = {client.socket.fileno(): client for client in clients}
    for fd in (0, *by_fd):
        poll.register(fd, select.EPOLLIN)
    # The first message may have come with the end of the handshake.
    waiting = {fd for fd, client in by_fd.items() if not client.messages()}
    if not waiting:
        print("READY", flush=True)
    # Clients get the same messages: each is read once.
    causes: dict[int, list[float]] = {}
    delays: list[float] = []
    while True:
        for fd, _ in poll.poll():
            if fd == 0:
                if not os.read(0, 1):
                    return delays
                continue
            by_fd[fd].receive()
            for message in by_fd[fd].messages():
                now_s = time.time()
                if fd in waiting:
                    waiting.remove(fd)
                    if not waiting:
                        print("READY", flush=True)
                    continue
                key = hash(message[30:])
                if key not in causes:
                    causes[key] = causes_of(message)
                delays += [now_s - cause_s for cause_s in causes[key]]


def main() -> None:
    """Follow, and print the figures."""
    port, count = map(int, sys.argv[1:])
    delays = follow([Client(port) for _ in range(count)])
    milliseconds = [delay_s * 1000 for delay_s in delays]
    shares = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    figures = {name: percentile(milliseconds, share) for name, share in shares.items()}
    print(json.dumps({"count": len(delays), **figures}), flush=True)


if __name__ == "__main__":
    main()
