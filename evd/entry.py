"""The entry points of all programs: from their first line on a signal is a clean stop.

Until its own handlers are there a program has nothing to finish, so it ends at once: a daemon with
0, the tool with 130.  A SIGHUP that only asks for files anew finds none that was read.  Programs
are imported after that, for it takes time; so this module itself imports next to nothing.
"""

import os
import signal
from types import FrameType

from evd.adapters.terminal import STARTED_FROM


def _end(number: int, _frame: FrameType | None) -> None:
    if number != signal.SIGHUP or STARTED_FROM.has_hung_up():
        os._exit(0)


_before = {
    number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
}


def tool() -> None:
    """The program evd, which ignores what its caller ignores, as under nohup."""
    for number, before in _before.items():
        ignored = before is signal.SIG_IGN
        signal.signal(number, signal.SIG_IGN if ignored else lambda *_: os._exit(130))
    from evd.cli import main

    for number, before in _before.items():
        signal.signal(number, before)
    main()


def broker() -> None:
    """The program evd-broker."""
    from evd.daemons.broker.program import main

    main()


def central() -> None:
    """The program evd-central."""
    from evd.config import central_config
    from evd.flags import parse_or_exit
    from evd.protection import check

    # For a wrong flag or --help nobody waits for the program, which takes a second to import.
    parse_or_exit(lambda argv, env: check(central_config(argv, env)))
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


def restart_delay() -> None:
    """The program evd-restart-delay, which a unit runs before its daemon."""
    from evd.adapters.supervisor.restart_delay import pause

    pause(os.environ.get("RUNTIME_DIRECTORY", ""))


def kafka() -> None:
    """The program evd-kafka, whose node becomes Java."""
    from evd.kafka_node.__main__ import main

    main()
