"""Central with --auth: which monitors it takes, what it stores, and what the audit says."""

from collections.abc import Sequence

import attrs
import pytest

from evd.core.access.events import (
    AccessImportAsked,
    CallNoted,
    CpTokenAsked,
    DriverAddAsked,
    LoggedIn,
    LoginDone,
    LogoutAsked,
    PasswordAsked,
    TokenAddAsked,
    TokenRevokeAsked,
    UserAddAsked,
    UserRemoveAsked,
)
from evd.core.access.roles import Auth, Caller, Role
from evd.core.access.rows import AccessImage, AccessToken, AuditEntry, Login, Outcome, User
from evd.core.access.tokens import digest, new_token
from evd.core.central.events import (
    Accepted,
    Answer,
    ChargeAsked,
    CpRemovalAsked,
    CpStopAsked,
    Effect,
    HangUp,
    MonitorSaid,
    Refusal,
    Reply,
    Save,
    SessionStopAsked,
    WouldRefuse,
)
from evd.core.central.rows import (
    ChargingPoint,
    EventType,
    FaultEvent,
    Image,
    Meta,
    OperatorEvent,
)
from evd.core.central.timeline import entry_of_operator
from evd.core.effects import Note
from evd.core.wire.control import EngineStatus, Nack, NackCode, Register
from tests.unit.central.network import CENTRAL_ID, Network, answers, begun, ready, saved, updates

TOKEN = new_token(Role.MONITOR, bytes(32))
OTHER = new_token(Role.MONITOR, bytes([7] * 32))
NEXT = new_token(Role.MONITOR, bytes([8] * 32))
ALICE = Caller("alice", Role.ADMIN, address="192.0.2.7")
WARDEN = "192.0.2.99"


def register(token: str | None, cp_id: str = "CP-001", seq: int = 1) -> Register:
    """A REGISTER of a monitor whose engine has not answered yet."""
    return Register(
        cp_id,
        seq,
        EngineStatus.OK,
        None,
        instance_id=f"monitor-{cp_id}",
        kw_rate=22.0,
        euro_rate=0.3,
        token=token,
    )


def said(
    network: Network, connection: int, token: str | None, cp_id: str = "CP-001"
) -> list[Effect]:
    """A monitor registers from an address of its own."""
    return network.tell(MonitorSaid(connection, register(token, cp_id), address=WARDEN))


def refusals(effects: Sequence[Effect]) -> list[FaultEvent]:
    """The REFUSED rows that are written."""
    return [row for row in saved(effects, FaultEvent) if row.event_type is EventType.REFUSED]


@pytest.fixture
def network() -> Network:
    """A Central that wants tokens, and knows that of CP-001."""
    network = Network(auth=Auth.REQUIRED)
    network.call(CpTokenAsked(1, "CP-001", digest(TOKEN)))
    return network


def test_a_right_token_opens_its_charging_point(network: Network) -> None:
    """Proves: with its token a monitor registers, at its first try."""
    effects = said(network, 5, TOKEN)
    assert answers(effects)[0].central_id == CENTRAL_ID
    assert network.core.knows("CP-001")
    assert refusals(effects) == []


@pytest.mark.parametrize(
    ("token", "cp_id", "why"),
    [
        (None, "CP-001", "it has no token"),
        (OTHER, "CP-001", "its token is wrong"),
        ("any text", "CP-001", "its token is wrong"),
        (TOKEN, "CP-404", "no token was made for it"),
    ],
)
def test_without_its_token_a_monitor_is_turned_away(
    network: Network, token: str | None, cp_id: str, why: str
) -> None:
    """Proves: it is NACKed as unauthorized and hung up on; nothing of it is taken, the row and the
    line say why and from where, and neither they nor the answer show the token."""
    effects = said(network, 5, token, cp_id)
    nack = answers(effects)[0]
    assert isinstance(nack, Nack)
    assert (nack.code, nack.seq) == (NackCode.UNAUTHORIZED, 1)
    assert HangUp(5) in effects
    assert not network.core.knows(cp_id)
    (row,) = refusals(effects)
    assert why in row.reason
    assert WARDEN in row.reason
    assert not token or token not in repr([each for each in effects if each])


def test_a_stranger_learns_no_charging_point(network: Network) -> None:
    """Proves: the answer to a wrong token is the same where there is such a charging point and
    where there is none."""
    known, unknown = said(network, 5, OTHER), said(network, 6, OTHER, "CP-404")
    assert answers(known) == answers(unknown)


def test_many_refusals_are_one_row_a_minute(network: Network) -> None:
    """Proves: however often it tries there is one row and one line a minute for each charging point
    and address, with the count, and they end when it does."""
    first = [effect for n in range(30) for effect in said(network, n, OTHER)]
    assert len(refusals(first)) == 1
    minute = network.run(61.0)
    (row,) = refusals(minute)
    assert "29 times" in row.reason
    lines = [each for each in (*first, *minute) if isinstance(each, Note) and "away" in each.text]
    assert len(lines) == 2
    assert refusals(network.run(200.0)) == []


def test_names_without_end_fill_no_table(network: Network) -> None:
    """Proves: who invents charging points writes no more than some rows a minute; a known one is
    written down all the same."""
    effects = [each for n in range(500) for each in said(network, n, OTHER, f"FAKE-{n}")]
    assert len(refusals(effects)) == 50
    assert len(refusals(said(network, 999, OTHER))) == 1


def test_off_looks_at_no_token() -> None:
    """Proves: without --auth a monitor of the release before is taken, and nothing is counted."""
    network = Network()
    for connection, token in ((5, None), (6, OTHER)):
        effects = said(network, connection, token)
        assert answers(effects)[0].central_id == CENTRAL_ID
        assert not [each for each in effects if isinstance(each, WouldRefuse)]


def test_warn_takes_all_and_counts() -> None:
    """Proves: --auth warn refuses nobody, counts whom required would refuse, and names each
    charging point until it comes with its token."""
    network = Network(auth=Auth.WARN)
    network.call(CpTokenAsked(1, "CP-001", digest(TOKEN)))
    effects = said(network, 5, None)
    assert WouldRefuse("monitor") in effects
    assert answers(effects)[0].central_id == CENTRAL_ID
    said(network, 7, None, "CP-002")
    unready = network.core.unready(network.now)
    assert [(each.kind, each.name, each.address) for each in unready] == [
        ("point", "CP-001", WARDEN),
        ("point", "CP-002", WARDEN),
    ]
    assert WouldRefuse("monitor") not in said(network, 6, TOKEN)
    assert [each.name for each in network.core.unready(network.now)] == ["CP-002"]


def test_a_point_without_a_token_is_named_also_while_it_is_away() -> None:
    """Proves: what required would refuse is named before it comes back."""
    network = ready("CP-001")
    network.leave()
    (unready,) = network.core.unready(network.now)
    assert (unready.name, unready.why) == ("CP-001", "no token was made for it")
    network.call(CpTokenAsked(1, "CP-001", digest(TOKEN)))
    assert network.core.unready(network.now) == []


@pytest.mark.parametrize(
    "event",
    [TokenRevokeAsked(2, "CP-001"), CpTokenAsked(2, "CP-001", digest(OTHER), at_once=True)],
)
def test_a_revoked_token_ends_its_connection(
    network: Network, event: TokenRevokeAsked | CpTokenAsked
) -> None:
    """Proves: within two seconds the connection is closed and the charging point DISCONNECTED, and
    the old token opens nothing any more."""
    said(network, 5, TOKEN)
    network.call(event)
    effects = network.run(2.0, beat=False)
    assert HangUp(5) in effects
    assert network.view().monitor_status is EngineStatus.KO
    assert answers(said(network, 6, TOKEN))[0].code == NackCode.UNAUTHORIZED


def test_a_new_token_cuts_nobody_off(network: Network) -> None:
    """Proves: while a new token is on its way to the host its charging point goes on."""
    said(network, 5, TOKEN)
    network.call(CpTokenAsked(2, "CP-001", digest(OTHER)))
    assert HangUp(5) not in network.run(2.0)
    assert answers(said(network, 6, OTHER))[0].central_id == CENTRAL_ID
    network.run(0.5)
    assert answers(said(network, 7, TOKEN))[0].code == NackCode.UNAUTHORIZED


def test_a_removed_charging_point_needs_a_new_token(network: Network) -> None:
    """Proves: what was taken off the list does not come back with the token of a lost host."""
    said(network, 5, TOKEN)
    network.connections["CP-001"] = 5
    network.leave()
    assert network.call(CpRemovalAsked(2, "CP-001")) is None
    assert answers(said(network, 6, TOKEN))[0].code == NackCode.UNAUTHORIZED


def test_access_outlives_a_restart(network: Network) -> None:
    """Proves: what a restart reads lets the same charging points in, and the audit is not needed
    for that."""
    tokens = saved(network.effects, AccessToken)
    image = Image(Meta(CENTRAL_ID, 3), access=AccessImage(tokens=tokens))
    again = Network(image, auth=Auth.REQUIRED)
    assert answers(said(again, 5, TOKEN))[0].central_id == CENTRAL_ID


def test_a_use_is_written_down_by_the_next_tick(network: Network) -> None:
    """Proves: when a token was last used is known after a restart, and costs no row a use."""
    said(network, 5, TOKEN)
    (row,) = saved(network.run(0.25, beat=False), AccessToken)
    assert row.used_at is not None
    for connection in range(6, 40):
        said(network, connection, TOKEN)
    assert saved(network.run(0.25, beat=False), AccessToken) == []


def audit(effects: Sequence[Effect]) -> list[tuple[str, str, str, str, str | None]]:
    """The rows of the audit: who, action, object, outcome, cp_id."""
    return [
        (row.who, row.action, row.object, row.outcome.value, row.cp_id)
        for row in saved(effects, AuditEntry)
    ]


def test_each_call_is_in_the_audit_with_its_doing() -> None:
    """Proves: each call that is done or refused is stored in one commit with what it did."""
    network, session = begun()
    effects = network.tell(CpStopAsked(1, "CP-001", ALICE))
    assert audit(effects) == [("alice", "cp stop", "CP-001", "done", "CP-001")]
    (row,) = saved(effects, AuditEntry)
    assert (row.role, row.address, row.ts) == ("admin", "192.0.2.7", network.now.wall)
    effects = network.tell(CpStopAsked(2, "CP-404", ALICE))
    assert audit(effects) == [("alice", "cp stop", "CP-404", "refused", "CP-404")]
    effects = network.tell(SessionStopAsked(3, session.session_id, ALICE))
    assert audit(effects) == [("alice", "session stop", session.session_id, "done", "CP-001")]
    effects = network.tell(ChargeAsked(4, "req-9", "driver-bob", None, ALICE))
    assert audit(effects) == [("alice", "request charge", "req-9", "done", None)]


def test_a_call_that_had_to_wait_failed() -> None:
    """Proves: what Central could not do then is no refusal."""
    network = Network()
    effects = network.tell(ChargeAsked(1, "req-9", "driver-bob", None, ALICE))
    assert audit(effects) == [("alice", "request charge", "req-9", "failed", None)]


def test_the_timeline_says_who_stopped_it() -> None:
    """Proves: a stop has its name, and without a name it has none."""
    network = ready()
    (event,) = saved(network.tell(CpStopAsked(1, "CP-001", ALICE)), OperatorEvent)
    assert entry_of_operator(event).who == "alice"
    network.tell(CpStopAsked(2, "CP-001"))
    assert entry_of_operator(attrs.evolve(event, who=None)).who is None


def told(effects: Sequence[Effect]) -> object:
    """The answer to the one call."""
    (reply,) = [each for each in effects if isinstance(each, Reply)]
    assert isinstance(reply.answer, Accepted)
    return reply.answer.told


def test_a_login_is_stored_before_it_is_told() -> None:
    """Proves: a login, its known address and its line of the audit are saves before its reply, and
    nothing of it is a secret."""
    network = Network()
    network.call(UserAddAsked(1, "vera", "hash-of-vera", Role.VIEWER, ALICE))
    done = LoginDone(2, "vera", True, "192.0.2.7", digest("cookie"), checked_hash="hash-of-vera")
    effects = network.tell(done)
    answer = told(effects)
    assert isinstance(answer, LoggedIn)
    assert answer.caller == Caller("vera", Role.VIEWER, None, "192.0.2.7")
    kinds = [type(each) for each in effects]
    assert kinds.index(Reply) > kinds.index(Save)
    assert saved(effects, Login)[0].digest == digest("cookie")
    assert audit(effects) == [("vera", "login", "", "done", None)]
    effects = network.tell(LogoutAsked(3, digest("cookie"), answer.caller))
    assert audit(effects) == [("vera", "logout", "", "done", None)]
    assert network.core.access.caller_of_digest(digest("cookie"), "", network.now) is None
    assert "hash-of-vera" not in repr(network.effects)


def test_wrong_passwords_are_one_row_a_minute() -> None:
    """Proves: guesses fill no audit, and a word that is no user's name, as a password typed into
    the wrong field, is never stored."""
    network = Network()
    network.call(UserAddAsked(1, "vera", "hash", Role.VIEWER, ALICE))
    first = network.tell(LoginDone(2, "my-password", False, "192.0.2.7"))
    assert told(first) is None
    assert audit(first) == [("", "login", "", "failed", None)]
    effects = [
        each for n in range(9) for each in network.tell(LoginDone(n, "vera", False, "192.0.2.7"))
    ]
    assert audit(effects) == []
    assert "my-password" not in repr(network.effects)
    other = network.tell(LoginDone(9, "vera", False, "192.0.2.8"))
    assert audit(other) == [("vera", "login", "", "failed", None)]
    network.run(60.0)
    again = network.tell(LoginDone(10, "vera", False, "192.0.2.7"))
    assert audit(again) == [("vera", "login", "", "failed", None)]


def test_calls_that_never_came_to_the_core_are_noted() -> None:
    """Proves: a call that a role may not make is in the audit, and ten thousand of them are not."""
    network = Network()
    noted = CallNoted(ALICE, "cp stop", "CP-001", Outcome.REFUSED, "CP-001")
    assert audit(network.tell(noted)) == [("alice", "cp stop", "CP-001", "refused", "CP-001")]
    effects = [each for _ in range(99) for each in network.tell(noted)]
    assert len(audit(effects)) == 19
    done = attrs.evolve(noted, outcome=Outcome.DONE)
    assert len(audit([each for _ in range(99) for each in network.tell(done)])) == 99


def test_changes_of_access_are_calls_like_others() -> None:
    """Proves: each is stored, answered and in the audit; a wrong one is refused by its kind."""
    network = Network()
    assert network.refusal(UserAddAsked(1, "vera", "hash", Role.ADMIN, ALICE)) is None
    assert network.refusal(UserAddAsked(2, "vera", "hash", Role.ADMIN)) is Refusal.CONFLICT
    assert network.refusal(UserRemoveAsked(3, "vera")) is Refusal.CONFLICT
    assert network.refusal(PasswordAsked(4, "nemo", "hash")) is Refusal.UNKNOWN
    assert network.refusal(TokenAddAsked(5, "t", Role.VIEWER, digest("t"))) is None
    assert network.refusal(DriverAddAsked(6, "driver-alice", digest("d"))) is None
    assert [user.name for user in network.core.access.users()] == ["vera"]
    assert [(user.name, user.role) for user in saved(network.effects, User)] == [
        ("vera", Role.ADMIN)
    ]
    rows = audit(network.effects)
    assert ("alice", "user add", "vera", "done", None) in rows
    assert ("", "user remove", "vera", "refused", None) in rows


def test_an_import_lets_a_lost_network_in_again(network: Network) -> None:
    """Proves: a Central with its database lost takes the same monitors after an import, and looking
    at the import before changes nothing and stands in no audit."""
    copy = network.core.access.export()
    lost = Network(auth=Auth.REQUIRED)
    assert answers(said(lost, 5, TOKEN))[0].code == NackCode.UNAUTHORIZED
    looked = lost.tell(AccessImportAsked(1, copy, False, ALICE))
    assert [each for each in looked if isinstance(each, Save)] == []
    effects = lost.tell(AccessImportAsked(2, copy, True, ALICE))
    assert audit(effects) == [("alice", "access import", "", "done", None)]
    assert answers(said(lost, 6, TOKEN))[0].central_id == CENTRAL_ID


def test_a_lost_network_is_awaited_after_an_import() -> None:
    """Proves: with the database lost a driver whose car charges is not told that nobody knows its
    charging point: no session begins until each that the copy names has handed over; an import into
    a network that runs holds nobody up."""
    before = Network(auth=Auth.REQUIRED)
    for number, secret in enumerate((TOKEN, OTHER), 1):
        before.call(CpTokenAsked(number, f"CP-00{number}", digest(secret)))
    copy = before.core.access.export()
    network = Network(Image(Meta(CENTRAL_ID, 1)), auth=Auth.REQUIRED)
    network.run(5.0)
    network.call(AccessImportAsked(1, copy, True))
    network.register(token=TOKEN)
    network.status()
    network.ask("req-1", "CP-002")
    network.run(1.0)
    assert not updates(network.effects)
    assert network.core.awaited_count == 2
    network.register("CP-002", token=OTHER)
    network.status("CP-002")
    network.run(1.0)
    assert network.core.awaited_count == 0
    network.call(AccessImportAsked(2, attrs.evolve(copy, users=()), True))
    assert network.core.awaited_count == 0


def test_an_import_into_a_restored_database_adds_to_those_awaited() -> None:
    """Proves: a charging point that the backup does not know, and the copy of access does, has to
    hand over as well before a session begins."""
    before = Network(auth=Auth.REQUIRED)
    before.call(CpTokenAsked(1, "CP-002", digest(OTHER)))
    copy = before.core.access.export()
    meta = Meta(CENTRAL_ID, 2, recovering=frozenset({"CP-001"}))
    network = Network(Image(meta, charging_points=(ChargingPoint("CP-001"),)), auth=Auth.REQUIRED)
    assert network.core.awaited_count == 1
    network.call(AccessImportAsked(1, copy, True))
    assert network.core.awaited_count == 2


@pytest.mark.parametrize("revoked_in_copy", [True, False], ids=["in the copy", "here alone"])
def test_a_charging_point_that_can_not_register_is_not_awaited(revoked_in_copy: bool) -> None:
    """Proves: after an import a charging point with none but revoked tokens holds nobody up, be
    they revoked in the copy or in this database alone; one whose next token is good is awaited."""
    before = Network(auth=Auth.REQUIRED)
    before.call(CpTokenAsked(1, "CP-001", digest(TOKEN)))
    before.call(CpTokenAsked(2, "CP-001", digest(NEXT), at_once=True))
    before.call(CpTokenAsked(3, "CP-002", digest(OTHER)))
    older = before.core.access.export()
    before.call(TokenRevokeAsked(4, "CP-002"))
    newer = before.core.access.export()
    kept = AccessImage() if revoked_in_copy else AccessImage(tokens=newer.tokens)
    network = Network(Image(Meta(CENTRAL_ID, 1), access=kept), auth=Auth.REQUIRED)
    network.run(5.0)
    network.call(AccessImportAsked(1, newer if revoked_in_copy else older, True))
    assert network.core.awaited_count == 1
    network.register(token=NEXT)
    network.status()
    network.run(1.0)
    assert network.core.awaited_count == 0


def test_nothing_shows_a_token(network: Network) -> None:
    """Proves: neither the event of a REGISTER nor what follows from it shows its token."""
    event = MonitorSaid(5, register(TOKEN), address=WARDEN)
    assert TOKEN not in repr(event)
    effects = network.tell(event)
    assert TOKEN not in repr(effects)
    assert any(isinstance(each, Answer) for each in effects)
