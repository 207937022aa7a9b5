"""A driver's page whose driver and Central a test plays, served from a thread of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio

from evd.core.access.roles import Auth
from tests.adapters.http.driver_scene import Scene, dashboard

READY_S_MAX: Final = 20.0
LOOK_S: Final = 0.1


@contextmanager
def served_driver(
    prepare: Callable[[Scene], None] = lambda scene: None,
    auth: Auth = Auth.OFF,
    token: Callable[[], str | None] = lambda: None,
) -> Iterator[str]:
    """The address of the page of a driver who charges; `prepare` is called before it is asked, and
    `token` lets in."""
    found: list[str] = []
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with dashboard(auth, token) as scene:
            prepare(scene)
            found.append(f"http://127.0.0.1:{scene.port}/")
            ready.set()
            while not stop.is_set():
                await trio.sleep(LOOK_S)

    thread = threading.Thread(target=trio.run, args=(serve,), daemon=True)
    thread.start()
    try:
        assert ready.wait(READY_S_MAX)
        yield found[0]
    finally:
        stop.set()
        thread.join()
