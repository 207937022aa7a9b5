"""Ansible's filter `evd_secrets`: a site's certificates, tokens and password, with those it lacks.

It runs on the controller.  What is there and good stays as it is, so a second run changes nothing.
A certificate is made anew for the same key: a host then gets it without a restart of its daemons,
which read their key at their start.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
CA_DAYS = 20 * 365
DAYS = 365
# One that ends sooner is made anew.
RENEWED_DAYS = 30
NAME_CHARS_MAX = 64
PROMETHEUS = "prometheus"
POSTGRESQL = "postgresql"

Key = ec.EllipticCurvePrivateKey


class FilterModule:
    """The filters of this file, as Ansible asks for them."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return each filter by its name."""
        return {"evd_secrets": completed}


def completed(
    before: Mapping[str, Any],
    hosts: Mapping[str, Collection[str]],
    points: Iterable[str],
    drivers: Iterable[str],
    anew: Collection[str] = (),
    now: datetime | None = None,
) -> dict[str, Any]:
    """Return `before` with a certificate for each of `hosts` and a token for each of the others.

    `hosts`: the names and addresses by which each is dialed.  `anew`: the charging points and
    drivers whose tokens are made anew; `postgresql` stands for the password of Central's database.
    Of hosts, charging points and drivers that are not named nothing stays.
    """
    now = datetime.now(UTC) if now is None else now
    tokens = before.get("tokens", {})
    return {
        **_certificates(before, hosts, now),
        "tokens": {
            "points": _tokens("monitor", tokens.get("points", {}), points, anew),
            "drivers": _tokens("driver", tokens.get("drivers", {}), drivers, anew),
            "others": _tokens("viewer", tokens.get("others", {}), [PROMETHEUS], anew),
            "metrics": str(tokens.get("metrics") or _secret()),
        },
        "passwords": _passwords(before.get("passwords", {}), anew),
    }


def _tokens(
    role: str, before: Mapping[str, str], names: Iterable[str], anew: Collection[str]
) -> dict[str, str]:
    kept = {name: token for name, token in before.items() if name not in anew}
    return {str(name): str(kept.get(name) or f"evd_{role}_{_secret()}") for name in sorted(names)}


def _passwords(before: Mapping[str, str], anew: Collection[str]) -> dict[str, str]:
    kept = None if POSTGRESQL in anew else before.get(POSTGRESQL)
    return {POSTGRESQL: str(kept or _secret())}


def _secret() -> str:
    """Return 256 random bits, which are 43 characters."""
    return secrets.token_urlsafe(32)


def _certificates(
    before: Mapping[str, Any], hosts: Mapping[str, Collection[str]], now: datetime
) -> dict[str, Any]:
    """Return the site's own authority and the certificates of `hosts`; no host needs none."""
    if not hosts:
        return {"ca": before.get("ca", {}), "certificates": {}}
    known = before.get("ca", {})
    if known:
        authority = x509.load_pem_x509_certificate(known["certificate"].encode())
        signer = _key(known["key"])
    else:
        signer = ec.generate_private_key(ec.SECP256R1())
        authority = _authority(signer, now)
    held = before.get("certificates", {})
    return {
        "ca": {"certificate": _pem(authority), "key": _key_pem(signer)},
        "certificates": {
            str(host): _certificate(held.get(host), str(host), names, authority, signer, now)
            for host, names in sorted(hosts.items())
        },
    }


def _certificate(
    held: Mapping[str, str] | None,
    host: str,
    names: Collection[str],
    authority: x509.Certificate,
    signer: Key,
    now: datetime,
) -> dict[str, str]:
    """Return the certificate that a host holds, or a new one for the same key."""
    if held is not None:
        present = x509.load_pem_x509_certificate(held["certificate"].encode())
        if _is_good(present, names, authority, now):
            return {"certificate": str(held["certificate"]), "key": str(held["key"])}
    key = ec.generate_private_key(ec.SECP256R1()) if held is None else _key(held["key"])
    made = (
        _builder(host, key.public_key(), authority.subject, now)
        .not_valid_after(min(now + DAYS * DAY, authority.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    return {"certificate": _pem(made), "key": _key_pem(key)}


def _is_good(
    present: x509.Certificate,
    names: Collection[str],
    authority: x509.Certificate,
    now: datetime,
) -> bool:
    """Return whether a certificate has these names, comes from the authority and ends late enough.

    One that ends with its authority is as good as a new one.
    """
    try:
        present.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    named = present.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ends = present.not_valid_after_utc
    lasts = ends - now >= RENEWED_DAYS * DAY or ends == authority.not_valid_after_utc
    return lasts and set(named) == set(_general_names(names))


def _authority(signer: Key, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"evd {now:%Y-%m-%d}")])
    return (
        _builder(name, signer.public_key(), name, now)
        .not_valid_after(now + CA_DAYS * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .sign(signer, hashes.SHA256())
    )


def _builder(
    subject: str | x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name, now: datetime
) -> x509.CertificateBuilder:
    """Return the part that all certificates have; a clock may be a day behind."""
    if isinstance(subject, str):
        shown = subject[:NAME_CHARS_MAX]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, shown)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    """Return the use of an authority's key, which `signs` certificates, or of a server's."""
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in sorted({str(each) for each in names}):
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _key(pem: str) -> Key:
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, Key):
        raise TypeError("a key in the vault is of another kind than the site's own ones")
    return key


def _key_pem(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
