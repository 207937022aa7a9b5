"""A bare broadcast by trio-websocket, for comparison: `python -m tests.bench.bare_feed PORT FILE`.

The messages in FILE, one a line, go to all clients four times a second, once a line comes in.
"""

import sys
import time
from functools import partial
from pathlib import Path

import trio
from trio_websocket import WebSocketRequest, serve_websocket

ROUND_S = 0.25


async def _serve(
    request: WebSocketRequest, channels: list[trio.MemorySendChannel[str]], first: str
) -> None:
    connection = await request.accept()
    await connection.send_message(first)
    send, receive = trio.open_memory_channel[str](16)
    channels.append(send)
    async for message in receive:
        await connection.send_message(message)


async def _broadcast(port: int, messages: list[str]) -> None:
    channels: list[trio.MemorySendChannel[str]] = []
    serve = partial(_serve, channels=channels, first=messages[0])
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_websocket, serve, "127.0.0.1", port, None))
        await trio.to_thread.run_sync(sys.stdin.readline)
        for message in messages:
            whole = f'{{"sent_s":{time.time()!r},{message[1:]}'
            for channel in channels:
                channel.send_nowait(whole)
            await trio.sleep(ROUND_S)
        print("SENT", flush=True)
        await trio.sleep_forever()


def main() -> None:
    """Broadcast until ended."""
    messages = Path(sys.argv[2]).read_text().splitlines()
    trio.run(_broadcast, int(sys.argv[1]), messages)


if __name__ == "__main__":
    main()
