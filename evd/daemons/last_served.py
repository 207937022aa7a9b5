"""The address of the Central that served last, kept beside the work of a client."""

import logging
from pathlib import Path

import trio

from evd.adapters.files.last_served import read_last_served, write_last_served

logger = logging.getLogger(__name__)


class LastServed:
    """`address` is the one that served last, None where nobody knows.

    A slow disk holds nobody up: `run` writes the newest one in a thread.
    """

    def __init__(self, state_dir: Path) -> None:
        self.address = self._written = read_last_served(state_dir)
        self._state_dir = state_dir
        self._changed = trio.Event()

    def keep(self, address: str) -> None:
        """Have it written soon."""
        self.address = address
        self._changed.set()

    async def run(self) -> None:
        """Write each new address, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            address = self.address
            if address is None or address == self._written:
                continue
            try:
                await trio.to_thread.run_sync(
                    write_last_served, self._state_dir, address, abandon_on_cancel=True
                )
                self._written = address
            except OSError as error:
                logger.warning("The address that served last is not kept: %s", error)
