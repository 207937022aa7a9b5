"""How every daemon begins and ends: one start, one stop within 5 s, three exit codes.

A daemon is `async run(config, lifecycle)`.  It binds its ports with `listen`, says
`lifecycle.ready(doing, is_stuck)`, works until `lifecycle.stopping` is set, then finishes what must
be finished and returns.  The exit code is 0 after that, 2 for what an operator has to correct, 1
for a crash.

SIGHUP asks for the files of certificates and tokens anew, unless the terminal has hung up.

An end that hangs is bounded three times: main is cancelled after `GRACE_S`, the process is ended by
its own loop after `HARD_END_S`, and without its loop after `LAST_END_S`.
"""

import contextlib
import errno
import faulthandler
import functools
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import NoReturn, TypeVar

import trio

from evd import logs
from evd.adapters.supervisor.notifier import Notifier
from evd.adapters.terminal import STARTED_FROM, Terminal
from evd.config import ProgramConfig, StatefulConfig, make_state_dir, restrict_modes
from evd.core.effects import Level
from evd.flags import ConfigError, PortInUse, parse_or_exit, refuse
from evd.protection import Opening, check

GRACE_S = 4.0
HARD_END_S = 4.5
LAST_END_S = 4.8
# Those who look at a service see what it does now, and the manager is told no more often.
DOING_S = 1.0
# Each connection is an open file; the usual limit of 1,024 is for programs that use select().
FILES_WANTED = 65_536
# A terminal and a supervisor may both pass on the same Ctrl-C.
SAME_SIGNAL_S = 0.2

EXIT_CRASH = 1
# EINVAL: an address without its interface.  EAFNOSUPPORT: IPv6 where there is none.
_NO_ADDRESS = (errno.EADDRNOTAVAIL, errno.EINVAL, errno.EAFNOSUPPORT)
# A shell tells its jobs of its end a moment before the terminal is gone.
SHELL_ENDS_S = 1.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

C = TypeVar("C", bound=ProgramConfig)

logger = logging.getLogger(__name__)


class Lifecycle:
    """The messages between a daemon and its supervisor: ready, status, stop."""

    def __init__(self, notifier: Notifier | None = None) -> None:
        """Tell nobody outside where there is no notifier, as in a test."""
        self.stopping = trio.Event()
        self.serving = trio.Event()
        self._notifier = notifier or Notifier({})
        self._doing: Callable[[], str] | None = None
        self._is_stuck: Callable[[], bool] | None = None
        # Reads the files of certificates and tokens anew.
        self.renew: Callable[[], None] = _nothing_to_renew

    def ready(
        self,
        doing: Callable[[], str] | None = None,
        is_stuck: Callable[[], bool] | None = None,
    ) -> None:
        """Tell the supervisor that everything is bound and loaded.

        From then on `doing` says in one line what the daemon does, and `is_stuck` whether its own
        loop has stopped turning, though Trio's turns: then no watchdog is fed.
        """
        self._doing, self._is_stuck = doing, is_stuck
        self._notifier.ready()
        self.serving.set()

    def doing(self) -> str | None:
        """The present work in one line, None where nobody tells."""
        return self._doing() if self._doing is not None else None

    @property
    def is_stuck(self) -> bool:
        """Whether the daemon's own loop has stopped turning."""
        return self._is_stuck is not None and self._is_stuck()

    @staticmethod
    def end_at_once(reason: str, level: Level = Level.ERROR) -> NoReturn:
        """End the process as a crash does, for the supervisor to start it anew: nothing more may
        be said, and all that must outlive it is on disk."""
        logger.log(logs.LEVELS[level], "Ends, to begin anew: %s", reason)
        logging.shutdown()
        os._exit(EXIT_CRASH)

    @staticmethod
    def end_stopped(reason: str) -> NoReturn:
        """End the process where only a wait without an end is left, and all that must outlive it is
        on disk."""
        logger.info("Stopped: %s", reason)
        logging.shutdown()
        os._exit(0)

    def status(self, text: str) -> None:
        """Show one line to those who look at the service."""
        self._notifier.status(text)

    def stop(self, reason: str) -> None:
        """Begin the stop, as a signal does; `reason` is for the log.  Safe to repeat."""
        if self.stopping.is_set():
            return
        logger.info("Stopping (%s)", reason)
        self._notifier.stopping()
        self.stopping.set()


def _nothing_to_renew() -> None:
    logger.info("SIGHUP: there is no certificate and no token to read again")


def raise_file_limit() -> None:
    """Allow as many open files as the system lets this process have, up to FILES_WANTED."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def files_max() -> int:
    """How many files this process may have open, of which it counts on FILES_WANTED at the most."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return FILES_WANTED if soft == resource.RLIM_INFINITY else soft


def run_program(
    parse: Callable[[Sequence[str], Mapping[str, str]], C],
    main: Callable[[C, Lifecycle], Awaitable[int | None]],
) -> NoReturn:
    """Do all that an entry point does: flags, state directory, log, `main`, exit code."""
    restrict_modes()
    config, openings = parse_or_exit(lambda argv, env: _checked(parse(argv, env)))
    logs.configure(config.component, config.log_level, config.log_format)
    if config.insecure:
        _tell_insecure(openings)
    raise_file_limit()
    # The watchdog ends a hang by SIGABRT: the log then says where it hung.
    faulthandler.enable(logs.STDERR_FD)
    if isinstance(config, StatefulConfig):
        try:
            make_state_dir(config.state_dir)
        except ConfigError as error:
            sys.exit(refuse(error))
    code = run_daemon(functools.partial(main, config))
    # The interpreter's own end is left out: libraries may hang there, and all that must outlive
    # this process is on disk.
    os._exit(code)


def _checked(config: C) -> tuple[C, Sequence[Opening]]:
    return config, check(config)


def _tell_insecure(openings: Sequence[Opening]) -> None:
    if openings:
        logger.warning("--insecure: %s", "; ".join(str(each) for each in openings))
    else:
        logger.warning("--insecure is given, and no port needs it")


def run_daemon(main: Callable[[Lifecycle], Awaitable[int | None]]) -> int:
    """Run `main` until it returns; return the process's exit code."""
    notifier = Notifier(os.environ)
    lifecycle = Lifecycle(notifier)
    signals = _Signals(lifecycle)
    try:
        return trio.run(_supervise, main, lifecycle, notifier, signals)
    # The one place that takes every error: it is logged once, and the process ends.
    except Exception as error:  # noqa: BLE001
        return _exit_code(error)


async def _supervise(
    main: Callable[[Lifecycle], Awaitable[int | None]],
    lifecycle: Lifecycle,
    notifier: Notifier,
    signals: "_Signals",
) -> int:
    code: int | None = None
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(_end_in_time, lifecycle, scope)
        if notifier.is_heard:
            nursery.start_soon(_show_doing, lifecycle)
        if notifier.watchdog_interval_s is not None:
            interval_s = notifier.watchdog_interval_s
            nursery.start_soon(_feed_watchdog, lifecycle, notifier, interval_s)
        nursery.start_soon(signals.end_with_terminal)
        signals.deliver_to(trio.lowlevel.current_trio_token())
        with scope:
            code = await main(lifecycle)
        nursery.cancel_scope.cancel()
    if lifecycle.stopping.is_set():
        logger.info("Stopped")
    return code or 0


async def _end_in_time(lifecycle: Lifecycle, scope: trio.CancelScope) -> None:
    await lifecycle.stopping.wait()
    _bound_the_end()
    await trio.sleep(GRACE_S)
    logger.warning("Not finished within %.1f s: cancelled", GRACE_S)
    scope.cancel()
    await trio.sleep(HARD_END_S - GRACE_S)
    logger.error("Still not finished within %.1f s: ended", HARD_END_S)
    os._exit(EXIT_CRASH)


async def _show_doing(lifecycle: Lifecycle) -> None:
    shown = None
    while True:
        doing = lifecycle.doing()
        if doing is not None and doing != shown:
            lifecycle.status(doing)
            shown = doing
        await trio.sleep(DOING_S)


async def _feed_watchdog(lifecycle: Lifecycle, notifier: Notifier, interval_s: float) -> None:
    # This task runs beside the daemon's own: where Trio's loop hangs nothing feeds the watchdog.
    # The first word would set it going, and a start that imports and loads has a bound of its own.
    await lifecycle.serving.wait()
    told = False
    while True:
        if not lifecycle.is_stuck:
            notifier.alive()
        elif not told:
            told = True
            logger.error("The loop does not turn: the watchdog is to start this process anew")
        await trio.sleep(interval_s)


@functools.cache
def _bound_the_end() -> None:
    # Cached, because a second call would begin the time anew.
    # The timer is a thread in C: it needs neither loop nor interpreter, and shows where they hang.
    faulthandler.dump_traceback_later(LAST_END_S, exit=True, file=logs.STDERR_FD)


class _Signals:
    """The first that stops begins the stop, a later one but a SIGHUP ends the process at once.

    A SIGHUP stops where the terminal has hung up, else it renews.
    """

    def __init__(self, lifecycle: Lifecycle, terminal: Terminal = STARTED_FROM) -> None:
        self._lifecycle = lifecycle
        self._terminal = terminal
        self._hung_up = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._first: tuple[str, float] | None = None
        for number in (*STOP_SIGNALS, signal.SIGHUP):
            signal.signal(number, self._receive)

    def deliver_to(self, token: trio.lowlevel.TrioToken) -> None:
        """Tell the loop of each signal from now on, and now of one that came before."""
        self._token = token
        if self._first is not None:
            self._lifecycle.stop(self._first[0])

    async def end_with_terminal(self) -> None:
        """Stop where the terminal is gone only after the SIGHUP that told of it."""
        while self._terminal.is_needed:
            await self._hung_up.wait()
            self._hung_up = trio.Event()
            await trio.sleep(SHELL_ENDS_S)
            if self._terminal.has_hung_up():
                self._lifecycle.stop(signal.SIGHUP.name)
                return

    def _receive(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP and not self._terminal.has_hung_up():
            self._tell(self._renew)
            return
        now = time.monotonic()
        if self._first is None:
            self._first = (signal.Signals(number).name, now)
            # The loop may be the part that hangs, so the bound is not set there.
            _bound_the_end()
            self._tell(functools.partial(self._lifecycle.stop, self._first[0]))
        elif number != signal.SIGHUP and now - self._first[1] > SAME_SIGNAL_S:
            logger.error("Ended at once (second %s)", signal.Signals(number).name)
            os._exit(EXIT_CRASH)

    def _renew(self) -> None:
        self._hung_up.set()
        if not self._lifecycle.stopping.is_set():
            self._lifecycle.renew()

    def _tell(self, call: Callable[[], None]) -> None:
        # Before the loop no file was read.  Afterwards it has ended by itself already.
        if self._token is not None:
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(call)


def _exit_code(error: Exception) -> int:
    for leaf in _leaves(error):
        if isinstance(leaf, ConfigError):
            return refuse(leaf)
    logger.error("Crashed: %s", _leaves(error)[0], exc_info=error)
    return EXIT_CRASH


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


@contextlib.contextmanager
def naming_state_dir(*refusals: type[Exception]) -> Iterator[None]:
    """Turn `refusals`, and an OSError that names a file, into a ConfigError of --state-dir."""
    try:
        yield
    except refusals as error:
        raise ConfigError(f"--state-dir: {error}") from None
    except OSError as error:
        if error.filename is None:
            raise
        raise ConfigError(f"--state-dir: {error.filename!r}: {error.strerror}") from None


@contextlib.contextmanager
def naming_port(flag: str, host: str, port: int, *, host_flag: str | None = None) -> Iterator[None]:
    """Turn a bind that fails inside into PortInUse or ConfigError of `flag`, such as `--http-port`.

    An error of the host names `host_flag`, by default the one beside it, such as `--http-host`.
    """
    host_flag = host_flag or flag.removesuffix("-port") + "-host"
    try:
        yield
    except socket.gaierror as error:
        raise ConfigError(f"{host_flag}: {host}: {error.strerror}") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"{flag}: {host}:{port} is in use by another program") from None
        if error.errno in _NO_ADDRESS:
            raise ConfigError(f"{host_flag}: {host} is no address of this machine") from None
        if error.errno == errno.EACCES:
            raise ConfigError(f"{flag}: no permission to listen on {host}:{port}") from None
        raise


async def listen(
    flag: str, host: str, port: int, *, host_flag: str | None = None
) -> list[trio.SocketListener]:
    """Listen on `host` and `port`; PortInUse or ConfigError names the flag (`naming_port`)."""
    with naming_port(flag, host, port, host_flag=host_flag):
        return await trio.open_tcp_listeners(port, host=host)
