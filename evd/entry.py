"""The entry points of the daemons: from their first line on a signal is a clean stop.

Until its own handlers are there a program has nothing to finish, so it ends with 0 at once. What
takes time to import is imported after that; so this module itself imports nothing of the rest.
"""

import os
import signal
from types import FrameType
from typing import NoReturn


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(0)


for _number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_number, _end)


def broker() -> None:
    """The program evd-broker."""
    from evd.daemons.broker.program import main

    main()


def central() -> None:
    """The program evd-central."""
    from evd.daemons.central.program import main

    main()


def engine() -> None:
    """The program evd-engine."""
    from evd.daemons.engine.program import main

    main()


def monitor() -> None:
    """The program evd-monitor."""
    from evd.daemons.monitor.program import main

    main()


def driver() -> None:
    """The program evd-driver."""
    from evd.daemons.driver.program import main

    main()


def kafka() -> None:
    """The program evd-kafka, whose node becomes Java."""
    from evd.kafka_node.__main__ import main

    main()
