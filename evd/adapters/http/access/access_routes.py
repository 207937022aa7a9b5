"""Central's HTTP: the audit, who would be refused, and the copy that outlives a database."""

import functools
from typing import Any, Final

import orjson
import trio
from litestar import Response

from evd.adapters.http.access.logins import LoginsHere
from evd.adapters.http.access.passes import Pass
from evd.adapters.http.access.rights import PassHere
from evd.adapters.http.api import Routes
from evd.adapters.http.body import TEXT, Body, Field
from evd.adapters.http.central_service import ServiceHere
from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.parameters import (
    LIMIT_DEFAULT,
    BeforeRow,
    Limit,
    OfCp,
    Since,
    Until,
    parse_span,
)
from evd.adapters.http.refused import JSON, Refused
from evd.adapters.http.replies import check_accepted
from evd.adapters.http.schemas import (
    Audit,
    AuditShown,
    ImportShown,
    Readiness,
    UnreadyShown,
    shown,
)
from evd.adapters.store.failures import UnknownRow
from evd.adapters.store.page import Page
from evd.core.access.copy import AccessCopy
from evd.core.access.events import AccessImportAsked, CallNoted, ImportOutcome
from evd.core.access.roles import Right
from evd.core.access.rows import Outcome
from evd.core.wire.fields import FieldError, check_flag

# A copy of 20,000 charging points has 5 MB.
COPY_BYTES_MAX: Final = 32 * 1024 * 1024

PATH_CHARS_MAX: Final = 1_000

routes: Final = Routes()


def _check_path(value: object, name: str) -> str:
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= PATH_CHARS_MAX:
        return value
    raise FieldError(name, f"must be a path of at most {PATH_CHARS_MAX} printable characters")


@routes.get(
    "/audit", "The calls that changed something", "Newest first", 404, 503, right=Right.OPERATE
)
async def list_audit(
    service: ServiceHere,
    caller: PassHere,
    cp_id: OfCp = None,
    limit: Limit = LIMIT_DEFAULT,
    before: BeforeRow = None,
    since: Since = None,
    until: Until = None,
) -> Audit:
    """An operator sees those of one charging point, without the addresses."""
    sees_all = caller.may(Right.ADMINISTER)
    if not sees_all and cp_id is None:
        raise Refused(
            403, "an operator may see the audit of one charging point: give cp_id", "cp_id"
        )
    page = Page(limit, before, *parse_span(since, until))
    try:
        rows = await service.store.audit(cp_id, page)
    except UnknownRow:
        raise Refused(404, f"entry {before} is not known", field="before") from None
    hidden: dict[str, Any] = {} if sees_all else {"address": None}
    return Audit([shown(AuditShown, row, id=number, **hidden) for number, row in rows.items()])


@routes.get(
    "/access/ready", "Who would be refused", "All that `required` refuses", right=Right.ADMINISTER
)
async def show_ready(service: ServiceHere, logins: LoginsHere) -> Readiness:
    """Charging points, drivers and callers that --auth required would refuse; none: it is safe."""
    unready = service.unready()
    return Readiness(logins.auth, [shown(UnreadyShown, each) for each in unready])


@routes.get(
    "/access/export",
    "A copy of all access",
    "Hashes and digests, no secret",
    right=Right.ADMINISTER,
)
async def export_access(service: ServiceHere, caller: PassHere) -> Response[dict[str, Any]]:
    """Only over the admin socket: whoever has the copy can try passwords at leisure."""
    _check_local(caller)
    copy = service.access.export()
    content = await trio.to_thread.run_sync(lambda: orjson.dumps(copy.to_fields()))
    return Response(content, media_type=JSON)  # type: ignore[arg-type]


@routes.post(
    "/access/import",
    "Take a copy of access in",
    "The names that became valid by it",
    409,
    right=Right.ADMINISTER,
    status_code=200,
    request_max_body_size=COPY_BYTES_MAX,
)
async def import_access(request: AnyRequest, service: ServiceHere, caller: PassHere) -> ImportShown:
    """Only over the admin socket.  The body has `access`, a copy, and `apply`: false changes
    nothing, and tells what would become valid.  What is revoked here stays revoked."""
    _check_local(caller)
    raw = await request.body()
    copy, apply = await trio.to_thread.run_sync(functools.partial(_read_copy, raw))
    accepted = check_accepted(
        await service.ask(lambda call: AccessImportAsked(call, copy, apply, caller.by))
    )
    told = accepted.told
    if not isinstance(told, ImportOutcome):
        raise TypeError("an import is answered with its outcome")
    return ImportShown(list(told.users), list(told.tokens), list(told.revoked), told.same_count)


_BACKUP: Final = Body(
    "The file that was written.",
    "file",
    file=Field(_check_path, {"type": TEXT, "max_length": PATH_CHARS_MAX}),
)


@routes.post(
    "/central/backup",
    "Note a backup",
    "It stands in the audit",
    right=Right.ADMINISTER,
    status_code=204,
    operation_class=_BACKUP.operation,
)
async def note_backup(request: AnyRequest, service: ServiceHere, caller: PassHere) -> None:
    """Only over the admin socket: the tool has copied the database, and says so."""
    _check_local(caller)
    file = (await _BACKUP.read(request))["file"]
    await service.tell(CallNoted(caller.by, "central backup", file, Outcome.DONE))


def _check_local(caller: Pass) -> None:
    if caller.caller is None or not caller.is_local:
        raise Refused(403, "this is possible only on Central's host, over its admin.sock")


def _read_copy(raw: bytes) -> tuple[AccessCopy, bool]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict) or not isinstance(body.get("access"), dict):
        raise FieldError("access", "must be an object")
    return AccessCopy.of_fields(body["access"]), check_flag(body.get("apply"), "apply")
