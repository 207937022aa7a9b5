"""The Centrals of a network: one with a file of its own, or several on one PostgreSQL database."""

import contextlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
import psycopg

from evd.adapters.http.client import Way
from evd.adapters.supervisor.protocol import CentralGiven, Program
from tests.adapters.store.databases import PostgresServer, new_postgres_url, open_postgres
from tests.chaos.plan import CENTRAL, central_names
from tests.network import checker, supervised
from tests.network.processes import Relay, free_port
from tests.network.several import by_relay, relay_to

# The database of a Central, or of all of them, that is killed or hangs can't be read.
UNREADABLE: Final = (sqlite3.OperationalError, psycopg.OperationalError)

# One of several ends by itself when it has lost the lock, for its supervisor to start it anew.
_ENDS: Final = "Ends, to begin anew"
_EXITED: Final = re.compile(r"exited: (\S+) \(exit status 1;")


@attrs.frozen
class Member:
    """One Central: its name at the supervisor, its ports, its folder, its way to the database."""

    name: str
    http_port: int
    control_port: int
    feed_port: int
    state_dir: Path
    db_relay: Relay | None = None
    db_url: str = ""

    @property
    def way(self) -> Way:
        """The way to it as its own user, who needs no token there, whatever --auth is."""
        return Way(f"http://127.0.0.1:{self.http_port}", self.state_dir / "admin.sock")

    def program(self, logged: Sequence[str]) -> Program:
        """It, as its supervisor is to run it."""
        group, _, member = self.name.partition(":")
        if not member:
            return Program(group, None, tuple(logged))
        flags = (
            *("--http-port", str(self.http_port)),
            *("--listen-port", str(self.control_port)),
            *("--feed-port", str(self.feed_port)),
            *("--state-dir", str(self.state_dir)),
            *("--db-url", self.db_url),
        )
        return Program(group, member, (*flags, *logged))


@attrs.frozen
class Centrals:
    """All of them, with the database of several; `url` is that of the database on its server."""

    members: Sequence[Member]
    database: Path
    server: PostgresServer | None = None
    url: str = ""

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self.members) > 1

    @property
    def ways(self) -> list[Way]:
        """The ways to them, of which one serves."""
        return [each.way for each in self.members]

    def given(self) -> CentralGiven:
        """How the operator names them."""
        return CentralGiven(tuple(each.way.url for each in self.members) if self.several else ())

    def relay_to_database(self, name: str) -> Relay:
        """The way of one of them to the database."""
        (relay,) = [each.db_relay for each in self.members if each.name == name]
        assert relay is not None
        return relay

    def stored(self) -> tuple[list[checker.Row], dict[str, checker.Row]]:
        """The rows of the sessions, and the requests by id."""
        return checker.read_server(self.url) if self.url else checker.read_central(self.database)

    def crashes(self, lines: Sequence[str], logs: Mapping[str, str]) -> list[str]:
        """Those of the supervisor's `lines` on ends that are crashes, and not the way of one of
        several to stand by again; `logs` by the last part of a Central's name."""
        ends = Counter({name: text.count(_ENDS) for name, text in logs.items()})
        found = []
        for line in lines:
            name = match[1] if (match := _EXITED.search(line)) else ""
            if ends[name] > 0:
                ends[name] -= 1
            else:
                found.append(line)
        return found


@contextlib.contextmanager
def centrals_in(root: Path, files: supervised.Network, count: int) -> Iterator[Centrals]:
    """So many Centrals of a network that is not started yet; several have a server of their own."""
    var = files.supervisord.var
    ports = files.ports[8000], files.ports[9999], files.ports[8765]
    if count == 1:
        folder = var / "central"
        yield Centrals([Member(CENTRAL, *ports, folder)], folder / "central.db")
        return
    conf = files.conf.read_text()
    files.conf.write_text(conf.replace("groups = ", f"groups = {CENTRAL} "))
    with open_postgres() as server, contextlib.ExitStack() as stack:
        url = new_postgres_url(server.directory, by_tcp=True)
        members = []
        for number, name in enumerate(central_names(count)):
            relay = relay_to(server, f"db-relay-{number}", root)
            stack.callback(relay.start().end)
            own = (free_port(), free_port(), free_port()) if number else ports
            folder = var / name.rpartition(":")[2]
            members.append(Member(name, *own, folder, relay, by_relay(url, relay)))
        yield Centrals(members, var / "none", server, url)
