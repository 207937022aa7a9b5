"""A slow and lossy cable between two interfaces of this network namespace.

Run as `python poor_cable.py ONE OTHER DELAY_MS JITTER_MS LOSS_PERCENT`; it says `ready` and then
passes frames until it is killed.
"""

import contextlib
import heapq
import random
import select
import socket
import struct
import sys
import time
from typing import Final

# From linux/if_packet.h and linux/if_ether.h; Python's socket module has no names for them.
_SOL_PACKET: Final = 263
_PACKET_ADD_MEMBERSHIP: Final = 1
_PACKET_VNET_HDR: Final = 15
_PACKET_IGNORE_OUTGOING: Final = 23
_PACKET_MR_PROMISC: Final = 1
_ETH_P_ALL: Final = 3

FRAME_BYTES_MAX: Final = 70_000
TAKEN_AT_ONCE_MAX: Final = 64
# As on a real cable, what does not fit into the queue is lost.
QUEUE_MAX: Final = 10_000

Frame = tuple[float, int, socket.socket, bytes]


def opened(interface: str) -> socket.socket:
    """A socket that gets each frame of an interface, but those that we sent."""
    cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    # Frames come as they are kept inside the kernel: long ones, without checksums yet.
    cable.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    cable.bind((interface, 0))
    cable.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    everything = struct.pack("IHH8s", socket.if_nametoindex(interface), _PACKET_MR_PROMISC, 0, b"")
    cable.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, everything)
    cable.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    cable.setblocking(False)
    return cable


def main(one: str, other: str, delay_ms: float, jitter_ms: float, loss_percent: float) -> None:
    """Pass frames in both directions, for ever."""
    ends = (opened(one), opened(other))
    across = {ends[0]: ends[1], ends[1]: ends[0]}
    waiting: list[Frame] = []
    count = 0
    print("ready", flush=True)
    while True:
        timeout_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for end in select.select(ends, (), (), timeout_s)[0]:
            for frame in received(end):
                if random.random() * 100 < loss_percent or len(waiting) >= QUEUE_MAX:
                    continue
                takes_ms = max(0.0, random.uniform(delay_ms - jitter_ms, delay_ms + jitter_ms))
                count += 1
                due_s = time.monotonic() + takes_ms / 1000
                heapq.heappush(waiting, (due_s, count, across[end], frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, end, frame = heapq.heappop(waiting)
            # An interface that is down, or whose queue is full, loses it.
            with contextlib.suppress(OSError):
                end.send(frame)


def received(end: socket.socket) -> list[bytes]:
    """The frames that are there, so many at the most that the other end has its turn too."""
    frames: list[bytes] = []
    with contextlib.suppress(BlockingIOError):
        while len(frames) < TAKEN_AT_ONCE_MAX:
            frames.append(end.recv(FRAME_BYTES_MAX))
    return frames


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(float, sys.argv[3:6]))
