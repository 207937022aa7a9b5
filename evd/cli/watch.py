"""`evd watch`: the window, kept as the feed and the keys change it."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import attrs
import trio
from rich.console import Console
from rich.live import Live
from rich.text import Text

from evd.adapters.feed.client import FeedRefused, FeedWay, follow
from evd.adapters.supervisor.protocol import Supervisor, SupervisorFailed
from evd.cli.command_line import console
from evd.cli.ending import end_with_the_first, run_until_ended
from evd.cli.errors import ToolFailed
from evd.cli.keys import READ_BYTES, keys_in, pressed_keys
from evd.cli.signals import until_interrupted
from evd.cli.status import lame_sentences
from evd.cli.watch_board import Board, NoFeed
from evd.cli.watch_view import Window
from evd.core.wire.fields import printable

# The ages of states are drawn anew each second, and changes not more often than this.
DRAW_S: Final = 1.0
DRAW_S_MIN: Final = 0.05
PROCESSES_S: Final = 5.0


def watch(supervisor: Supervisor, ways: Sequence[FeedWay]) -> int:
    """Show the window until the operator leaves it; the exit code."""
    screen = console()
    if screen.is_dumb_terminal:
        raise ToolFailed("evd watch needs a terminal that can be drawn on, and TERM is dumb.", 2)
    return run_until_ended(_Watch(supervisor, ways, screen).run)


@attrs.define
class _Watch:
    supervisor: Supervisor
    ways: Sequence[FeedWay]
    screen: Console
    board: Board = attrs.field(factory=Board)
    window: Window = attrs.field(init=False)
    _news: trio.Event = attrs.field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.window = Window(self.board)

    async def run(self) -> int:
        live = Live(self.window, console=self.screen, screen=True, auto_refresh=False)
        with _keyboard(), live:
            return await end_with_the_first(
                partial(self._draw, live),
                self._follow,
                self._read_keys,
                self._look_at_processes,
                partial(self._obey_signals, live),
                partial(until_interrupted, 0),
            )

    async def _draw(self, live: Live) -> int:
        while True:
            self._news = trio.Event()
            live.update(self.window, refresh=True)
            await trio.sleep(DRAW_S_MIN)
            with trio.move_on_after(DRAW_S):
                await self._news.wait()

    async def _follow(self) -> int:
        async def take(message: str) -> None:
            self.board.take(message)
            self._news.set()

        def on_away(why: str) -> None:
            self.board.away = f"{why}; trying again"
            self._news.set()

        try:
            await follow(self.ways, take, on_away)
        except FeedRefused as error:
            raise ToolFailed(f"Central refuses: {error}.") from None
        except NoFeed as error:
            where = " or ".join(each.url for each in self.ways)
            raise ToolFailed(f"What answers at {where} is not Central: {error}.") from None

    async def _read_keys(self) -> int:
        if not sys.stdin.isatty():
            await trio.sleep_forever()
        while True:
            await trio.lowlevel.wait_readable(sys.stdin)
            data = os.read(sys.stdin.fileno(), READ_BYTES)
            # None: the terminal has gone.
            if not data or not all(self.board.on_key(key) for key in keys_in(data)):
                return 0
            self._news.set()

    async def _look_at_processes(self) -> int:
        while True:
            try:
                # Beside the window: a supervisor that is busy must not hold it up.
                processes = await trio.to_thread.run_sync(
                    self.supervisor.status, abandon_on_cancel=True
                )
                self.window.sentences = lame_sentences(processes)
            except SupervisorFailed as error:
                self.window.sentences = [Text(printable(str(error)), "yellow")]
            self._news.set()
            await trio.sleep(PROCESSES_S)

    async def _obey_signals(self, live: Live) -> int:
        """Draw at once at another size, and give the terminal back while the tool is suspended."""
        with trio.open_signal_receiver(signal.SIGWINCH, signal.SIGTSTP) as signals:
            async for number in signals:
                if number == signal.SIGTSTP:
                    live.stop()
                    os.kill(os.getpid(), signal.SIGSTOP)
                    live.start()
                self._news.set()
        raise AssertionError("signals end never")


@contextmanager
def _keyboard() -> Iterator[None]:
    """Read keys from standard input where that is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    with pressed_keys(sys.stdin.fileno()):
        yield
