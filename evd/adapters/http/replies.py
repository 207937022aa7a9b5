"""Central's refusals of calls, as HTTP: a status, and when to ask again."""

from typing import Final

from evd.adapters.http.refused import Refused
from evd.core.central.events import Accepted, Refusal, Reply

STATUSES: Final = {Refusal.UNKNOWN: 404, Refusal.CONFLICT: 409, Refusal.UNAVAILABLE: 503}
# Central or its database is away for seconds, or has just started.
RETRY_S: Final = 1


def check_accepted(reply: Reply) -> Accepted:
    """Raise refused.Refused where Central refuses."""
    answer = reply.answer
    if isinstance(answer, Accepted):
        return answer
    retry_s = RETRY_S if answer.refusal is Refusal.UNAVAILABLE else None
    raise Refused(STATUSES[answer.refusal], answer.reason, answer.field, retry_s)
