"""The part of Central that a driver sees: all charging points, but only its own affairs.

Each function takes the `driver_id` of the caller's Pass; None sees everything.
"""

import attrs

from evd.adapters.http.refused import Refused
from evd.core.central.views import CpView

_ANOTHER: str = "another driver's session"


def veiled(point: CpView, driver_id: str | None) -> CpView:
    """The charging point without another driver's name, session and meter."""
    if driver_id is None or point.current_driver in (None, driver_id):
        return point
    reason = point.unavailable_reason
    if point.current_session is not None:
        reason = reason.replace(point.current_session, _ANOTHER)
    return attrs.evolve(
        point,
        current_driver=None,
        current_session=None,
        telemetry=None,
        unavailable_reason=reason,
    )


def narrowed(asked: str | None, driver_id: str | None) -> str | None:
    """The driver whose rows a call is about: a driver's own.  Raises Refused for another one's."""
    if driver_id is None:
        return asked
    if asked not in (None, driver_id):
        raise Refused(403, f"{driver_id} may ask about nobody else", "driver_id")
    return driver_id


def is_hidden(owner: str, driver_id: str | None) -> bool:
    """Whether a thing of this owner is not to be seen."""
    return driver_id not in (None, owner)
