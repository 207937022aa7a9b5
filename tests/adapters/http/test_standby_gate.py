"""The door of a Central that may not speak, before a gate and an app of the test's own."""

from typing import Any

import pytest
import trio
import trio.testing

from evd.adapters.http.access.standby_gate import RETRY_S, StandbyGate, leased
from evd.adapters.http.refused import STANDING_BY, Refused

START = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body", "body": b"{}"}


class Gate:
    """Notes who was admitted."""

    def __init__(self) -> None:
        self.admitted: list[str] = []

    async def admit(self, scope: dict[str, Any], _: trio.abc.Stream) -> None:
        self.admitted.append(scope["path"])


async def test_nothing_but_the_health_passes_a_silent_central() -> None:
    """Proves: while there is a reason to be silent each path but /health is a 503 with the reason,
    the code by which a client goes on to the next Central, and a time to come back; the gate
    behind is not asked.  From the time on when there is none, everything passes."""
    behind, stream = Gate(), trio.testing.memory_stream_pair()[0]
    why = "standing by for a:8000"
    gate = StandbyGate(behind, lambda: why)
    for path in ("/", "/cp", "/metrics", "/healthy", "/health/history"):
        with pytest.raises(Refused, match="standing by for a:8000") as caught:
            await gate.admit({"path": path}, stream)
        refused = caught.value
        assert (refused.status, refused.code, refused.retry_s) == (503, STANDING_BY, RETRY_S)
    await gate.admit({"path": "/health"}, stream)
    assert behind.admitted == ["/health"]
    why = ""
    await gate.admit({"path": "/cp"}, stream)
    assert behind.admitted == ["/health", "/cp"]


async def test_an_answer_that_comes_too_late_is_not_said() -> None:
    """Proves: an answer is cut off where the lease ended while it was made, before its first word
    or in its middle; the health is told all the same."""
    said: list[dict[str, Any]] = []
    lease = {"words": 0}

    async def app(_: Any, __: Any, send: Any) -> None:
        await send(START)
        await send(BODY)

    async def send(message: dict[str, Any]) -> None:
        lease["words"] -= 1
        said.append(message)

    answer = leased(app, lambda: lease["words"] > 0)
    for words, heard in ((2, [START, BODY]), (1, [START]), (0, [])):
        said.clear()
        lease["words"] = words
        if len(heard) == 2:
            await answer({"path": "/cp"}, None, send)
        else:
            with pytest.raises(trio.BrokenResourceError):
                await answer({"path": "/cp"}, None, send)
        assert said == heard
    said.clear()
    await answer({"path": "/health"}, None, send)
    assert said == [START, BODY]
