"""The ports of the network's programs: those in use, those that are free, and their holders."""

import contextlib
import errno
import os
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final

import attrs

from evd.adapters.supervisor.protocol import Program, Supervisor
from evd.addresses import PORT_MAX
from evd.cli.errors import ToolFailed
from evd.cli.programs import config_of

# Below the ports that the kernel gives to outgoing connections.
HEALTH_PORTS: Final = (*range(8001, 8100), *range(20000, 21000))
DASHBOARD_PORTS: Final = (*range(8100, 8200), *range(21000, 22000))
CONTROLLER_PORTS: Final = (*range(9093, 9100), *range(25000, 26000))
METRICS_PORTS: Final = (*range(9201, 9600), *range(22000, 25000))
# So many ports after a network's own are tried.
COUNTED_ON: Final = 1000

# Ports that a program listens on, each with the field of its host.
_LISTENS: Final = {
    "listen_port": "listen_host",
    "controller_port": "listen_host",
    "http_port": "http_host",
    "feed_port": "http_host",
    "health_port": "health_host",
    "metrics_port": "metrics_host",
}
_EVERYWHERE: Final = {"0.0.0.0", "::"}
_ESTABLISHED: Final = "01"
_LISTENING: Final = "0A"


@attrs.frozen
class Endpoint:
    """An address that a program listens on, and its setting: a flag or a variable."""

    program: str
    flag: str
    variable: str
    has_flag: bool
    host: str
    port: int

    @property
    def user(self) -> str:
        """The program, with what the port is to it."""
        return f"{self.program} ({self.flag})"

    def meets(self, other: "Endpoint") -> bool:
        """Whether only one of the two can listen."""
        hosts = {self.host, other.host}
        return self.port == other.port and (len(hosts) == 1 or bool(hosts & _EVERYWHERE))

    def setting(self, supervisor: Supervisor) -> str:
        """The setting that an operator changes for another port, and its file."""
        if self.has_flag:
            return f"{self.flag} in {supervisor.file_of(self.program)}"
        return f"{self.variable} in {supervisor.file_of_variables(self.program)}"


@attrs.frozen
class Holder:
    """A process that listens on a port."""

    pid: int
    command: str


def endpoints(programs: Iterable[Program]) -> Iterator[Endpoint]:
    """All the addresses that these programs listen on."""
    for program in programs:
        config = config_of(program)
        for field, host_field in _LISTENS.items():
            port = getattr(config, field, 0)
            if config is not None and port:
                flag = "--" + field.replace("_", "-")
                yield Endpoint(
                    program=program.name,
                    flag=flag,
                    variable=config.PREFIX + field.upper(),
                    has_flag=any(each.partition("=")[0] == flag for each in program.arguments),
                    host=getattr(config, host_field),
                    port=port,
                )


def is_free(host: str, port: int) -> bool:
    """Whether a program could listen there now; an address that is not ours counts as free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # The daemons set it too: a closed connection that lingers is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror:
            return True
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def given_twice(programs: Iterable[Program]) -> Iterator[tuple[Endpoint, Endpoint]]:
    """Every two endpoints of which only one can listen."""
    users: dict[int, list[Endpoint]] = {}
    for endpoint in endpoints(programs):
        others = users.setdefault(endpoint.port, [])
        yield from ((other, endpoint) for other in others if other.meets(endpoint))
        others.append(endpoint)


def double_use(one: Endpoint, other: Endpoint) -> str:
    """The sentence about the two, without its full stop."""
    return f"Port {one.port} is given to both {one.user} and {other.user}"


def settings(one: Endpoint, other: Endpoint, supervisor: Supervisor) -> str:
    """The settings of which an operator changes one."""
    return f"{one.setting(supervisor)}, or {other.setting(supervisor)}"


def refuse_taken(programs: Sequence[Program], supervisor: Supervisor) -> None:
    """ToolFailed, naming port, holder and what to do, if one of these programs can't listen."""
    for pair in given_twice(programs):
        raise ToolFailed(f"{double_use(*pair)}: change {settings(*pair, supervisor)}.")
    for endpoint in endpoints(programs):
        if not is_free(endpoint.host, endpoint.port):
            raise ToolFailed(
                f"Port {endpoint.port} ({endpoint.flag} of {endpoint.program}) is in use"
                f"{describe_holder(endpoint.port)}: nothing was started. Stop that, or change"
                f" {endpoint.setting(supervisor)}."
            )


def describe_holder(port: int) -> str:
    """` by <command> (process <pid>)`, or nothing where that is not to be seen."""
    found = holder(port)
    return f" by {found.command} (process {found.pid})" if found else ""


def holder(port: int) -> Holder | None:
    """The process that listens on the port, as far as this user may see it."""
    sockets = {f"socket:[{fields[9]}]" for fields in _sockets(port, _LISTENING)}
    for folder in Path("/proc").iterdir() if sockets else ():
        # A process may end while it is looked at, or belong to somebody else.
        with contextlib.suppress(OSError):
            if folder.name.isdecimal() and any(
                os.readlink(fd) in sockets for fd in (folder / "fd").iterdir()
            ):
                return Holder(int(folder.name), _command(folder))
    return None


def clients(port: int) -> Counter[str]:
    """How many connections to the port each address has."""
    # The kernel may show a connection twice where others come and go while its table is read.
    seen = {(fields[1], fields[2]) for fields in _sockets(port, _ESTABLISHED)}
    return Counter(_address(theirs) for _, theirs in seen)


def _address(shown: str) -> str:
    """The address in a kernel's `address:port`, which has the bytes of each word reversed."""
    words = bytes.fromhex(shown.partition(":")[0])
    found = ip_address(b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4)))
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def _sockets(port: int, state: str) -> Iterator[list[str]]:
    """The kernel's lines of the sockets of a port of ours that are in this state."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == state and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields


def _command(folder: Path) -> str:
    words = (folder / "cmdline").read_bytes().split(b"\0")
    names = [Path(os.fsdecode(word)).name for word in words if word]
    # The name of an interpreter says little about its script.
    is_script = len(names) > 1 and names[0].startswith("python") and not names[1].startswith("-")
    return names[1] if is_script else (names[0] if names else "an unnamed program")


class PortChoice:
    """Gives out ports that nobody listens on and that no program of the network has."""

    def __init__(self, programs: Iterable[Program]) -> None:
        self._present = [*endpoints(programs)]
        self._taken = {endpoint.port: endpoint.user for endpoint in self._present}

    def claim(self, port: int, flag: str) -> int:
        """Keep a port that the operator chose by `flag`; ToolFailed where it is not to be had."""
        if port > PORT_MAX:
            raise ToolFailed(f"There is no port {port}: choose another {flag}.", 2)
        if port in self._taken:
            raise ToolFailed(
                f"Port {port} is given to {self._taken[port]} already: choose another {flag}."
            )
        if not is_free("127.0.0.1", port):
            raise ToolFailed(
                f"Port {port} is in use{describe_holder(port)}: choose another {flag}."
            )
        self._taken[port] = flag
        return port

    def count_on(self, group: str, flag: str, candidates: Sequence[int]) -> int:
        """The first free one after those that a group's programs have for `flag`.

        Where they have none, or nothing after them is free: of `candidates`.
        """
        name = f"{group}:"
        own = [x.port for x in self._present if x.flag == flag and x.program.startswith(name)]
        return self.take((*(after(max(own)) if own else ()), *candidates))

    def take(self, candidates: Sequence[int]) -> int:
        """The first free one of `candidates`."""
        for port in candidates:
            if port not in self._taken and is_free("127.0.0.1", port):
                self._taken[port] = "a new program"
                return port
        raise ToolFailed(f"No port from {candidates[0]} to {candidates[-1]} is free.")


def after(port: int) -> range:
    """The ports that are tried after this one."""
    return range(port + 1, min(port + 1 + COUNTED_ON, PORT_MAX + 1))
