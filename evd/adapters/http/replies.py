"""Central's answers to calls, as HTTP: a status, a body, and when to ask again."""

from typing import Final

from litestar import Response

from evd.adapters.http.api import json_response
from evd.adapters.http.errors import Refused
from evd.adapters.http.schemas import render
from evd.core.central.events import Accepted, Refusal, Reply

STATUSES: Final = {Refusal.UNKNOWN: 404, Refusal.CONFLICT: 409, Refusal.UNAVAILABLE: 503}
# Central or its database is away for seconds, or has just started.
RETRY_AFTER_S: Final = 1


def reply_response(reply: Reply, taken: object) -> Response[bytes]:
    """A 202 with `taken` as its body where Central accepts; errors.Refused where it does not."""
    answer = reply.answer
    if isinstance(answer, Accepted):
        return json_response(render(taken), 202)
    retry_after_s = RETRY_AFTER_S if answer.refusal is Refusal.UNAVAILABLE else None
    raise Refused(
        STATUSES[answer.refusal], answer.reason, field=answer.field, retry_after_s=retry_after_s
    )
