"""Certificates that a test makes, in files as programs read them."""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import trustme

HOST: Final = "127.0.0.1"
NAMES: Final = ("central.example", "localhost", HOST)


class Certificates:
    """A site's authority, and a certificate for this machine that it has signed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.cert, self.key, self.ca = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
        self.authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.authority.cert_pem.write_to_path(self.ca)
        self.issue()

    @property
    def server_flags(self) -> tuple[str, ...]:
        """The flags of a program whose ports speak TLS."""
        return "--tls-cert", str(self.cert), "--tls-key", str(self.key)

    @property
    def client_flags(self) -> tuple[str, ...]:
        """The flags of a program that dials them."""
        return "--tls-ca", str(self.ca)

    def issue(self, *names: str, ends: datetime | None = None) -> None:
        """Put a new certificate into the files."""
        made = self.authority.issue_cert(
            *(names or NAMES), not_after=ends, key_type=trustme.KeyType.ECDSA
        )
        self.cert.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        self.key.touch(0o600)
        made.private_key_pem.write_to_path(self.key)

    def trusting(self) -> ssl.SSLContext:
        """The context of a client that takes what this authority has signed."""
        return ssl.create_default_context(cafile=str(self.ca))


def year(number: int) -> datetime:
    """The beginning of a year."""
    return datetime(number, 1, 1, tzinfo=UTC)


def secret(path: Path, text: str) -> Path:
    """A file of a secret, as a program takes it."""
    path.touch(0o600)
    path.write_text(text)
    return path
