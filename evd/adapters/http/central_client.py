"""Central's HTTP as its clients ask it: the operator's tool, and a driver's page in a thread."""

import http.client
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import attrs
import orjson

from evd.adapters.http.client import (
    ANSWER_BYTES_MAX,
    READ_BYTES,
    HttpAnswer,
    NotHttp,
    NotReached,
    NotTrusted,
    Way,
    asked,
    exchange,
)
from evd.adapters.http.refused import STANDING_BY, Refused
from evd.adapters.http.turn import CONNECT_S_MAX, Turn

ANSWER_S_MAX: Final = 5.0

T = TypeVar("T")


class CentralAway(Exception):
    """Central can't be asked now: nobody answers, or what answers is not Central.

    `is_sent`: it may have been told all the same, and have done what it was asked.
    """

    def __init__(self, sentence: str, *, is_sent: bool = True) -> None:
        super().__init__(sentence)
        self.is_sent = is_sent


class CentralRefused(Refused):
    """Central's own error."""


class Central:
    """The Central at `way`, a URL such as http://host:8000 or more; it need not be there.

    Several ways are those to several Centrals, of which one serves: a call tries them in turn, and
    the next one begins with the one that served.  A call that changes something goes on to the next
    one only where it was certainly not carried out.

    Each call raises CentralAway and CentralRefused, and NotSent where a secret would go in clear.
    """

    def __init__(self, way: str | Way | Sequence[Way], answer_s_max: float = ANSWER_S_MAX) -> None:
        self.ways = ways_of(way)
        self._turn = Turn(self.ways)
        self._answer_s_max = answer_s_max

    @property
    def way(self) -> Way:
        """The way that served last, or will be tried first."""
        return self._turn.present

    @property
    def url(self) -> str:
        """The address of that one."""
        return self.way.url

    def health(self) -> dict[str, Any]:
        """Its own word on itself; CentralRefused with the reason where it can't serve."""
        return self._call("GET", "/health")

    def metrics(self) -> str:
        """Its metrics, as Prometheus reads them."""
        return b"".join(self._stream("/metrics")).decode(errors="replace")

    def charging_points(self) -> dict[str, Any]:
        """All charging points, and the number of active requests."""
        return self._call("GET", "/cp")

    def charging_point(self, cp_id: str) -> dict[str, Any] | None:
        """One of them, None for one that it does not know."""
        return self._find(f"/cp/{quote(cp_id)}")

    def stop_cp(self, cp_id: str) -> None:
        """Take it out of service; a running session ends first."""
        self._call("POST", f"/cp/{quote(cp_id)}/stop")

    def resume_cp(self, cp_id: str) -> None:
        """Put it back into service."""
        self._call("POST", f"/cp/{quote(cp_id)}/resume")

    def shut_cp_down(self, cp_id: str) -> None:
        """End the process of its engine."""
        self._call("POST", f"/cp/{quote(cp_id)}/shutdown")

    def forget_cp(self, cp_id: str) -> None:
        """Take a disconnected charging point off the list."""
        self._call("DELETE", f"/cp/{quote(cp_id)}")

    def sessions(self, **filters: str | int | None) -> list[dict[str, Any]]:
        """Sessions, newest first; a filter that is None does not count."""
        return list_in(self._call("GET", f"/sessions{query(filters)}"), "sessions")

    def sessions_csv(self, **filters: str | int | None) -> Iterator[bytes]:
        """All sessions as CSV, in pieces; a list of any length is never held whole."""
        yield from self._stream(f"/sessions{query(filters | {'format': 'csv'})}")

    def session(self, session_id: str) -> dict[str, Any]:
        """One session, with the course of its power."""
        return self._call("GET", f"/sessions/{quote(session_id)}")

    def stop_session(self, session_id: str) -> None:
        """End a running session; it is billed for its reading."""
        self._call("POST", f"/sessions/{quote(session_id)}/stop")

    def faults(self, **filters: str | int | None) -> list[dict[str, Any]]:
        """Faults and recoveries, newest first; a filter that is None does not count."""
        return list_in(self._call("GET", f"/faults{query(filters)}"), "faults")

    def timeline(self, **filters: str | int | None) -> list[dict[str, Any]]:
        """The story of a charging point or of the network, as `faults`."""
        return list_in(self._call("GET", f"/timeline{query(filters)}"), "timeline")

    def find_session(self, session_id: str) -> dict[str, Any] | None:
        """One session and its curve, None for one that it does not know."""
        return self._find(f"/sessions/{quote(session_id)}")

    def judge(self, session_id: str, verdict: str) -> None:
        """Bill a suspect session as it was recorded (`accept`), or at 0 (`void`)."""
        self._call("POST", f"/sessions/{quote(session_id)}/{verdict}")

    def charge(self, request: Mapping[str, str]) -> str:
        """Ask for a charge; the request's id."""
        return str(self._call("POST", "/request/charge", request)["request_id"])

    def request(self, request_id: str) -> dict[str, Any]:
        """How a request goes."""
        return self._call("GET", f"/requests/{quote(request_id)}")

    def feed_ticket(self) -> dict[str, Any] | None:
        """A `ticket` for the status feed, good once and for a moment, and its `feed_port`.

        None of a Central that wants none.
        """
        return self._find("/feed/ticket", "POST")

    def hand_over(self) -> dict[str, Any]:
        """Let another Central serve; its `standbys` are those that may."""
        return self._call("POST", "/central/handover")

    def accept_recovery(self) -> dict[str, Any]:
        """End the wait after a restore."""
        return self._call("POST", "/recovery/accept")

    def _find(self, path: str, method: str = "GET") -> dict[str, Any] | None:
        try:
            return self._call(method, path)
        except CentralRefused as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        is_secret: bool = False,
        answer_s_max: float | None = None,
    ) -> dict[str, Any]:
        content = None if body is None else orjson.dumps(body)
        bound_s = answer_s_max or self._answer_s_max

        def call(way: Way) -> dict[str, Any]:
            with _failures(way, bound_s):
                answer = exchange(
                    way, method, path, content, answer_s_max=bound_s, is_secret=is_secret
                )
            return _read(way, answer)

        return self._in_turn(method, call)

    def _in_turn(self, method: str, call: Callable[[Way], T]) -> T:
        """The first answer of one that serves; raises the failure, or those of all."""
        said: list[tuple[str, CentralAway | CentralRefused]] = []
        for way in self._turn:
            try:
                found = call(way)
            except (CentralAway, CentralRefused) as error:
                if not (self._turn.several and _may_go_on(error, method)):
                    raise
                said.append((way.url, error))
            else:
                self._turn.served(way)
                return found
        raise _none_serves(said)

    def _stream(self, path: str) -> Iterator[bytes]:
        """The body of a good answer, piece by piece; each has `answer_s_max` to come."""

        def begin(way: Way) -> tuple[bytes, Iterator[bytes]]:
            pieces = self._stream_from(way, path)
            return next(pieces, b""), pieces

        first, rest = self._in_turn("GET", begin)
        yield first
        yield from rest

    def _stream_from(self, way: Way, path: str) -> Iterator[bytes]:
        bound_s = self._answer_s_max
        with _failures(way, bound_s), asked(way, "GET", path, None, bound_s) as answer:
            if answer.status == http.client.OK:
                try:
                    while piece := answer.read1(READ_BYTES):
                        yield piece
                except http.client.IncompleteRead:
                    why = f"the answer of Central at {way.url} breaks off: it is not whole"
                    raise CentralAway(why) from None
                return
            body = answer.read(ANSWER_BYTES_MAX)
        # Only an error has another status.
        _read(way, HttpAnswer(answer.status, answer.headers, body))


@contextmanager
def _failures(way: Way, answer_s_max: float) -> Iterator[None]:
    """Raise what fails on the way as CentralAway, and a socket of others as CentralRefused."""
    try:
        yield
    except NotReached as error:
        cause = error.__cause__
        raise CentralAway(_why_not_reached(way, cause, answer_s_max), is_sent=False) from None
    except TimeoutError:
        raise CentralAway(
            f"Central at {way.url} does not answer within {answer_s_max:g} s"
        ) from None
    except PermissionError:
        why = f"{way.socket or way.url} is another user's"
        raise CentralRefused(http.client.FORBIDDEN, why) from None
    except OSError as error:
        why = error.strerror or str(error)
        raise CentralAway(f"Central at {way.url} can't be reached: {why}") from None
    except NotTrusted as error:
        raise CentralAway(
            f"Central at {way.url} can't be trusted: {error}; --tls-ca names"
            " those who vouch for it",
            is_sent=False,
        ) from None
    except NotHttp:
        raise CentralAway(f"what answers at {way.url} is not Central") from None


def _read(way: Way, answer: HttpAnswer) -> dict[str, Any]:
    """The object of a good answer, empty where it has no body."""
    is_good = http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES
    if is_good and not answer.body:
        return {}
    try:
        fields = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        fields = None
    if isinstance(fields, dict):
        if is_good:
            return fields
        sentence, field, code = map(fields.get, ("error", "field", "code"))
        if isinstance(sentence, str):
            retry = answer.headers.get("Retry-After", "")
            raise CentralRefused(
                answer.status,
                sentence,
                field if isinstance(field, str) else None,
                float(retry) if retry.isdecimal() else None,
                code=code if isinstance(code, str) else None,
            )
        if fields.get("status") == "unhealthy":
            # A stranger is told no more.
            raise CentralRefused(answer.status, "it can't serve now, and tells a stranger not why")
    raise CentralAway(f"what answers at {way.url} is not Central (status {answer.status})")


def _why_not_reached(way: Way, error: BaseException | None, answer_s_max: float) -> str:
    if isinstance(error, TimeoutError):
        bound_s = way.connect_s_max or answer_s_max
        return f"Central at {way.url} does not answer within {bound_s:g} s"
    why = (
        error.strerror or str(error)
        if isinstance(error, OSError)
        else f"no name of a host: {error}"
    )
    return f"Central at {way.url} can't be reached: {why}"


def ways_of(way: str | Way | Sequence[Way]) -> tuple[Way, ...]:
    """One way or several; a server among several has less time to take a connection."""
    if isinstance(way, str):
        return (Way(way),)
    if isinstance(way, Way):
        return (way,)
    if len(way) == 1:
        return tuple(way)
    return tuple(attrs.evolve(each, connect_s_max=CONNECT_S_MAX) for each in way)


def _may_go_on(error: CentralAway | CentralRefused, method: str) -> bool:
    """Whether another Central may be asked the same: this one does not serve, and did nothing."""
    if isinstance(error, CentralAway):
        return method == "GET" or not error.is_sent
    is_unable = method == "GET" and error.status == http.client.SERVICE_UNAVAILABLE
    return is_unable or error.code == STANDING_BY


def _none_serves(
    said: Sequence[tuple[str, CentralAway | CentralRefused]],
) -> CentralAway | CentralRefused:
    """The failure of a call that no Central has answered, with what each of them said."""
    refused = [error for _, error in said if isinstance(error, CentralRefused)]
    # A Central that can't be reached is named by its own sentence.
    parts = [
        str(error) if isinstance(error, CentralAway) else f"Central at {url}: {error}"
        for url, error in said
    ]
    text = "; ".join(parts)
    if not refused:
        return CentralAway(
            text, is_sent=any(not isinstance(e, CentralAway) or e.is_sent for _, e in said)
        )
    retry_s = min((each.retry_s for each in refused if each.retry_s is not None), default=None)
    return CentralRefused(http.client.SERVICE_UNAVAILABLE, text, retry_s=retry_s, code=STANDING_BY)


def list_in(answer: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The list of objects that an answer has under `name`; CentralAway where it has none."""
    found = answer.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise CentralAway(f"Central's answer has no list of {name}")
    return found


def query(filters: Mapping[str, str | int | None]) -> str:
    """The query of a path: the filters that are given."""
    given = {name: value for name, value in filters.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""
