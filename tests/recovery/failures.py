"""Each failure once: how long until it is shown, how long until all is normal again.

Recovery counts from the moment at which the part that failed says that it is ready.
"""

import time
from collections.abc import Callable, Mapping

from tests.recovery.scene import CP_IDS, PATIENCE_S, RELAYED, Scene

# At the least; the sessions that run end meanwhile.
BROKER_AWAY_S = 2.5
FINAL = ("COMPLETED", "DENIED", "FAILED")

Figures = Mapping[str, float]


def _point_of(trial: int) -> str:
    # Not the relayed one: its own failure is another.
    return CP_IDS[trial % (len(CP_IDS) - 1)]


def _until_shown(scene: Scene, cp_id: str, state: str, since_s: float) -> float:
    return scene.seconds_until(
        lambda: scene.network.cp(cp_id).get("state") == state, since_s, f"{cp_id} is {state}"
    )


def _until_in_service(scene: Scene, cp_id: str, since_s: float) -> float:
    return scene.seconds_until(
        lambda: scene.all_in_service([cp_id]), since_s, f"{cp_id} is in service"
    )


def engine_crashes(scene: Scene, trial: int) -> Figures:
    """Kill it in mid-session, hold it down until shown, and wait for its session's bill."""
    cp_id = _point_of(trial)
    engine = scene.network.points[cp_id].engine
    scene.network.wait_available(cp_id)
    request_id = scene.charge([cp_id])[cp_id]
    with scene.network.only(engine):
        scene.any_moment()
        failed_s = time.monotonic()
        engine.kill()
        detected_s = _until_shown(scene, cp_id, "BROKEN", failed_s)
        ready_s = engine.start_until_ready()
        _until_in_service(scene, cp_id, ready_s)
        scene.network.wait_request(request_id, "FAILED", within_s=PATIENCE_S)
        return {"engine crash shown": detected_s, "engine normal again": time.monotonic() - ready_s}


def engine_hangs(scene: Scene, trial: int) -> Figures:
    """Stop it as a debugger does, and wake it when it is shown."""
    cp_id = _point_of(trial)
    engine = scene.network.points[cp_id].engine
    with scene.network.only():
        scene.any_moment()
        failed_s = time.monotonic()
        engine.freeze()
        detected_s = _until_shown(scene, cp_id, "BROKEN", failed_s)
        woken_s = time.monotonic()
        engine.thaw()
        recovered_s = _until_in_service(scene, cp_id, woken_s)
    return {"engine hang shown": detected_s, "engine woken, normal again": recovered_s}


def monitor_crashes(scene: Scene, trial: int) -> Figures:
    """Kill it and hold it down until shown."""
    cp_id = _point_of(trial)
    monitor = scene.network.points[cp_id].monitor
    with scene.network.only(monitor):
        scene.any_moment()
        failed_s = time.monotonic()
        monitor.kill()
        detected_s = _until_shown(scene, cp_id, "DISCONNECTED", failed_s)
        ready_s = monitor.start_until_ready()
        recovered_s = _until_in_service(scene, cp_id, ready_s)
    return {"monitor crash shown": detected_s, "monitor normal again": recovered_s}


def monitor_cut_off(scene: Scene, trial: int) -> Figures:
    """Let nothing through between it and Central, and close no connection."""
    with scene.network.only():
        scene.any_moment()
        failed_s = time.monotonic()
        scene.relay.freeze()
        detected_s = _until_shown(scene, RELAYED, "DISCONNECTED", failed_s)
        healed_s = time.monotonic()
        scene.relay.thaw()
        recovered_s = _until_in_service(scene, RELAYED, healed_s)
    return {"monitor cut off shown": detected_s, "link healed, normal again": recovered_s}


def driver_crashes(scene: Scene, trial: int) -> Figures:
    """Kill it in mid-session; in turn it is back while that runs, or when it is over."""
    cp_id, driver = _point_of(trial), scene.driver
    scene.network.wait_available(cp_id)
    request_id = scene.driver_asks(cp_id)
    scene.seconds_until(
        lambda: scene.driver_told(request_id, "IN_PROGRESS"), 0.0, f"{request_id} runs"
    )
    with scene.network.only(driver):
        driver.kill()
        if trial % 2:
            scene.network.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
        told = len(driver.printed())
        ready_s = driver.start_until_ready()
        expected = FINAL if trial % 2 else ("IN_PROGRESS", *FINAL)
        recovered_s = scene.seconds_until(
            lambda: scene.driver_told(request_id, *expected, since=told),
            ready_s,
            f"the driver is told of {request_id}",
        )
    scene.network.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
    return {"driver normal again": recovered_s}


def central_crashes(scene: Scene, trial: int) -> Figures:
    """Kill it while every charging point has a session; it is back when all wait for it."""
    scene.seconds_until(scene.all_in_service, 0.0, "all are in service")
    requests = scene.charge(CP_IDS)
    central = scene.network.central()
    with scene.network.only(central):
        central.kill()
        scene.wait_buffered(CP_IDS)
        ready_s = central.start_until_ready()
        scene.seconds_until(scene.all_in_service, ready_s, "all are in service again")
        scene.wait_confirmed(CP_IDS)
        recovered_s = time.monotonic() - ready_s
    for request_id in requests.values():
        scene.network.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
    return {"Central normal again": recovered_s}


def broker_crashes(scene: Scene, trial: int) -> Figures:
    """Kill the embedded one, with all its data."""
    return {"broker normal again": _broker_crash(scene)}


def kafka_crashes(scene: Scene, trial: int) -> Figures:
    """Kill one node of Apache Kafka, which keeps its data."""
    return {"Kafka normal again": _broker_crash(scene)}


def _broker_crash(scene: Scene) -> float:
    """Kill the broker; sessions end while it is away, and a driver asks."""
    charging, asked = CP_IDS[:5], CP_IDS[5]
    scene.seconds_until(scene.all_in_service, 0.0, "all are in service")
    requests = scene.charge(charging)
    broker = scene.network.broker
    with scene.network.only(broker):
        broker.kill()
        time.sleep(BROKER_AWAY_S)
        scene.wait_buffered(charging)
        request_id = scene.driver_asks(asked)
        ready_s = broker.start_until_ready()
        scene.wait_confirmed(charging)
        scene.seconds_until(
            lambda: scene.driver_told(request_id, "IN_PROGRESS", *FINAL),
            ready_s,
            f"the driver is told of {request_id}",
        )
        scene.seconds_until(
            lambda: scene.all_in_service([each for each in CP_IDS if each != asked]),
            ready_s,
            "all are in service again",
        )
        recovered_s = time.monotonic() - ready_s
    for each in requests.values():
        scene.network.wait_request(each, "COMPLETED", within_s=PATIENCE_S)
    scene.network.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
    return recovered_s


Failure = Callable[[Scene, int], Figures]

# On the embedded broker, and on a node of Apache Kafka.
FAILURES: tuple[Failure, ...] = (
    engine_crashes,
    engine_hangs,
    monitor_crashes,
    monitor_cut_off,
    driver_crashes,
    central_crashes,
    broker_crashes,
)
KAFKA_FAILURES: tuple[Failure, ...] = (kafka_crashes,)
