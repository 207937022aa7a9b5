"""The end of a fleet at its Central: its charging points are taken off the list."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Final

import attrs
import trio

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused

AT_A_TIME_MAX: Final = 4
ROUNDS_MAX: Final = 8
REST_S: Final = 1.0
# Another try may be taken: its last word lies on Kafka, it was asked too often, or has no time.
_NOT_YET: Final = (
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


@attrs.define
class _Round:
    """One try of each: those that are left, and why; `final`: why no other try is of use."""

    left: list[str] = attrs.Factory(list)
    why: str = ""
    final: str = ""


@attrs.frozen
class Left:
    """The charging points that stay on Central's list, and why."""

    cp_ids: Sequence[str]
    why: str


async def remove(central: Central, cp_ids: Sequence[str]) -> Left:
    """Take these off Central's list, each when it can be; those that it does not know are gone."""
    tried = _Round(list(cp_ids))
    for number in range(ROUNDS_MAX):
        if not tried.left or tried.final:
            break
        await trio.sleep(REST_S if number else 0.0)
        tried = await _try_each(central, tried.left)
    return Left(tried.left, tried.final or tried.why)


async def _try_each(central: Central, cp_ids: Sequence[str]) -> _Round:
    tried = _Round()
    limiter = trio.CapacityLimiter(AT_A_TIME_MAX)
    async with trio.open_nursery() as nursery:
        for first in range(AT_A_TIME_MAX):
            part = cp_ids[first::AT_A_TIME_MAX]
            work = partial(_try_part, central, part, tried)
            nursery.start_soon(partial(_in_thread, work, limiter))
    return tried


async def _in_thread(work: Callable[[], None], limiter: trio.CapacityLimiter) -> None:
    await trio.to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=True)


def _try_part(central: Central, cp_ids: Sequence[str], tried: _Round) -> None:
    for number, cp_id in enumerate(cp_ids):
        if tried.final:
            tried.left += cp_ids[number:]
            return
        try:
            central.forget_cp(cp_id)
        except CentralAway as error:
            tried.left.append(cp_id)
            tried.final = str(error)
        except CentralRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                continue
            tried.left.append(cp_id)
            if error.status not in _NOT_YET:
                tried.final = str(error)
            tried.why = str(error)
            time.sleep(error.retry_s or 0.0)
