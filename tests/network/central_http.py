"""Central as it shows itself over HTTP, wherever it runs."""

import re
from typing import Any

import httpx

from tests.network.brokers import READY_S_MAX
from tests.network.waiting import wait_until, wait_until_none

ANSWER_S_MAX = 5.0

Fields = dict[str, Any]


class CentralHttp:
    """Asks Central, and waits for what it shows; `http` has its address."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def get(self, path: str, **params: Any) -> Fields:
        answer = self.http.get(path, params=params)
        answer.raise_for_status()
        fields: Fields = answer.json()
        return fields

    def cp(self, cp_id: str) -> Fields:
        """A charging point as Central shows it; empty while Central does not, or is away."""
        try:
            answer = self.http.get(f"/cp/{cp_id}")
        except httpx.TransportError:
            return {}
        return answer.json() if answer.status_code == 200 else {}

    def shown(self) -> dict[str, Fields]:
        """The charging points as Central shows them, by id; empty while it does not, or is away."""
        try:
            answer = self.http.get("/cp")
        except httpx.TransportError:
            return {}
        points = answer.json()["charging_points"] if answer.status_code == 200 else []
        return {point["cp_id"]: point for point in points}

    def wait_available(self, *cp_ids: str, within_s: float = READY_S_MAX) -> None:
        """Wait until Central holds back no more and each of these can take a driver."""
        wait_until_none(
            lambda: [point for cp_id in cp_ids if not (point := self.cp(cp_id)).get("available")],
            within_s,
            f"{cp_ids} are available",
        )

    def wait_state(self, cp_id: str, state: str, within_s: float) -> Fields:
        return wait_until(
            lambda: shown if (shown := self.cp(cp_id)).get("state") == state else None,
            within_s,
            f"{cp_id} is shown {state}",
        )

    def ask(self, driver_id: str, cp_id: str | None, **more: Any) -> httpx.Response:
        return self.http.post(
            "/request/charge", json={"driver_id": driver_id, "cp_id": cp_id, **more}
        )

    def request_charge(self, driver_id: str, cp_id: str | None, within_s: float = 10.0) -> str:
        """Ask by HTTP until Central takes it; the request's id."""
        answer = wait_until(
            lambda: a if (a := self.ask(driver_id, cp_id)).status_code == 202 else None, within_s
        )
        request_id: str = answer.json()["request_id"]
        return request_id

    def request(self, request_id: str) -> Fields:
        return self.get(f"/requests/{request_id}")

    def wait_request(self, request_id: str, *statuses: str, within_s: float = 20.0) -> Fields:
        return wait_until(
            lambda: row if (row := self.request(request_id))["status"] in statuses else None,
            within_s,
            f"{request_id} is {statuses}",
        )

    def sessions(self, **params: Any) -> list[Fields]:
        """Sessions as Central stores them, newest first."""
        rows: list[Fields] = self.get("/sessions", limit=1000, **params)["sessions"]
        return rows

    def faults(self, cp_id: str | None = None) -> list[Fields]:
        params = {"cp_id": cp_id} if cp_id else {}
        rows: list[Fields] = self.get("/faults", limit=1000, **params)["faults"]
        return rows

    def metric(self, series: str, port: int | None = None) -> float:
        where = f"http://127.0.0.1:{port}" if port else ""
        text = self.http.get(f"{where}/metrics").text
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        if found is None:
            raise AssertionError(f"there is no metric {series}")
        return float(found[1])

    def health(self) -> int:
        """The status of Central's health; 0 while it is away."""
        try:
            return self.http.get("/health").status_code
        except httpx.TransportError:
            return 0

    def wait_healthy(self, within_s: float = READY_S_MAX) -> None:
        wait_until(lambda: self.health() == 200, within_s, "Central is healthy")
