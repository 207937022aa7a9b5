"""Safe by default: what is started, and what is not, by the flags alone."""

from collections.abc import Mapping, Sequence

import pytest

from evd.addresses import is_loopback
from evd.config import (
    broker_config,
    central_config,
    driver_config,
    engine_config,
    monitor_config,
)
from evd.flags import ConfigError
from evd.protection import auth_of, check, with_password

PARSERS = {
    "broker": (broker_config, []),
    "central": (central_config, []),
    "engine": (engine_config, ["--cp-id=CP-001"]),
    "monitor": (monitor_config, ["--cp-id=CP-001"]),
    "driver": (driver_config, ["--driver-id=driver-alice"]),
}
TLS = ("--tls-cert=c", "--tls-key=k")
# An address that nobody has.
THERE = "192.0.2.1"
POSTGRESQL = "--db-url=postgresql+psycopg://"


def judge(name: str, *flags: str, env: Mapping[str, str] | None = None) -> Sequence[object]:
    """The ports that --insecure has to excuse with these flags; raises ConfigError."""
    parse, required = PARSERS[name]
    return check(parse([*required, *flags], env or {}))


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        (THERE, False),
        ("fe80::1%lo", False),
        ("::ffff:192.0.2.1", False),
        ("no-such-host.invalid", False),
        ("a" * 64 + ".example", False),
    ],
)
def test_loopback(host: str, is_here: bool) -> None:
    """Proves: only what reaches nobody but this machine is loopback, names by what they mean; one
    that nobody knows is not."""
    assert is_loopback(host) is is_here


@pytest.mark.parametrize(
    ("addresses", "is_here"),
    [
        (["127.0.0.1", "::1"], True),
        (["127.0.0.1", THERE], False),
        ([THERE, "127.0.0.1"], False),
        ([], False),
    ],
)
def test_a_name_is_loopback_by_all_of_its_addresses(addresses: list[str], is_here: bool) -> None:
    """Proves: a name that also reaches another machine is not loopback, in whichever order."""
    assert is_loopback("host.example", lambda _: addresses) is is_here


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        *((name, ()) for name in PARSERS),
        ("central", ("--listen-host=127.0.0.9", "--http-host=::1")),
        ("central", ("--auth=required", *TLS)),
        ("central", (f"--listen-host={THERE}", "--http-host=0.0.0.0", "--auth=required", *TLS)),
        ("engine", (f"--health-host={THERE}", "--token-file=t", *TLS)),
        # Nothing listens there.
        ("engine", (f"--metrics-host={THERE}",)),
        ("driver", (f"--http-host={THERE}",)),
        ("engine", (f"--metrics-host={THERE}", "--metrics-port=1", "--metrics-token-file=t", *TLS)),
        (
            "driver",
            ("--http-host=::", "--http-port=1", "--auth=required", "--token-file=t", *TLS),
        ),
        ("monitor", (f"--central-host={THERE}",)),
        ("monitor", (f"--central-host={THERE}", "--token-file=t", "--tls-ca=c")),
        (
            "monitor",
            (f"--central-host=127.0.0.1,{THERE}:9998,[::1]", "--token-file=t", "--tls-ca=c"),
        ),
        ("monitor", ("--central-host=127.0.0.1,[::1]:9998", "--token-file=t")),
        ("monitor", ("--token-file=t",)),
        ("driver", (f"--central-url=http://{THERE}:8000",)),
        ("driver", (f"--central-url=https://{THERE}:8000", "--token-file=t")),
        ("driver", (f"--central-url=http://[::1],https://{THERE}", "--token-file=t")),
        ("driver", ("--central-url=http://[::1]:8000", "--token-file=t", "--auth=required")),
        ("central", (f"{POSTGRESQL}u:p@localhost/d",)),
        ("central", (f"{POSTGRESQL}u:p@/d?host=/run/postgresql",)),
        ("central", (f"{POSTGRESQL}u@{THERE}/d",)),
        ("central", (f"{POSTGRESQL}u:p@{THERE}/d?sslmode=verify-full",)),
        (
            "central",
            (f"{POSTGRESQL}u@{THERE}/d?sslmode=verify-full", "--db-password-file=p", "--auth=warn"),
        ),
        ("central", ("--http-proxies=::1", "--auth=required")),
    ],
)
def test_what_is_safe_begins_without_a_word(name: str, flags: tuple[str, ...]) -> None:
    """Proves: loopback asks for nothing, and beyond it complete protection is enough."""
    assert judge(name, *flags) == []


@pytest.mark.parametrize(
    ("name", "flags", "named", "missing"),
    [
        ("broker", ("--listen-host=0.0.0.0",), "--listen-host", "--insecure"),
        ("broker", (f"--metrics-host={THERE}", "--metrics-port=1"), "--metrics-host", "--insecure"),
        ("central", ("--listen-host=0.0.0.0",), "--listen-host", "--tls-cert and --auth required"),
        ("central", ("--http-host=::", *TLS), "--http-host", "--auth required"),
        ("central", ("--http-host=::", *TLS, "--auth=warn"), "--http-host", "--auth required"),
        ("central", (f"--listen-host={THERE}", "--auth=required"), "--listen-host", "--tls-cert"),
        ("engine", (f"--health-host={THERE}",), "--health-host", "--tls-cert and --token-file"),
        ("engine", ("--health-host=::", *TLS), "--health-host", "--token-file"),
        (
            "monitor",
            ("--metrics-host=::", "--metrics-port=1", *TLS),
            "--metrics-host",
            "--metrics-token-file",
        ),
        ("driver", ("--http-host=::", "--http-port=1"), "--http-host", "--tls-cert and --auth"),
        ("driver", ("--metrics-host=::", "--metrics-port=1"), "--metrics-host", "--tls-cert"),
    ],
)
def test_a_port_beyond_loopback_needs_its_whole_protection(
    name: str, flags: tuple[str, ...], named: str, missing: str
) -> None:
    """Proves: what listens beyond loopback without it is refused, by the flag of its host and what
    is missing; --insecure lets it begin, and tells of each such port."""
    with pytest.raises(ConfigError, match=f"^{named}: ") as caught:
        judge(name, *flags)
    assert missing in str(caught.value)
    assert "--insecure" in str(caught.value)
    assert str(judge(name, *flags, "--insecure")[0]).startswith(f"{named}: ")


@pytest.mark.parametrize(
    ("name", "flags", "named"),
    [
        ("central", ("--tls-cert=c",), "--tls-key"),
        ("engine", ("--tls-key=k",), "--tls-cert"),
        ("monitor", (f"--central-host={THERE}", "--token-file=t"), "--tls-ca"),
        ("monitor", (f"--central-host=127.0.0.1,{THERE}:9", "--token-file=t"), "--tls-ca"),
        ("monitor", (f"--cp-e-host={THERE}", "--token-file=t"), "--tls-ca"),
        ("driver", (f"--central-url=http://{THERE}:8000", "--token-file=t"), "--central-url"),
        (
            "driver",
            (f"--central-url=http://{THERE}:8000", "--auth=required"),
            "--central-url",
        ),
        (
            "driver",
            (f"--central-url=https://a.example,http://{THERE}", "--token-file=t"),
            "--central-url",
        ),
        ("driver", ("--http-port=1", "--auth=required"), "--token-file"),
        ("central", ("--http-proxies=10.0.0.0/8",), "--http-proxies"),
        ("driver", ("--http-proxies=::1", "--auth=warn"), "--http-proxies"),
        ("central", (f"{POSTGRESQL}u:p@localhost/d", "--auth=required"), "--db-url"),
        ("central", (f"{POSTGRESQL}u@{THERE}/d", "--auth=required"), "--db-url"),
        ("central", (f"{POSTGRESQL}u@{THERE}/d?sslmode=require", "--auth=required"), "--db-url"),
        ("central", (f"{POSTGRESQL}u@/d?host=localhost,{THERE}", "--auth=required"), "--db-url"),
        ("central", ("--db-password-file=p",), "--db-password-file"),
        ("central", (f"{POSTGRESQL}u:p@h/d", "--db-password-file=p"), "--db-password-file"),
        ("central", (f"{POSTGRESQL}localhost/d", "--db-password-file=p"), "--db-password-file"),
    ],
)
def test_what_no_word_excuses(name: str, flags: tuple[str, ...], named: str) -> None:
    """Proves: no token leaves this host in clear, nothing is dialed so where --auth is required,
    and flags that do not fit together are refused, with --insecure too."""
    for more in ((), ("--insecure",)):
        with pytest.raises(ConfigError, match=f"^{named}: "):
            judge(name, *flags, *more)


@pytest.mark.parametrize("url", [f"u:p@{THERE}/d", f"u:p@{THERE}/d?sslmode=prefer"])
def test_a_database_password_goes_out_encrypted(url: str) -> None:
    """Proves: a password is sent to another host in clear only at the operator's word, and no error
    shows it."""
    for flags in (
        (POSTGRESQL + url,),
        (POSTGRESQL + url.replace(":p", ""), "--db-password-file=f"),
    ):
        with pytest.raises(ConfigError, match=r"^--db-url: .*sslmode=verify-full") as caught:
            judge("central", *flags)
        assert "u:p" not in str(caught.value)
        assert judge("central", *flags, "--insecure") == []


def test_auth_where_it_is_not_given() -> None:
    """Proves: without --auth there is none, on loopback and with --insecure."""
    assert auth_of(central_config([], {})) == "off"
    assert auth_of(central_config(["--auth", "warn"], {})) == "warn"


def test_a_password_of_any_characters() -> None:
    """Proves: a password from a file stands in the address as it is, whatever is in it."""
    from sqlalchemy.engine import make_url

    address = "postgresql+psycopg://evd@db.example:5433/evd?sslmode=verify-full"
    made = make_url(with_password(address, "p@/:%?#[ ü"))
    assert (made.username, made.password) == ("evd", "p@/:%?#[ ü")
    assert (made.host, made.port, made.database) == ("db.example", 5433, "evd")
    assert made.query["sslmode"] == "verify-full"
    assert with_password(address, None) == address
    assert with_password("sqlite:///c.db", "p") == "sqlite:///c.db"
