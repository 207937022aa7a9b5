"""A Central that shares its database with nobody, and opens none here; one that stands by."""

from pathlib import Path
from typing import Final

import attrs

from evd.adapters.store import open_store
from evd.daemons.central.standing import Alone

ALONE: Final = Alone(lambda: open_store("sqlite:///unused.db", Path("unused")))


@attrs.define(init=False)
class StandingBy(Alone):
    """Stands by for as long as `why` says for whom."""

    why: str = "standing by for a:8000"

    def __init__(self) -> None:
        super().__init__(ALONE.open_store)
        self.why = "standing by for a:8000"

    @property
    def stands_by(self) -> bool:
        return bool(self.why)

    def may_speak(self) -> bool:
        return not self.why

    def why_silent(self) -> str:
        return self.why
