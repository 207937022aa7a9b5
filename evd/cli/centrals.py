"""The Centrals that are known here: which one serves, which stand by."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import attrs

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.http.client import Way
from evd.adapters.supervisor.protocol import Program, Supervisor
from evd.cli.errors import is_standby
from evd.cli.finding import Finding
from evd.cli.programs import central_of, config_of
from evd.config import DriverConfig, MonitorConfig


class Standing(StrEnum):
    """The use that a Central is now."""

    SERVES = "serves"
    STANDS_BY = "stands by"
    UNABLE = "can't serve"
    AWAY = "no answer"


@attrs.frozen
class StandbySeen:
    """A Central that stands by, as the one that serves knows it."""

    address: str
    kafka_up: bool


@attrs.frozen
class CentralSeen:
    """A Central as its address shows it; `said` is its own sentence, or that of who asked it.

    `standbys`: the others, as it knows them; None where it does not say, or has an SQLite file.
    """

    url: str
    standing: Standing
    said: str
    central_id: str = ""
    standbys: tuple[StandbySeen, ...] | None = None

    def __str__(self) -> str:
        said = f" ({self.said})" if self.said else ""
        if self.standbys is None:
            return f"{self.url}: {self.standing}{said}"
        names = [f"{each.address}{_NO_KAFKA[each.kafka_up]}" for each in self.standbys]
        count = "stands" if len(names) < 2 else "stand"
        return f"{self.url}: {self.standing}{said}; {', '.join(names) or 'nobody'} {count} by"


_NO_KAFKA = {True: "", False: " (without Kafka)"}


def seen_of(supervisor: Supervisor) -> list[CentralSeen]:
    """Each of several; where one address alone is known, the one that serves there, if it tells of
    others."""
    seen = [_look(way) for way in central_of(supervisor).ways]
    return seen if len(seen) > 1 or seen[0].standbys is not None else []


def _look(way: Way) -> CentralSeen:
    try:
        health = Central(way).health()
    except CentralAway as error:
        return CentralSeen(way.url, Standing.AWAY, str(error))
    except CentralRefused as error:
        standing = Standing.STANDS_BY if is_standby(error) else Standing.UNABLE
        return CentralSeen(way.url, standing, str(error))
    central_id = str(health.get("central_id", ""))
    return CentralSeen(way.url, Standing.SERVES, "", central_id, _standbys_in(health))


def _standbys_in(health: Mapping[str, Any]) -> tuple[StandbySeen, ...] | None:
    found = health.get("standbys")
    if not isinstance(found, list):
        return None
    dicts = [each for each in found if isinstance(each, dict)]
    return tuple(
        StandbySeen(str(each.get("address", "")), each.get("kafka_up") is not False)
        for each in dicts
    )


def centrals(supervisor: Supervisor, programs: Sequence[Program] = ()) -> Iterator[Finding]:
    """Findings of `evd doctor` on them: nobody serves, nobody stands by, or one is no help."""
    seen = seen_of(supervisor)
    if not supervisor.given.urls and all(each.standing is Standing.AWAY for each in seen):
        # Their HTTP need not be open to this host: the monitors here know whether one has them.
        return
    serving = [each for each in seen if each.standing is Standing.SERVES]
    if seen and not serving:
        yield Finding(
            f"None of {len(seen)} Centrals serves.",
            "One takes over within seconds; if none does, look at their database and their logs.",
        )
    lame = [each for each in seen if each.standing in (Standing.AWAY, Standing.UNABLE)]
    for each in lame:
        yield Finding(
            f"The Central at {each.url}: {each.standing} ({each.said}).",
            "See on its host why: evd doctor; or take its address out of --central-url.",
        )
    if len({each.central_id for each in serving}) > 1:
        yield Finding(
            f"Several Centrals serve: {', '.join(each.url for each in serving)}.",
            "Each has a database of its own: give them one --db-url, of PostgreSQL.",
        )
    for each in serving:
        yield from _lacking(each)
    are_meant = len(seen) > 1 or _know_several(programs)
    if are_meant and not lame and [each.standbys for each in serving] == [()]:
        yield Finding(
            f"The Central at {serving[0].url} serves, and no other one stands by.",
            "Start another one on the same --db-url, or take the address that is none out of"
            " --central-url and --central-host.",
        )


def _lacking(serving: CentralSeen) -> Iterator[Finding]:
    for each in serving.standbys or ():
        if not each.kafka_up:
            yield Finding(
                f"The Central at {each.address} stands by, and Kafka does not answer it.",
                "It would serve nobody: see on its host why: evd doctor",
            )


def _know_several(programs: Sequence[Program]) -> bool:
    """Whether a program here was given the addresses of several Centrals."""
    return any(
        (isinstance(config, MonitorConfig) and len(config.central_host) > 1)
        or (isinstance(config, DriverConfig) and len(config.central_url) > 1)
        for config in map(config_of, programs)
    )
