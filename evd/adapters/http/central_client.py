"""Central's HTTP, asked for a driver's dashboard: what Central shows, or CentralAway."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, Final

import attrs
import httpx
import orjson
import trio

from evd.core.wire.fields import FieldError, check_cp_id, check_number, check_text

ANSWER_S_MAX: Final = 3.0
CONNECTIONS_MAX: Final = 8
# A network of thousands of charging points fits; nothing else that answers there may fill us up.
ANSWER_BYTES_MAX: Final = 16_000_000

# It would log a line for each request that it makes.
logging.getLogger("httpx").setLevel(logging.WARNING)


class CentralAway(Exception):
    """Central can't be asked now: it is away, not ready, or answers what is no answer of its."""


class CentralRefused(Exception):
    """Central's own 4xx, with its sentence, and the field that it names."""

    def __init__(self, status: int, sentence: str, field: str | None) -> None:
        super().__init__(sentence)
        self.status = status
        self.field = field


class Occupancy(StrEnum):
    """What a charging point is to a driver."""

    FREE = "FREE"
    OCCUPIED = "OCCUPIED"
    OFFLINE = "OFFLINE"


@attrs.frozen
class PointShown:
    """A charging point as a driver sees it; the rates, in kW and euros a kWh, may be unknown."""

    cp_id: str
    status: Occupancy
    kw_rate: float | None
    euro_rate: float | None
    location: str | None


class CentralApi:
    """Open it with `open_central_api`."""

    def __init__(self, client: httpx.AsyncClient, url: str, answer_s_max: float) -> None:
        self._client = client
        self._url = url
        self._answer_s_max = answer_s_max
        self._known: dict[str, PointShown] = {}

    @property
    def known_points(self) -> list[PointShown]:
        """Those that Central showed last, all OFFLINE: nobody can tell more while it is away."""
        return [attrs.evolve(each, status=Occupancy.OFFLINE) for each in self._known.values()]

    async def charging_points(self) -> list[PointShown]:
        """All of them.  Raises CentralAway."""
        answer = await self._get("/cp", {})
        points = [_point(each) for each in _list(answer, "charging_points")]
        self._known = {point.cp_id: point for point in points}
        return points

    async def charging_point(self, cp_id: str) -> PointShown:
        """One of them.  Raises CentralAway, or CentralRefused where nobody knows it."""
        point = _point(await self._get(f"/cp/{cp_id}", {}))
        self._known[point.cp_id] = point
        return point

    async def sessions(self, driver_id: str, limit: int, before: str | None) -> list[Any]:
        """A driver's sessions, newest first.  Raises CentralAway and CentralRefused."""
        query = {"driver_id": driver_id, "limit": str(limit)}
        if before is not None:
            query["before"] = before
        return _list(await self._get("/sessions", query), "sessions")

    async def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        try:
            with trio.fail_after(self._answer_s_max):
                async with self._client.stream("GET", self._url + path, params=query) as response:
                    status, raw = response.status_code, await _read(response)
        except trio.TooSlowError:
            raise CentralAway(
                f"Central does not answer at {self._url} within {self._answer_s_max:g} s"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise CentralAway(f"Central does not answer at {self._url}: {why}") from None
        try:
            answer = orjson.loads(raw)
        except orjson.JSONDecodeError:
            answer = None
        if isinstance(answer, dict) and status == httpx.codes.OK:
            return answer
        sentence = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(sentence, str):
            raise CentralAway(f"what answers at {self._url} is not Central (status {status})")
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise CentralAway(f"Central can't answer now: {sentence}")
        field = answer.get("field")
        raise CentralRefused(status, sentence, field if isinstance(field, str) else None)


@asynccontextmanager
async def open_central_api(
    url: str, *, answer_s_max: float = ANSWER_S_MAX
) -> AsyncIterator[CentralApi]:
    """A client of the Central at `url`, such as http://host:8000; it need not be there."""
    limits = httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=1)
    # No proxy and no .netrc of the environment: this is a matter between us and Central.
    async with httpx.AsyncClient(timeout=answer_s_max, limits=limits, trust_env=False) as client:
        yield CentralApi(client, url, answer_s_max)


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise httpx.DecodingError(f"more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)


def _list(answer: dict[str, Any], name: str) -> list[Any]:
    found = answer.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise CentralAway(f"Central's answer has no list of {name}")
    return found


def _point(fields: dict[str, Any]) -> PointShown:
    try:
        return PointShown(
            check_cp_id(fields.get("cp_id")),
            _occupancy(fields),
            _optional(fields, "kw_rate", check_number),
            _optional(fields, "euro_rate", check_number),
            _optional(fields, "location", check_text),
        )
    except FieldError as error:
        raise CentralAway(f"Central's answer is wrong: {error}") from None


def _optional(fields: dict[str, Any], name: str, check: Any) -> Any:
    value = fields.get(name)
    return None if value is None else check(value, name)


def _occupancy(fields: dict[str, Any]) -> Occupancy:
    if fields.get("available") is True:
        return Occupancy.FREE
    if fields.get("state") == "ON" and fields.get("current_session") is not None:
        return Occupancy.OCCUPIED
    return Occupancy.OFFLINE
