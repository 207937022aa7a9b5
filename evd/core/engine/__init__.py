"""The engine of one charging point: events in, effects out.

`engine` decides; `machine`, `supply`, `ledger`, `presence`, `reports` and `buffer_log` each know
one thing for it; `session` says what a session comes to; `events` are the words it understands.
"""

from evd.core.engine.engine import Engine
from evd.core.engine.events import EngineDisk, EngineSettings, Run

__all__ = ["Engine", "EngineDisk", "EngineSettings", "Run"]
