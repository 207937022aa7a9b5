"""Central's HTTP: how one session, one charging point and the network went over time."""

from typing import Final

from evd.adapters.http.api import Routes
from evd.adapters.http.central_service import ServiceHere
from evd.adapters.http.parameters import SessionIdInPath
from evd.adapters.http.refused import Refused
from evd.adapters.http.schemas import SessionDetail

routes: Final = Routes()


@routes.get("/sessions/{session_id:str}", "One session", "The session", 404, 503)
async def show_session(service: ServiceHere, session_id: SessionIdInPath) -> SessionDetail:
    """With the course of its power; of a running one so far."""
    # Asked for first: a session that ends meanwhile has its stored one.
    so_far = service.curve(session_id)
    found = await service.store.session(session_id)
    if found is None:
        raise Refused(404, f"session {session_id} is not known", field="session_id")
    row, stored = found
    return SessionDetail.of(row, curve=list(so_far if stored is None else stored.points))
