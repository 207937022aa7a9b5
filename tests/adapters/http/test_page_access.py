"""The page as the server makes it for each reader."""

import re

import httpx

from evd.core.access.roles import Auth, Role
from evd.core.access.tokens import new_token
from tests.adapters.http.access_scene import doorway
from tests.adapters.http.fake_central import Client

METAS = re.compile(r'<meta name="evd-(auth|role|user)" content="([^"]*)">')


def told(answer: httpx.Response) -> dict[str, str]:
    """The facts of access in a page's head."""
    assert answer.status_code == 200
    return dict(METAS.findall(answer.text))


async def test_a_page_names_its_reader() -> None:
    """Proves: the page knows of `--auth` and of its reader's role and name; for a stranger, with a
    cookie or token that is not valid too, it is a page all the same; no cache keeps it."""
    for auth in (Auth.REQUIRED, Auth.WARN):
        async with doorway(auth) as door:
            answer = await door.asked("GET", "/", door.token_of(Role.VIEWER))
            assert told(answer) == {"auth": auth, "role": "viewer", "user": "viewer-None"}
            assert answer.headers["cache-control"] == "no-store"
            stranger = {"auth": auth, "role": "", "user": ""}
            assert told(await door.asked("GET", "/")) == stranger
            unknown = new_token(Role.ADMIN, b"x" * 32)
            assert told(await door.asked("GET", "/", unknown)) == stranger
            assert told(await door.asked("GET", "/", Cookie="evd_session=x")) == stranger


async def test_with_auth_off_the_page_has_no_word_of_it(client: Client) -> None:
    """Proves: nothing of access stands in the page where everybody may do everything."""
    answer = await client.get("/")
    assert told(answer) == {}
    assert "cache-control" not in answer.headers
