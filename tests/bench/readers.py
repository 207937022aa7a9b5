"""Readers of costly pages, each once a second.

`python -m tests.bench.readers URL PATH...` prints READY once each page was read, and goes on until
it is ended, or a page is not answered well.
"""

import sys

import httpx
import trio

EACH_S = 1.0
ANSWER_S_MAX = 60.0


async def read(client: httpx.AsyncClient, path: str) -> None:
    """Read a page; httpx.HTTPError where it is not answered well."""
    answer = await client.get(path)
    answer.raise_for_status()


async def read_for_ever(client: httpx.AsyncClient, path: str) -> None:
    """Read a page once a second."""
    while True:
        await trio.sleep(EACH_S)
        await read(client, path)


async def run(url: str, paths: list[str]) -> None:
    """Read all pages side by side."""
    async with httpx.AsyncClient(base_url=url, timeout=ANSWER_S_MAX) as client:
        for path in paths:
            await read(client, path)
        print("READY", flush=True)
        async with trio.open_nursery() as nursery:
            for path in paths:
                nursery.start_soon(read_for_ever, client, path)


if __name__ == "__main__":
    trio.run(run, sys.argv[1], sys.argv[2:])
