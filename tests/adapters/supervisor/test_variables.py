"""The variables of the network's file, which supervisord gives to each program."""

from pathlib import Path

from evd.adapters.supervisor.protocol import Sync
from tests.adapters.supervisor.test_supervisord import place_in


def test_a_variable_is_new_for_its_own_programs(tmp_path: Path) -> None:
    """Proves: a variable that all inherit changes the programs that read it, and no other."""
    with place_in(tmp_path) as place:
        conf = place.supervisord.conf
        text = conf.read_text()
        place.supervisord.up()
        place.wait_until_running(5)
        for variable, group in (("CP_MONITOR_HEALTH_INTERVAL", "evd-monitor:"), ("HOME", "evd-")):
            added = f'environment =\n    {variable}="3",\n'
            conf.write_text(text.replace("environment =\n", added))
            names = sorted(name for name in place.pids() if name.startswith(group))
            assert place.supervisord.drift() == Sync(changed=tuple(names))
