"""A Central that shares its database with nobody, and opens none here; one that stands by."""

from pathlib import Path
from typing import Final

from evd.adapters.store import open_store
from evd.daemons.central.standing import Alone

ALONE: Final = Alone(lambda: open_store("sqlite:///unused.db", Path("unused")))


class StandingBy(Alone):
    """Stands by for as long as `why` says for whom, and keeps monitors if `is_soon`."""

    def __init__(self, why: str = "standing by for a:8000", *, is_soon: bool = False) -> None:
        super().__init__(ALONE.open_store)
        self.why = why
        self.is_soon = is_soon
        self.dialled: list[str] = []

    @property
    def stands_by(self) -> bool:
        return bool(self.why)

    def may_speak(self) -> bool:
        return not self.why

    def why_silent(self) -> str:
        return self.why

    def serves_soon(self) -> bool:
        return self.is_soon

    def on_dialled(self, cp_id: str) -> None:
        self.dialled.append(cp_id)
