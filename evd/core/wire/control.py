"""The messages in TCP frames: between monitor and Central, and between monitor and engine."""

from enum import StrEnum
from typing import Final

import attrs

from evd.core.wire.fields import (
    FieldError,
    choice_field,
    count_field,
    cp_id_field,
    euro_rate_field,
    id_field,
    kw_rate_field,
    location_field,
    number_field,
    secret_field,
    text_field,
)
from evd.core.wire.messages import CpState


class EngineStatus(StrEnum):
    """A monitor's verdict on its engine."""

    OK = "OK"
    KO = "KO"


class KoCause(StrEnum):
    """Why the last check failed: nothing listens on the engine's port, or anything else."""

    REFUSED = "refused"
    TIMEOUT = "timeout"


class NackCode(StrEnum):
    """Why Central did not take a message: programs go by it, people by the reason."""

    BAD_FRAME = "bad_frame"
    BAD_FIELD = "bad_field"
    NOT_REGISTERED = "not_registered"
    OTHER_CP = "other_cp"
    DUPLICATE = "duplicate"
    FULL = "full"
    STANDING_BY = "standing_by"
    UNAUTHORIZED = "unauthorized"


# Central refuses for these reasons until somebody changes something: monitors come back seldom.
LASTING_REFUSALS: Final = frozenset({NackCode.DUPLICATE, NackCode.FULL, NackCode.UNAUTHORIZED})


@attrs.frozen(slots=True)
class MonitorMessage:
    """The fields that every message of a monitor carries."""

    cp_id: str = cp_id_field()
    seq: int = count_field()


@attrs.frozen(slots=True)
class Heartbeat(MonitorMessage):
    """The verdict, and of the last PONG that this monitor process had: the engine's boot, the
    `seq` of its newest report, its uptime in seconds, its state, its session."""

    engine_status: EngineStatus = choice_field(EngineStatus)
    ko_cause: KoCause | None = choice_field(KoCause, null=True)
    boot_id: str | None = id_field(optional=True)
    report: int | None = count_field(optional=True)
    up_s: float | None = number_field(optional=True)
    engine_state: CpState | None = choice_field(CpState, optional=True)
    session_id: str | None = id_field(optional=True)
    reason: str | None = text_field(optional=True)

    def __attrs_post_init__(self) -> None:
        if self.engine_status is EngineStatus.KO and self.ko_cause is None:
            raise FieldError("ko_cause", "must be refused or timeout while engine_status is KO")
        if self.boot_id is not None:
            for name in ("report", "up_s", "engine_state"):
                if getattr(self, name) is None:
                    raise FieldError(name, "is missing: it goes with boot_id")


@attrs.frozen(slots=True)
class Register(Heartbeat):
    """A monitor presents its charging point.

    The rates (kW, euros a kWh) are null until the engine has answered once.
    """

    instance_id: str = id_field()
    kw_rate: float | None = kw_rate_field(null=True)
    euro_rate: float | None = euro_rate_field(null=True)
    location: str | None = location_field(optional=True)
    token: str | None = secret_field(optional=True)


@attrs.frozen(slots=True)
class Fault(Heartbeat):
    """A heartbeat sent at once: the verdict became KO."""


@attrs.frozen(slots=True)
class Recovered(Heartbeat):
    """A heartbeat sent at once: the verdict became OK."""


@attrs.frozen(slots=True)
class Bye(MonitorMessage):
    """The monitor stops on purpose."""

    reason: str = text_field()


FromMonitor = Register | Heartbeat | Fault | Recovered | Bye

MONITOR_MESSAGES: dict[str, type[MonitorMessage]] = {
    "REGISTER": Register,
    "HEARTBEAT": Heartbeat,
    "FAULT": Fault,
    "RECOVERED": Recovered,
    "BYE": Bye,
}


@attrs.frozen(slots=True)
class Ack:
    """Central took the message `seq`; to a REGISTER it says how often it wants to hear, in s."""

    seq: int = count_field()
    central_id: str = id_field()
    heartbeat_s: float | None = number_field(optional=True)


@attrs.frozen(slots=True)
class Nack:
    """Central did not take the message; `seq` is null for bytes that were no message.

    `code` is one of NackCode, null from a Central of an older release; a newer one may send others.
    """

    seq: int | None = count_field(null=True)
    reason: str = text_field()
    code: str | None = id_field(optional=True)


FromCentral = Ack | Nack

CENTRAL_ANSWERS: dict[str, type[FromCentral]] = {"ACK": Ack, "NACK": Nack}


@attrs.frozen(slots=True)
class Ping:
    """A monitor asks its engine how it is, and names the Central that it is registered with.

    `token`: what an engine beyond loopback wants of its monitor.
    """

    seq: int = count_field()
    central_id: str | None = id_field(null=True)
    token: str | None = secret_field(optional=True)


@attrs.frozen(slots=True)
class Pong:
    """The engine's answer; `report` is the `seq` of its newest report, `up_s` its uptime."""

    seq: int = count_field()
    cp_id: str = cp_id_field()
    state: CpState = choice_field(CpState)
    session_id: str | None = id_field(null=True)
    kw_rate: float = kw_rate_field()
    euro_rate: float = euro_rate_field()
    location: str | None = location_field(null=True)
    boot_id: str = id_field()
    up_s: float = number_field()
    report: int = count_field()


HEALTH_MESSAGES: dict[str, type[Ping | Pong]] = {"PING": Ping, "PONG": Pong}
