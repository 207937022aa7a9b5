"""A driver's day, made up for pictures: a session that runs, bills, charging points with places."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from evd.core.driver.events import CurrentRequest, CurrentSession
from evd.core.wire.messages import RequestStatus
from tests.adapters.http.driver_scene import ALICE, Scene

SEED: Final = 2
COUNT: Final = 12
SESSIONS: Final = 24
# The power in kW falls over the last part of a session, as a battery that is nearly full has it.
KW, FALL_S, RAN_S, STEP_S = 22.0, 1000, 1500, 15
EURO_RATE: Final = 0.3
PLACES: Final = ("Main Street 1", "Harbour car park", "Station North, bay 4", "Market hall", None)

Fields = dict[str, Any]


def prepare(scene: Scene) -> None:
    """Let the driver have charged for 25 minutes, and Central know all the rest."""
    chance = random.Random(SEED)
    scene.central.answers["/cp"] = (200, {"charging_points": _points(chance)})
    scene.central.answers["/sessions"] = (200, {"sessions": _sessions(chance)})
    scene.service.session = _running()
    scene.service.open_requests = [
        CurrentRequest("req-1", "CP-004", "session-1", RequestStatus.IN_PROGRESS, "", False)
    ]


def _running() -> CurrentSession:
    curve, kwh = [], 0.0
    for second in range(0, RAN_S, STEP_S):
        kw = min(KW, 4 + second / 4) - max(0, second - FALL_S) / 60
        kwh += kw * STEP_S / 3600
        curve.append((float(second), round(kw, 2), round(kwh, 3)))
    began = datetime.now(UTC) - timedelta(seconds=RAN_S)
    _, kw, kwh = curve[-1]
    return CurrentSession("session-1", "CP-004", kw, kwh, kwh * EURO_RATE, began, tuple(curve))


def _points(chance: random.Random) -> list[Fields]:
    return [
        {
            "cp_id": f"CP-{number:03}",
            "state": "ON" if use != "off" else "BROKEN",
            "available": use == "free",
            "current_session": "session-9" if use == "busy" else None,
            "kw_rate": kw,
            "euro_rate": round(0.25 + kw / 500, 2),
            "location": chance.choice(PLACES),
        }
        for number in range(1, COUNT + 1)
        for use, kw in [
            (chance.choice(("free", "free", "busy", "off")), chance.choice((7.4, 11, 22, 50, 150)))
        ]
    ]


def _sessions(chance: random.Random) -> list[Fields]:
    found = []
    for number in range(SESSIONS):
        began = datetime.now(UTC) - timedelta(hours=3 + 31 * number)
        kwh = round(chance.uniform(2, 40), 3)
        found.append(
            {
                "session_id": f"session-{number:032x}",
                "request_id": f"req-{number:032x}",
                "cp_id": f"CP-{chance.randint(1, COUNT):03}",
                "driver_id": ALICE,
                "start_time": began.isoformat(),
                "end_time": (began + timedelta(minutes=kwh * 3)).isoformat(),
                "total_kwh": kwh,
                "total_cost": round(kwh * EURO_RATE, 2),
                "status": "FAILED" if number == 4 else "COMPLETED",
                "reason": "",
                "estimated": False,
                "billable": True,
                "stray": False,
                "suspect": False,
            }
        )
    return found
