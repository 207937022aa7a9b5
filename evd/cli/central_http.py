"""Central's HTTP, as the tool asks it."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from evd.cli.errors import ToolFailed

ANSWER_S: Final = 5.0


class CentralAway(ToolFailed):
    """Nobody answers at Central's address."""


class CentralRefused(ToolFailed):
    """Central says no: `status` is that of HTTP, `retry_s` when it may be asked again."""

    def __init__(self, status: int, sentence: str, retry_s: float | None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_s = retry_s


class Central:
    """Central at `host` and `port`."""

    def __init__(self, host: str, port: int) -> None:
        self.host = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        self.port = port

    @property
    def url(self) -> str:
        """Where a browser finds the dashboard."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def health(self) -> dict[str, Any]:
        """Its own word on itself; CentralRefused with the reason where it can't serve."""
        return self._call("GET", "/health")

    def charging_points(self) -> dict[str, Any]:
        """All charging points, and the number of active requests."""
        return self._call("GET", "/cp")

    def charging_point(self, cp_id: str) -> dict[str, Any] | None:
        """One of them, None for one that it does not know."""
        try:
            return self._call("GET", f"/cp/{quote(cp_id)}")
        except CentralRefused as error:
            if error.status == 404:
                return None
            raise

    def stop_cp(self, cp_id: str) -> None:
        """Take it out of service; a running session ends first."""
        self._call("POST", f"/cp/{quote(cp_id)}/stop")

    def resume_cp(self, cp_id: str) -> None:
        """Put it back into service."""
        self._call("POST", f"/cp/{quote(cp_id)}/resume")

    def forget_cp(self, cp_id: str) -> None:
        """Take a disconnected charging point off the list."""
        self._call("DELETE", f"/cp/{quote(cp_id)}")

    def sessions(self, **filters: str | int) -> list[dict[str, Any]]:
        """Sessions, newest first."""
        found: list[dict[str, Any]] = self._call("GET", f"/sessions?{urlencode(filters)}")[
            "sessions"
        ]
        return found

    def charge(self, request: Mapping[str, str]) -> str:
        """Ask for a charge; the request's id."""
        return str(self._call("POST", "/request/charge", request)["request_id"])

    def request(self, request_id: str) -> dict[str, Any]:
        """Where a request stands."""
        return self._call("GET", f"/requests/{quote(request_id)}")

    def accept_recovery(self) -> dict[str, Any]:
        """End the wait after a restore."""
        return self._call("POST", "/recovery/accept")

    def _call(
        self, method: str, path: str, body: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_S)
        try:
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        except TimeoutError:
            raise CentralAway(
                f"Central at {self.url} does not answer within {ANSWER_S:g} s."
            ) from None
        except OSError as error:
            why = error.strerror or str(error)
            raise CentralAway(f"Central at {self.url} can't be reached: {why}.") from None
        except http.client.HTTPException:
            raise CentralAway(f"What answers at {self.url} is not Central.") from None
        finally:
            connection.close()
        fields = _object(content)
        if answer.status >= 400:
            sentence = str(fields.get("error") or f"{answer.status} {answer.reason}")
            raise CentralRefused(answer.status, f"Central refuses: {sentence}", _seconds(answer))
        return fields


def _object(content: bytes) -> dict[str, Any]:
    if not content:
        return {}
    try:
        fields = json.loads(content)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise CentralAway("What answers at Central's address is not Central.")
    return fields


def _seconds(answer: http.client.HTTPResponse) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None
