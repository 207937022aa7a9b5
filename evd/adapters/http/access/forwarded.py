"""The address that a request comes from, also where a proxy stands between."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

from evd.adapters.http.refused import Refused

_HEADERS: Final = (b"forwarded", b"x-forwarded-for")
_MISDIRECTED: Final = (
    "this request came through a proxy that is not trusted; with --auth required, name it in"
    " --http-proxies"
)


class Proxies:
    """The proxies that are believed; from others, a forwarded request is refused where `strict`:
    a proxy before a server without logins lets everybody in."""

    def __init__(self, networks: Iterable[str] = (), *, strict: bool) -> None:
        self._networks = [ip_network(each, strict=False) for each in networks]
        self._strict = strict

    def look(self, scope: dict[str, Any]) -> str:
        """The caller's address; the scheme in `scope` becomes that of the proxy's client.

        Raises Refused, a 421, for a request that no believed proxy forwarded.
        """
        peer = scope["client"][0] if scope["client"] else ""
        headers = scope["headers"]
        if not self._has(peer):
            if self._strict and any(name in _HEADERS for name, _ in headers):
                raise Refused(421, _MISDIRECTED)
            return str(peer)
        schemes = _listed(headers, b"x-forwarded-proto")
        if schemes and schemes[-1].lower() == "https":
            scope["scheme"] = "https"
        address = peer
        # The last one was written by the proxy itself; each before it is as good as its writer.
        for each in reversed(_listed(headers, b"x-forwarded-for")):
            if _parsed(each) is None:
                break
            address = each
            if not self._has(each):
                break
        return str(address)

    def _has(self, text: str) -> bool:
        address = _parsed(text)
        return address is not None and any(
            address.version == network.version and address in network for network in self._networks
        )


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _listed(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    values = [value.decode("latin-1") for key, value in headers if key == name]
    return [each.strip() for value in values for each in value.split(",") if each.strip()]
