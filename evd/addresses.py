"""Hosts, ports and URLs as an operator writes them, checked and taken apart.

Each function raises ValueError with the reason.
"""

import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

PORT_MAX: Final = 65_535
# A client tries one server after the other, and comes back to the first after a round of all.
SERVERS_MAX: Final = 8

_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,254}}\Z){_LABEL}(\.{_LABEL})*\.?")
# A resolver takes a name with such an end for an IPv4 address: `127.1`, `0x7f000001`.
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
# After the % of an address such as fe80::1%eth0.
_ZONE: Final = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_USER: Final = re.compile(r"[^:/]*(:[^@]*)?@")
_PORTS: Final = {"http": 80, "https": 443}


def host(text: str) -> str:
    """A host's name or its IP address, an IPv6 address without brackets."""
    looks_like_address = ":" in text or _NUMBER.fullmatch(text.removesuffix(".").rpartition(".")[2])
    if not (is_address(text) if looks_like_address else _NAME.fullmatch(text)):
        raise ValueError("must be a host name or an address")
    return text


def hosts(text: str) -> tuple[str, ...]:
    """Hosts with commas between them."""
    return tuple(host(each.strip()) for each in text.split(","))


def networks(text: str) -> tuple[str, ...]:
    """IP addresses and networks, such as 10.0.0.0/8, with commas between them."""
    try:
        return tuple(str(ip_network(each.strip())) for each in text.split(","))
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.0/8") from None


def is_address(text: str) -> bool:
    """Whether it is an IP address, with or without a zone."""
    try:
        ip_address(text)
    except ValueError:
        return False
    _, percent, zone = text.partition("%")
    return not percent or _ZONE.fullmatch(zone) is not None


def is_loopback(name: str, resolve: Callable[[str], Iterable[str]] | None = None) -> bool:
    """Whether a host is this machine alone: an address of loopback, or a name with no other.

    A name that no resolver knows now is taken for another host.  `resolve`: gives the addresses of
    a name in the place of this machine's resolver.
    """
    if is_address(name):
        return _is_loopback(name)
    try:
        found = [*(resolve or _resolved)(name)]
    # UnicodeError: no resolver can be asked for this name.
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(map(_is_loopback, found))


def _resolved(name: str) -> Iterator[str]:
    for *_, address in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM):
        yield str(address[0])


def _is_loopback(address: str) -> bool:
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback


def host_and_port(text: str) -> tuple[str, int | None]:
    """The host and the port of `host`, `host:port` or `[::1]:port`; None for no port."""
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        if ":" not in name or not bracket:
            raise ValueError("must have an IPv6 address in its brackets")
    else:
        name, colon, port = text.partition(":")
        rest = colon + port
    name = host(name)
    if not rest:
        return name, None
    if not re.fullmatch(":[0-9]{1,9}", rest):
        raise ValueError("must have a number as its port")
    if not 1 <= int(rest[1:]) <= PORT_MAX:
        raise ValueError(f"has a port that is not from 1 to {PORT_MAX}")
    return name, int(rest[1:])


def bracketed(name: str) -> str:
    """A host as it stands before a port."""
    return f"[{name}]" if ":" in name else name


def bootstrap(text: str) -> str:
    """One `host:port`, or several with commas between them."""
    found = [host_and_port(each.strip()) for each in text.split(",")]
    if any(port is None for _, port in found):
        raise ValueError("must be host:port, or several with commas between them")
    return ",".join(f"{bracketed(name)}:{port}" for name, port in found)


def servers(text: str) -> tuple[str, ...]:
    """Hosts, each with its port or without one, with commas between them: `a,b:9998,[::1]:9998`."""
    return _several(text, _server)


def _server(text: str) -> str:
    # Without brackets all of an IPv6 address is the address, and none of it a port.
    name, port = (text, None) if is_address(text) else host_and_port(text)
    return bracketed(name) if port is None else f"{bracketed(name)}:{port}"


def with_port(server: str, port: int) -> str:
    """The `host:port` of a server that may name its port itself."""
    name, own = host_and_port(server)
    return f"{bracketed(name)}:{own or port}"


def urls(text: str) -> tuple[str, ...]:
    """HTTP URLs as `url` takes them, with commas between them."""
    return _several(text, url)


def _several(text: str, one: Callable[[str], str]) -> tuple[str, ...]:
    parts = [each.strip() for each in text.split(",")]
    if len(parts) > 1 and "" in parts:
        raise ValueError("must have an address before and after each comma")
    if len(parts) > SERVERS_MAX:
        raise ValueError(f"must be {SERVERS_MAX} addresses at the most")
    found = tuple(map(one, parts))
    check_once(found)
    return found


def check_once(addresses: Sequence[str]) -> None:
    """Raise ValueError where two of these servers are the same, however they are written."""
    if len({*map(_identity, addresses)}) < len(addresses):
        raise ValueError("must name each address once")


def _identity(text: str) -> tuple[str, str, int | None, str]:
    scheme, is_url, rest = text.partition("://")
    if not is_url:
        scheme, rest = "", text
    authority, _, path = rest.partition("/")
    name, port = host_and_port(authority)
    shown = str(ip_address(name)) if is_address(name) else name.lower().removesuffix(".")
    return scheme, shown, port or _PORTS.get(scheme), path


def url(text: str) -> str:
    """An HTTP URL without a query, its last slashes taken away."""
    _split(text)
    return text.rstrip("/")


def origins(text: str) -> tuple[str, ...]:
    """Origins with commas between them, each as a browser sends it."""
    return tuple(_origin(each.strip()) for each in text.split(","))


def _origin(text: str) -> str:
    parts = _split(text)
    if parts.path or "%" in text:
        raise ValueError("must be origins such as https://host:8443, with commas between them")
    name, port = host_and_port(parts.netloc)
    # A browser writes an address in its short form, and leaves out the port of the scheme.
    short = bracketed(str(ip_address(name))) if ":" in name else name.lower()
    origin = f"{parts.scheme}://{short}" + (f":{port}" if port else "")
    return origin.removesuffix(f":{_PORTS[parts.scheme]}")


def _split(text: str) -> SplitResult:
    # urlsplit leaves out line breaks and tabs.
    if not text.isascii() or not text.isprintable() or {" ", "?", "#"} & {*text}:
        raise ValueError("must be an address such as http://host:8000")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("must have an IPv6 address in its brackets") from None
    if parts.scheme not in _PORTS:
        raise ValueError("must be an address such as http://host:8000")
    if "@" in parts.netloc:
        raise ValueError("must have no user and no password")
    host_and_port(parts.netloc)
    return parts


def database_url(text: str) -> str:
    """`sqlite:///<file>`, or `postgresql+psycopg://` with host and port as everywhere."""
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite" and re.fullmatch(r"/(?!:memory:)[^?\s]\S*", rest):
        return text
    if scheme != "postgresql+psycopg" or not re.fullmatch(r"\S+", rest):
        raise ValueError("must begin with sqlite:///<file> or postgresql+psycopg://")
    user = _USER.match(rest)
    authority = re.split("[/?]", rest[user.end() if user else 0 :], maxsplit=1)[0]
    # Without a host it is a socket's folder, named in the query or the library's own.
    if authority:
        host_and_port(authority)
    return text
