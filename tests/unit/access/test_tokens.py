"""The form of a token."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.core.access.roles import Role
from evd.core.access.tokens import RANDOM_BYTES, check_token, digest, new_token, role_of
from evd.core.wire.fields import FieldError


@given(st.sampled_from(Role), st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_a_new_token_has_the_form(role: Role, random_bytes: bytes) -> None:
    """Proves: each token that is made is taken again, names its role, and has 43 characters."""
    token = new_token(role, random_bytes)
    assert check_token(token) == token
    assert role_of(token) is role
    assert token.startswith(f"evd_{role}_")
    assert len(token) == len(f"evd_{role}_") + 43


def test_a_token_has_all_its_random_bits() -> None:
    """Proves: fewer random bytes make no token."""
    with pytest.raises(ValueError, match="32 random bytes"):
        new_token(Role.ADMIN, bytes(16))


SECRET = "evd_admin_" + "s" * 42


@pytest.mark.parametrize(
    "value",
    [None, 7, [SECRET], {"token": SECRET}, SECRET, SECRET + "ss", SECRET + "\n", "evd_root_" + "s"],
)
def test_what_is_no_token_is_not_shown(value: object) -> None:
    """Proves: an error names the field, and never the value that was given as a token."""
    with pytest.raises(FieldError) as caught:
        check_token(value, "from")
    assert caught.value.field == "from"
    assert "sss" not in str(caught.value)


@given(st.text())
def test_any_text_has_a_digest(secret: str) -> None:
    """Proves: what a stranger sends, even half a character, has a digest, and no two have one."""
    assert len(digest(secret)) == 64
    assert digest(secret) != digest(secret + "x")


def test_the_digest_is_sha_256() -> None:
    """Proves: what is stored can be checked by any other program."""
    assert digest("evd") == hashlib.sha256(b"evd").hexdigest()
