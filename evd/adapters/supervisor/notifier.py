"""systemd's notify socket: readiness, status, watchdog.  Silent where no systemd asked for it."""

import contextlib
import os
import socket
from collections.abc import Mapping

_US_PER_S = 1_000_000


class Notifier:
    """Tells the service manager about this process.  Never blocks, never fails."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """`env` has NOTIFY_SOCKET, and WATCHDOG_USEC and WATCHDOG_PID, where they are wanted."""
        self._address = _address(env.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.watchdog_interval_s = _watchdog_interval_s(env) if self._address else None

    @property
    def is_heard(self) -> bool:
        """Whether somebody has asked to be told."""
        return self._socket is not None

    def ready(self) -> None:
        """The service has started."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The service is on its way down."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send("STATUS=" + text.replace("\n", " "))

    def alive(self) -> None:
        """The service is well; due every `watchdog_interval_s`, None for never."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if self._socket is None:
            return
        # A manager that is being restarted hears the next one.
        with contextlib.suppress(OSError):
            self._socket.sendto(state.encode(), self._address)


def _address(path: str) -> str:
    # A leading @ stands for the zero byte of an abstract socket.
    return "\0" + path[1:] if path.startswith("@") else path


def _watchdog_interval_s(env: Mapping[str, str]) -> float | None:
    limit_us = env.get("WATCHDOG_USEC", "")
    for_pid = env.get("WATCHDOG_PID", str(os.getpid()))
    if not limit_us.isdecimal() or int(limit_us) == 0 or for_pid != str(os.getpid()):
        return None
    # A third of the limit: one that comes late, on a busy machine, is not yet one that is missing.
    return int(limit_us) / _US_PER_S / 3
