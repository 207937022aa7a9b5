"""The Centrals whose addresses are known here: which one serves, which stand by."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

import attrs

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.http.client import Way
from evd.adapters.http.refused import STANDING_BY
from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.finding import Finding
from evd.cli.programs import central_of


class Standing(StrEnum):
    """The use that a Central is now."""

    SERVES = "serves"
    STANDS_BY = "stands by"
    UNABLE = "can't serve"
    AWAY = "no answer"


@attrs.frozen
class CentralSeen:
    """A Central as its address shows it; `said` is its own sentence, or that of who asked it."""

    url: str
    standing: Standing
    said: str

    def __str__(self) -> str:
        return f"{self.url}: {self.standing}" + (f" ({self.said})" if self.said else "")


def seen_of(supervisor: Supervisor) -> list[CentralSeen]:
    """Each of several; none where one address alone is known, which its calls tell of."""
    ways = central_of(supervisor).ways
    return [_look(way) for way in ways] if len(ways) > 1 else []


def _look(way: Way) -> CentralSeen:
    try:
        Central(way).health()
    except CentralAway as error:
        return CentralSeen(way.url, Standing.AWAY, str(error))
    except CentralRefused as error:
        is_standby = error.code == STANDING_BY
        standing = Standing.STANDS_BY if is_standby else Standing.UNABLE
        return CentralSeen(way.url, standing, str(error))
    return CentralSeen(way.url, Standing.SERVES, "")


def centrals(supervisor: Supervisor) -> Iterator[Finding]:
    """Findings of `evd doctor` on them: nobody serves, or one of them is no help."""
    seen = seen_of(supervisor)
    if seen and not _serving(seen):
        yield Finding(
            f"None of {len(seen)} Centrals serves.",
            "One takes over within seconds; if none does, look at their database and their logs.",
        )
    for each in seen:
        if each.standing in (Standing.AWAY, Standing.UNABLE):
            yield Finding(
                f"The Central at {each}.",
                "See on its host why: evd doctor; or take its address out of --central-url.",
            )


def _serving(seen: Sequence[CentralSeen]) -> bool:
    return any(each.standing is Standing.SERVES for each in seen)
