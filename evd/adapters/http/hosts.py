"""The names that an HTTP server here answers to.

A page of another site can let its own name point to this machine (DNS rebinding), and its browser
then shows it our answers.  Only the name in the request tells.
"""

import socket
from collections.abc import Callable, Iterable

import attrs

from evd.adapters.http.refused import Refused
from evd.addresses import host_and_port, is_address


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _all_plain(names: Iterable[str]) -> frozenset[str]:
    return frozenset(_plain(name) for name in names)


@attrs.frozen
class Hosts:
    """IP addresses, `localhost`, this machine's own name, and `names`.

    `flag` is where an operator adds to `names`; `certified` gives those of its certificate.
    """

    names: frozenset[str] = attrs.field(default=(), converter=_all_plain)
    flag: str = "--http-hosts"
    certified: Callable[[], Iterable[str]] = tuple

    def check(self, authority: str) -> None:
        """Raise Refused unless the `host` or `host:port` of a request is one of them."""
        if not authority:
            raise Refused(400, "a request names its host")
        if not self._has(authority):
            raise Refused(
                421,
                "this server does not answer to the name of a host that was called; if it should,"
                f" give the name in {self.flag}",
            )

    def _has(self, authority: str) -> bool:
        try:
            name, _ = host_and_port(authority.removesuffix(":"))
        except ValueError:
            return False
        name, own = _plain(name), _plain(socket.gethostname())
        ours = {"localhost", own, own.partition(".")[0], *self.names}
        return is_address(name) or name in ours or name in _all_plain(self.certified())
