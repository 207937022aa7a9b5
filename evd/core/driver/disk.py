"""The state that a driver keeps on its disk, and how it changes."""

from datetime import datetime

import attrs

from evd.core.wire.fields import (
    choice_field,
    count_field,
    cp_id_field,
    flag_field,
    id_field,
    text_field,
    time_field,
)
from evd.core.wire.messages import Action, DriverUpdate

# At this bound no request is begun; it counts those too that were given up and not yet cancelled.
REQUESTS_MAX = 100
# Older final statuses are evicted: Central repeats them no longer.
FINALS_MAX = 200


@attrs.frozen(slots=True)
class OpenRequest:
    """A request that Central has not ended yet.

    `cp_id`: the one asked for, None for any.  `action`: what is asked of Central until it ends
    the request.  `answered`: Central has answered it.  `given_up`: the driver was told FAILED
    already, and only Central has still to hear of it.  `session_id`, `session_cp_id` and
    `started_at` are known once there is a session; `started_at` is shown and decides nothing.
    """

    request_id: str = id_field()
    cp_id: str | None = cp_id_field(null=True)
    vehicle_id: str | None = id_field(null=True)
    action: Action = choice_field(Action)
    answered: bool = flag_field()
    given_up: bool = flag_field()
    session_id: str | None = id_field(optional=True)
    session_cp_id: str | None = cp_id_field(optional=True)
    started_at: datetime | None = time_field(optional=True)


def new_request(request_id: str, cp_id: str | None, vehicle_id: str | None) -> OpenRequest:
    """Return a request that nobody has answered yet."""
    return OpenRequest(
        request_id, cp_id, vehicle_id, action=Action.START, answered=False, given_up=False
    )


@attrs.frozen(slots=True)
class DriverDisk:
    """All that a driver keeps over a restart; each change returns a new one.

    `finals`: the newest final statuses, oldest first.  `untold`: those of them that may not have
    been told.  `file_digest`, `file_line`: the requests file, and its last line that was begun, 0
    before the first.
    """

    requests: tuple[OpenRequest, ...]
    finals: tuple[DriverUpdate, ...]
    untold: tuple[DriverUpdate, ...]
    file_digest: str = text_field()
    file_line: int = count_field()

    @property
    def is_full(self) -> bool:
        """Whether no further request can be begun."""
        return len(self.requests) >= REQUESTS_MAX

    def request(self, request_id: str) -> OpenRequest | None:
        """The open request with this id."""
        return next((each for each in self.requests if each.request_id == request_id), None)

    def has_ended(self, request_id: str) -> bool:
        """Whether the driver has a final status of the request, or has given it up."""
        request = self.request(request_id)
        given_up = request is not None and request.given_up
        return given_up or any(final.request_id == request_id for final in self.finals)

    def with_request(self, request: OpenRequest) -> "DriverDisk":
        """Replace the request with the same id, or add it as the newest."""
        requests = {each.request_id: each for each in self.requests}
        requests[request.request_id] = request
        return attrs.evolve(self, requests=tuple(requests.values()))

    def without_request(self, request_id: str) -> "DriverDisk":
        """Forget an open request."""
        kept = tuple(each for each in self.requests if each.request_id != request_id)
        return attrs.evolve(self, requests=kept)

    def with_final(self, update: DriverUpdate) -> "DriverDisk":
        """End a request with its final status, which is still to be told."""
        return attrs.evolve(
            self.without_request(update.request_id),
            finals=(*self.finals, update)[-FINALS_MAX:],
            untold=(*self.untold, update),
        )


BLANK_DISK = DriverDisk((), (), (), "", 0)
