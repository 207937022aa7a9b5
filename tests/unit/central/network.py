"""A Central core with the other parts played by the test: what they say goes in, what Central
does comes out as lists."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import attrs

from evd.core.central.core import Central
from evd.core.central.events import (
    Answer,
    Asked,
    CentralSettings,
    Effect,
    Event,
    MonitorLeft,
    MonitorSaid,
    Polled,
    Refusal,
    Refused,
    Reply,
    Save,
    Ticked,
)
from evd.core.central.rows import (
    ChargingPoint,
    FaultEvent,
    Image,
    Meta,
    Reading,
    Removal,
    Request,
    Row,
    Session,
)
from evd.core.central.views import CpView
from evd.core.effects import Note, Now, Send
from evd.core.wire.control import EngineStatus, Fault, Heartbeat, KoCause, Recovered, Register
from evd.core.wire.messages import (
    Action,
    Command,
    CpState,
    CpStatus,
    DriverRequest,
    DriverUpdate,
    Outcome,
    Payload,
    RequestStatus,
    Seen,
    SessionRecord,
    Telemetry,
)

T = TypeVar("T")
P = TypeVar("P", bound=Payload)

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
CENTRAL_ID = "central-1"


class Network:
    """Central, its database as a dict, and a clock that the test turns."""

    def __init__(self, image: Image | None = None, **settings: Any) -> None:
        self.clock_s = 1000.0
        self.settings = CentralSettings(**settings)
        self.rows: dict[tuple[type, str], Any] = {}
        self.effects: list[Effect] = []
        self.connections: dict[str, int] = {}
        self.boots: dict[str, str] = {}
        self.seqs: dict[str, int] = {}
        self.born_s = self.clock_s
        self._begin(image or Image(Meta(CENTRAL_ID, 2)))

    def _begin(self, image: Image) -> None:
        self.started_s = self.clock_s
        self.meta = image.meta
        self.core = Central(self.settings, image, self.now)
        self._carry_out(self.core.start(self.now))

    @property
    def now(self) -> Now:
        return Now(self.clock_s, START + timedelta(seconds=self.clock_s - 1000.0))

    def tell(self, *events: Event) -> list[Effect]:
        """Hand in events that came together; what Central does."""
        requests, sessions = self.core.missing(events)
        self.core.remember(
            [self.rows[Request, key] for key in requests if (Request, key) in self.rows],
            [self.rows[Session, key] for key in sessions if (Session, key) in self.rows],
        )
        effects: list[Effect] = []
        for event in (*events, Polled()):
            effects += self.core.handle(event, self.now)
        self._carry_out(effects)
        return effects

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self.effects.append(effect)
            if isinstance(effect, Save):
                self._store(effect.row)

    def _store(self, row: Row) -> None:
        if isinstance(row, Request):
            self.rows[Request, row.request_id] = row
        elif isinstance(row, Session):
            self.rows[Session, row.session_id] = row
        elif isinstance(row, ChargingPoint):
            self.rows[ChargingPoint, row.cp_id] = row
        elif isinstance(row, Removal):
            self.rows.pop((ChargingPoint, row.cp_id), None)
        elif isinstance(row, Meta):
            self.rows[Meta, ""] = self.meta = row
        elif isinstance(row, Reading):
            session = self.rows[Session, row.session_id]
            self._store(attrs.evolve(session, energy_mwh=row.energy_mwh))

    def run(self, seconds: float, *, broker_up: bool = True, beat: bool = True) -> list[Effect]:
        """Let time go by in ticks of 0.25 s, all connected monitors beating."""
        effects: list[Effect] = []
        for _ in range(round(seconds * 4)):
            self.clock_s += 0.25
            if beat and self.clock_s % 1 == 0:
                for cp_id in list(self.connections):
                    effects += self.heartbeat(cp_id)
            effects += self.tell(Ticked(broker_up))
        return effects

    def restart(self, **meta: Any) -> None:
        self.connections.clear()
        tables: dict[type, list[Any]] = {Request: [], Session: [], ChargingPoint: []}
        for (kind, _), row in self.rows.items():
            if kind in tables:
                tables[kind].append(row)
        open_requests = [row for row in tables[Request] if not row.status.final]
        active = [row for row in tables[Session] if row.status == "ACTIVE"]
        self._begin(
            Image(
                Meta(
                    meta.get("central_id", self.meta.central_id),
                    self.meta.epoch + 1,
                    meta.get("recovering", self.meta.recovering),
                ),
                tuple(tables[ChargingPoint]),
                tuple(open_requests),
                tuple(active),
            )
        )

    def register(
        self, cp_id: str = "CP-001", *, connection: int = 0, **fields: Any
    ) -> list[Effect]:
        """A monitor registers, its engine fine and free."""
        number = connection or len(self.connections) + 1 + int(self.clock_s)
        self.boots.setdefault(cp_id, f"boot-{cp_id}-1")
        said = Register(
            cp_id=cp_id,
            seq=1,
            engine_status=fields.pop("engine_status", EngineStatus.OK),
            ko_cause=fields.pop("ko_cause", None),
            instance_id=fields.pop("instance_id", f"monitor-{cp_id}"),
            kw_rate=fields.pop("kw_rate", 22.0),
            euro_rate=fields.pop("euro_rate", 0.30),
            **{**self._pong(cp_id), **fields},
        )
        effects = self.tell(MonitorSaid(number, said))
        if any(isinstance(e, Answer) and hasattr(e.message, "central_id") for e in effects):
            self.connections[cp_id] = number
        return effects

    def _pong(self, cp_id: str) -> dict[str, Any]:
        return {
            "boot_id": self.boots[cp_id],
            "report": self.seqs.get(cp_id, 0),
            "up_s": self.up_s,
            "engine_state": CpState.ACTIVATED,
        }

    @property
    def up_s(self) -> float:
        """The engines' uptime: they all began with the test."""
        return self.clock_s - self.born_s

    def heartbeat(
        self, cp_id: str = "CP-001", kind: type[Heartbeat] = Heartbeat, **fields: Any
    ) -> list[Effect]:
        """A monitor says that all is well, or what `fields` say."""
        said = kind(
            cp_id=cp_id,
            seq=2,
            engine_status=fields.pop("engine_status", EngineStatus.OK),
            ko_cause=fields.pop("ko_cause", None),
            **{**self._pong(cp_id), **fields},
        )
        return self.tell(MonitorSaid(self.connections[cp_id], said))

    def engine_gone(self, cp_id: str = "CP-001", cause: KoCause = KoCause.REFUSED) -> list[Effect]:
        """A monitor finds that its engine is gone (refused), or hangs (timeout)."""
        return self.heartbeat(cp_id, Fault, engine_status=EngineStatus.KO, ko_cause=cause)

    def engine_back(self, cp_id: str = "CP-001", boot_id: str = "") -> list[Effect]:
        if boot_id:
            self.boots[cp_id] = boot_id
            self.seqs[cp_id] = 0
        return self.heartbeat(cp_id, Recovered)

    def leave(self, cp_id: str = "CP-001") -> list[Effect]:
        return self.tell(MonitorLeft(self.connections.pop(cp_id)))

    def status(self, cp_id: str = "CP-001", **fields: Any) -> list[Effect]:
        self.seqs[cp_id] = self.seqs.get(cp_id, 0) + 1
        said = CpStatus(
            cp_id=cp_id,
            boot_id=fields.pop("boot_id", self.boots.get(cp_id, "boot-x")),
            seq=fields.pop("seq", self.seqs[cp_id]),
            up_s=fields.pop("up_s", self.up_s),
            state=fields.pop("state", CpState.ACTIVATED),
            unconfirmed=fields.pop("unconfirmed", 0),
            reason=fields.pop("reason", ""),
            central_id=fields.pop("central_id", self.meta.central_id),
            **fields,
        )
        return self.tell(said)

    def supplying(self, session: Session, cp_id: str = "") -> list[Effect]:
        return self.status(
            cp_id or session.cp_id,
            state=CpState.SUPPLYING,
            session_id=session.session_id,
            request_id=session.request_id,
            driver_id=session.driver_id,
        )

    def meter(self, session: Session, kwh: float, **fields: Any) -> list[Effect]:
        said = Telemetry(
            cp_id=session.cp_id,
            boot_id=session.boot_id or "",
            session_id=session.session_id,
            driver_id=session.driver_id,
            kw=22.0,
            kwh=kwh,
            euros=round(kwh * 0.30, 4),
            seq=self.seqs.get(session.cp_id),
        )
        return self.tell(attrs.evolve(said, **fields))

    def record(self, session: Session, **fields: Any) -> list[Effect]:
        fields = {
            "session_id": session.session_id,
            "request_id": session.request_id,
            "cp_id": session.cp_id,
            "driver_id": session.driver_id,
            "boot_id": session.boot_id or "boot-x",
            "started_at": START,
            "ended_at": START + timedelta(seconds=10),
            "kwh": 0.061111,
            "euros": 0.02,
            "outcome": Outcome.COMPLETED,
            "reason": "",
            "fault": False,
            "bill": True,
            **fields,
        }
        return self.tell(SessionRecord(**fields))

    def seen(self, age_s: float = 0.0) -> Seen:
        """The beacon that Central sent `age_s` ago."""
        up_s = self.clock_s - self.started_s - age_s
        return Seen(self.meta.central_id, self.meta.epoch, max(0.0, up_s))

    def ask(
        self,
        request_id: str = "req-1",
        cp_id: str | None = "CP-001",
        driver_id: str = "driver-alice",
        **fields: Any,
    ) -> list[Effect]:
        fields.setdefault("seen", self.seen())
        return self.tell(DriverRequest(request_id, driver_id, cp_id, **fields))

    def cancel(self, request_id: str = "req-1", driver_id: str = "driver-alice") -> list[Effect]:
        return self.tell(DriverRequest(request_id, driver_id, "CP-001", Action.CANCEL))

    def call(self, asked: Asked) -> Refused | None:
        """Make a call; return its refusal, None where Central accepts."""
        (reply,) = [e for e in self.tell(asked) if isinstance(e, Reply)]
        return reply.answer if isinstance(reply.answer, Refused) else None

    def refusal(self, asked: Asked) -> Refusal | None:
        """Make a call; return why Central refuses it, None where it accepts."""
        refused = self.call(asked)
        return refused.refusal if refused is not None else None

    def request(self, request_id: str = "req-1") -> Request:
        row: Request = self.rows[Request, request_id]
        return row

    def session(self, request_id: str = "req-1") -> Session:
        row: Session = self.rows[Session, self.request(request_id).session_id or ""]
        return row

    def point(self, cp_id: str = "CP-001") -> ChargingPoint:
        row: ChargingPoint = self.rows[ChargingPoint, cp_id]
        return row

    def view(self, cp_id: str = "CP-001") -> CpView:
        return self.core.view(cp_id, self.now)


def ready(*cp_ids: str, image: Image | None = None, **settings: Any) -> Network:
    """A network whose charging points are ON and free, past Central's grace."""
    network = Network(image, **settings)
    for cp_id in cp_ids or ("CP-001",):
        network.register(cp_id)
        network.status(cp_id)
    network.run(3.25)
    return network


def asked(*cp_ids: str, **settings: Any) -> Network:
    """The same, and driver-alice has the session of req-1 at CP-001, not confirmed yet."""
    network = ready(*cp_ids, **settings)
    network.ask()
    return network


def begun(*cp_ids: str, **settings: Any) -> tuple[Network, Session]:
    """The same, and the engine has confirmed the session."""
    network = asked(*cp_ids, **settings)
    network.supplying(network.session())
    return network, network.session()


def updates(effects: Iterable[Effect]) -> list[DriverUpdate]:
    """Return what drivers are told."""
    return [
        effect.message
        for effect in effects
        if isinstance(effect, Send) and isinstance(effect.message, DriverUpdate)
    ]


def denial(effects: Iterable[Effect]) -> str:
    """Return why the one driver who is told anything is DENIED."""
    (update,) = updates(effects)
    assert update.status is RequestStatus.DENIED
    return update.reason


def commands(effects: Iterable[Effect], kind: type[P]) -> list[P]:
    """Return what engines are told, of one kind."""
    return [
        effect.message.payload
        for effect in effects
        if isinstance(effect, Send)
        and isinstance(effect.message, Command)
        and isinstance(effect.message.payload, kind)
    ]


def saved(effects: Iterable[Effect], kind: type[T]) -> list[T]:
    """The rows of one kind that are written."""
    return [e.row for e in effects if isinstance(e, Save) and isinstance(e.row, kind)]


def answers(effects: Iterable[Effect]) -> list[Any]:
    """Return what monitors are answered."""
    return [effect.message for effect in effects if isinstance(effect, Answer)]


def events(effects: Iterable[Effect]) -> list[str]:
    """The kinds of fault events that are written."""
    return [row.event_type.value for row in saved(effects, FaultEvent)]


def notes(effects: Sequence[Effect]) -> list[str]:
    """The lines that are logged."""
    return [effect.text for effect in effects if isinstance(effect, Note)]
