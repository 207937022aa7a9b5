"""The certificates and tokens that the playbooks make for a site, before any host has them."""

import importlib.util
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from evd.core.access.roles import Role
from evd.core.access.tokens import check_token, role_of
from tests.network.processes import CHECKOUT

FILTER: Final = CHECKOUT / "ansible" / "filter_plugins" / "evd_secrets.py"
NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTS: Final = {"site-a": ["site-a", "localhost", "192.0.2.21"], "site-b": ["192.0.2.22"]}


def _completed() -> Callable[..., dict[str, Any]]:
    spec = importlib.util.spec_from_file_location("evd_secrets", FILTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., dict[str, Any]] = module.completed
    return found


completed = _completed()


def made(now: datetime = NOW, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """All that a site of two hosts needs."""
    return completed(before or {}, HOSTS, ["CP-001"], ["driver-alice"], now=now)


def certificate(site: dict[str, Any], host: str) -> x509.Certificate:
    """The certificate of a host."""
    return x509.load_pem_x509_certificate(site["certificates"][host]["certificate"].encode())


def authority(site: dict[str, Any]) -> x509.Certificate:
    """The certificate that vouches for the others."""
    return x509.load_pem_x509_certificate(site["ca"]["certificate"].encode())


def test_a_certificate_has_the_names_by_which_its_host_is_dialed() -> None:
    """Proves: names are names and addresses are addresses in it, and it is a server's alone."""
    found = certificate(made(), "site-a").extensions
    names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"site-a", "localhost"}
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.21")]
    assert not found.get_extension_for_class(x509.BasicConstraints).value.ca


def test_keys_are_of_the_kind_that_every_client_knows() -> None:
    """Proves: all keys are ECDSA on P-256, each of its own, and belong to their certificates."""
    site = made()
    keys = []
    for pair in (site["ca"], *site["certificates"].values()):
        key = load_pem_private_key(pair["key"].encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert isinstance(key.curve, ec.SECP256R1)
        held = x509.load_pem_x509_certificate(pair["certificate"].encode())
        assert held.public_key() == key.public_key()
        keys.append(pair["key"])
    assert len(set(keys)) == 3


def test_a_certificate_holds_from_a_day_before_it_is_made() -> None:
    """Proves: a host whose clock is hours behind takes it, and it ends within a year."""
    held = certificate(made(), "site-a")
    assert held.not_valid_before_utc == NOW - timedelta(days=1)
    assert held.not_valid_after_utc == NOW + timedelta(days=365)
    assert authority(made()).not_valid_after_utc > NOW + timedelta(days=3650)


def test_a_client_that_believes_the_site_takes_it(tmp_path: Path) -> None:
    """Proves: OpenSSL, as strict as it can be, shakes hands with a host by its name, and not by the
    name of another one."""
    site = made(datetime.now(UTC))
    (tmp_path / "cert.pem").write_text(site["certificates"]["site-a"]["certificate"])
    (tmp_path / "key.pem").write_text(site["certificates"]["site-a"]["key"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    client = ssl.create_default_context(cadata=site["ca"]["certificate"])
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("site-a", "192.0.2.21"):
        _shake_hands(client, server, name)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"192\.0\.2\.22"):
        _shake_hands(client, server, "192.0.2.22")


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asker = client.wrap_bio(back, there, server_hostname=name)
    answerer = server.wrap_bio(there, back, server_side=True)
    for side in (asker, answerer, asker, answerer):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert asker.getpeercert()


def test_a_second_run_changes_nothing() -> None:
    """Proves: what is there stays, until 30 days before a certificate ends."""
    first = made()
    assert made(before=first) == first
    assert made(NOW + timedelta(days=335), first) == first


def test_a_certificate_is_renewed_for_the_same_key() -> None:
    """Proves: one that ends within 30 days is made anew, by the same authority and for the same
    key, which daemons read at their start alone; nothing else of the site changes."""
    first = made()
    later = NOW + timedelta(days=336)
    second = made(later, first)
    held = certificate(second, "site-a")
    assert held.not_valid_after_utc == later + timedelta(days=365)
    assert held.public_key() == certificate(first, "site-a").public_key()
    held.verify_directly_issued_by(authority(first))
    assert {**second, "certificates": first["certificates"]} == first


def test_another_address_needs_another_certificate() -> None:
    """Proves: a host that is dialed by another address gets a certificate with that, and the others
    keep theirs."""
    first = made()
    hosts = {**HOSTS, "site-b": ["192.0.2.99"]}
    second = completed(first, hosts, ["CP-001"], ["driver-alice"], now=NOW)
    assert second["certificates"]["site-a"] == first["certificates"]["site-a"]
    assert second["certificates"]["site-b"] != first["certificates"]["site-b"]
    assert second["certificates"]["site-b"]["key"] == first["certificates"]["site-b"]["key"]


def test_a_certificate_of_another_authority_is_made_anew() -> None:
    """Proves: where the site's authority was replaced no host keeps what the others refuse."""
    first = made()
    other = made()
    mixed = made(before={**first, "ca": other["ca"]})
    for host in HOSTS:
        certificate(mixed, host).verify_directly_issued_by(authority(other))


def test_tokens_have_the_form_that_central_takes() -> None:
    """Proves: each charging point, each driver and Prometheus have a token of their role, and no
    two of them are the same."""
    tokens = made()["tokens"]
    found = {
        Role.MONITOR: tokens["points"]["CP-001"],
        Role.DRIVER: tokens["drivers"]["driver-alice"],
        Role.VIEWER: tokens["others"]["prometheus"],
    }
    for role, token in found.items():
        assert role_of(check_token(token)) is role
    assert len({*found.values(), tokens["metrics"]}) == 4


def test_tokens_are_made_anew_only_where_that_is_asked() -> None:
    """Proves: a charging point that is named gets another token, one that is new its first, and one
    that left the inventory keeps none."""
    first = made()
    second = completed(first, HOSTS, ["CP-001", "CP-002"], [], ["CP-001"], NOW)["tokens"]
    assert second["points"].keys() == {"CP-001", "CP-002"}
    assert second["points"]["CP-001"] != first["tokens"]["points"]["CP-001"]
    assert second["drivers"] == {}
    assert second["others"] == first["tokens"]["others"]


def test_the_password_of_the_database_stays_until_another_is_asked_for() -> None:
    """Proves: it is made once, and anew where it is named; tokens are not touched by that."""
    first = made()
    second = completed(first, HOSTS, ["CP-001"], ["driver-alice"], ["postgresql"], NOW)
    assert len(first["passwords"]["postgresql"]) == 43
    assert second["passwords"]["postgresql"] != first["passwords"]["postgresql"]
    assert {**second, "passwords": first["passwords"]} == first


def test_a_site_with_given_certificates_has_no_authority() -> None:
    """Proves: where every host brings its own certificate nothing is signed here."""
    site = completed({}, {}, ["CP-001"], [], now=NOW)
    assert site["ca"] == {}
    assert site["certificates"] == {}
    assert site["tokens"]["points"]
