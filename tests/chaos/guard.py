"""A network that asks all who call it who they are: TLS, tokens, --auth required."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs

from evd.adapters.http.central_access import CentralAccess
from evd.adapters.http.client import Way
from evd.adapters.supervisor.protocol import CentralGiven, Program
from evd.cli.programs import CENTRAL, DRIVER, ENGINE, MONITOR
from evd.core.access.roles import Role
from evd.core.access.tokens import RANDOM_BYTES, new_token
from tests.chaos.plan import CP_IDS, DRIVER_IDS
from tests.network.certificates import HOST, Certificates, secret

# The name of the operator's token.
OPERATOR: Final = "operator"


class Guard:
    """The certificates and tokens of a network, in files of `folder`."""

    def __init__(self, folder: Path, ways: Sequence[Way]) -> None:
        """`ways` are those to the Centrals as their own user."""
        folder.mkdir()
        self._folder = folder
        self._urls = tuple(f"https://{HOST}:{urlsplit(each.url).port}" for each in ways)
        self._certificates = Certificates(folder / "tls")
        context = self._certificates.trusting()
        # The same, where they speak TLS.
        self.ways = [
            Way(url, each.socket, context=lambda: context)
            for url, each in zip(self._urls, ways, strict=True)
        ]
        self._access = CentralAccess(self.ways)
        for who in (*CP_IDS, *DRIVER_IDS):
            role = Role.DRIVER if who in DRIVER_IDS else Role.MONITOR
            self._write(who, new_token(role, os.urandom(RANDOM_BYTES)))

    def flags_of(self, program: Program) -> tuple[str, ...]:
        """The flags by which a program shows its certificate or its token."""
        match program.group, program.member:
            case (group, _) if group == CENTRAL:
                return "--auth", "required", *self._certificates.server_flags
            case (group, str(member)) if group == ENGINE:
                return "--token-file", str(self._file(member))
            case (group, str(member)) if group == MONITOR:
                return "--token-file", str(self._file(member)), *self._certificates.client_flags
            case (group, str(member)) if group == DRIVER:
                token = ("--token-file", str(self._file(member)))
                return (
                    *token,
                    *self._certificates.client_flags,
                    "--central-url",
                    ",".join(self._urls),
                )
        return ()

    def given(self, plain: CentralGiven) -> CentralGiven:
        """How the operator names the Centrals of which one serves, and who he is."""
        ca = self._certificates.ca
        return attrs.evolve(plain, urls=self._urls, token_file=self._file(OPERATOR), tls_ca=ca)

    def let_in(self, whom: Iterable[str] = (*CP_IDS, *DRIVER_IDS)) -> None:
        """Make Central take the tokens that are in the files."""
        for who in whom:
            token = self._file(who).read_text()
            if who in DRIVER_IDS:
                self._access.new_driver_token(who, token)
            else:
                self._access.new_cp_token(who, token)
        if not self._file(OPERATOR).exists():
            made = self._access.new_token(OPERATOR, Role.ADMIN)
            self._write(OPERATOR, made["token"])

    def renew(self, who: str) -> None:
        """Give one that was removed another token: its old one is good for nothing."""
        make = self._access.new_driver_token if who in DRIVER_IDS else self._access.new_cp_token
        self._write(who, make(who))

    def _file(self, who: str) -> Path:
        return self._folder / who

    def _write(self, who: str, token: str) -> None:
        secret(self._file(who), token)
