"""The lab's network: one bridge in a namespace of its own, one cable to each host, and what can
happen to a cable.  Nothing leads out of it.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from tests.hosts import cgroups, netns
from tests.hosts.host import INTERFACE, Host
from tests.network.waiting import wait_until

BRIDGE: Final = "br0"
BITS: Final = 24
# A reset answers all that a host sends and gets, as from a firewall that refuses.
_REFUSING: Final = f"""
table inet evd_refusing {{
  chain incoming {{
    type filter hook input priority -300
    iifname {INTERFACE} tcp flags & rst != rst reject with tcp reset
    iifname {INTERFACE} drop
  }}
  chain outgoing {{
    type filter hook output priority -300
    oifname {INTERFACE} tcp flags & rst == rst accept
    oifname {INTERFACE} meta l4proto tcp reject with tcp reset
    oifname {INTERFACE} drop
  }}
}}
"""

_WITHOUT_USER: Final = f"""
table inet evd_without_user {{{{
  chain incoming {{{{
    type filter hook input priority -300
    iifname {INTERFACE} tcp dport {{{{ {{ports}} }}}} drop
  }}}}
  chain outgoing {{{{
    type filter hook output priority -300
    oifname {INTERFACE} meta skuid {{uid}} drop
  }}}}
}}}}
"""

_WITHOUT_PORT: Final = f"""
table inet evd_without_port {{{{
  chain incoming {{{{
    type filter hook input priority -300
    iifname {INTERFACE} ip saddr {{address}} tcp sport {{port}} drop
  }}}}
  chain outgoing {{{{
    type filter hook output priority -300
    oifname {INTERFACE} ip daddr {{address}} tcp dport {{port}} drop
  }}}}
}}}}
"""


@attrs.frozen
class Links:
    """The cables of a lab; its namespace has the lab's own name."""

    lab: str
    # The address of who gives the orders, on the bridge.
    address: str

    def make(self, hosts: list[Host]) -> None:
        """Make the bridge, each host's namespace, and the cables between them."""
        netns.make(self.lab)
        netns.ip(self.lab, "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0")
        netns.ip(self.lab, "address", "add", f"{self.address}/{BITS}", "dev", BRIDGE)
        netns.ip(self.lab, "link", "set", BRIDGE, "up")
        for host in hosts:
            port = self._port(host)
            netns.make(host.namespace)
            netns.ip(
                self.lab,
                *("link", "add", port, "type", "veth"),
                *("peer", "name", INTERFACE, "netns", host.namespace),
            )
            netns.ip(self.lab, "link", "set", port, "master", BRIDGE, "up")
            address = f"{host.address}/{BITS}"
            netns.ip(host.namespace, "address", "add", address, "dev", INTERFACE)
            netns.ip(host.namespace, "link", "set", INTERFACE, "up")

    @contextmanager
    def cut(self, host: Host) -> Iterator[None]:
        """Pull the cable within the block: connections are not reset, packets are gone."""
        netns.ip(self.lab, "link", "set", self._port(host), "down")
        try:
            yield
        finally:
            netns.ip(self.lab, "link", "set", self._port(host), "up")

    @contextmanager
    def refused(self, host: Host) -> Iterator[None]:
        """Cut it off within the block by resets: connections end at once, on both sides."""
        netns.nft(host.namespace, _REFUSING)
        try:
            yield
        finally:
            netns.nft(host.namespace, "delete table inet evd_refusing")

    @contextmanager
    def without_user(self, host: Host, user: str, ports: Sequence[int]) -> Iterator[None]:
        """Cut off within the block what a user of the host runs, which listens on `ports`; the rest
        of the host goes on. Connections are not reset."""
        uid = host.sh(f"id --user {user}").strip()
        listed = ", ".join(map(str, ports))
        netns.nft(host.namespace, _WITHOUT_USER.format(uid=uid, ports=listed))
        try:
            yield
        finally:
            netns.nft(host.namespace, "delete table inet evd_without_user")

    @contextmanager
    def without_port(self, host: Host, other: Host, port: int) -> Iterator[None]:
        """Cut a host off from a port of another one within the block, and from nothing else.
        Connections are not reset."""
        netns.nft(host.namespace, _WITHOUT_PORT.format(address=other.address, port=port))
        try:
            yield
        finally:
            netns.nft(host.namespace, "delete table inet evd_without_port")

    @contextmanager
    def deaf(self, host: Host) -> Iterator[None]:
        """Let it hear nothing within the block; what it says arrives."""
        with self._dropping(f"oifname {self._port(host)}"):
            yield

    @contextmanager
    def mute(self, host: Host) -> Iterator[None]:
        """Let nothing that it says arrive within the block; it hears all."""
        with self._dropping(f"iifname {self._port(host)}"):
            yield

    @contextmanager
    def _dropping(self, packets: str) -> Iterator[None]:
        chain = f"chain passing {{ type filter hook forward priority 0; {packets} drop; }}"
        netns.nft(self.lab, f"table bridge evd_dropping {{ {chain}; }}")
        try:
            yield
        finally:
            netns.nft(self.lab, "delete table bridge evd_dropping")

    @contextmanager
    def poor(
        self, host: Host, delay_ms: float, jitter_ms: float, loss_percent: float
    ) -> Iterator[None]:
        """Make its cable slow and lossy within the block, in both directions."""
        port = self._port(host)
        near, far = f"{port}n", f"{port}f"
        netns.ip(self.lab, "link", "add", near, "type", "veth", "peer", "name", far)
        netns.ip(self.lab, "link", "set", near, "up")
        netns.ip(self.lab, "link", "set", port, "nomaster")
        netns.ip(self.lab, "link", "set", far, "master", BRIDGE, "up")
        script = Path(__file__).with_name("poor_cable.py")
        figures = map(str, (delay_ms, jitter_ms, loss_percent))
        # It is found, and ended, also after a killed run.
        groups = cgroups.make(f"{self.lab}/cables")
        with subprocess.Popen(
            (*netns.prefix(self.lab), sys.executable, str(script), port, near, *figures),
            stdout=subprocess.PIPE,
        ) as relay:
            for group in groups:
                group.write_text(str(relay.pid))
            try:
                assert relay.stdout is not None
                wait_until(relay.stdout.readline, 20.0, "the poor cable is there")
                yield
            finally:
                relay.kill()
                netns.ip(self.lab, "link", "delete", near)
                netns.ip(self.lab, "link", "set", port, "master", BRIDGE)

    @staticmethod
    def _port(host: Host) -> str:
        """The bridge's end of a host's cable."""
        return f"v{host.address.rsplit('.', 1)[1]}"
