"""The admin socket: who can open it, and when Central begins without it."""

import contextlib
import logging
import os
import pwd
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from evd.adapters.http.access.admin_socket import (
    ADMIN_BOUNDS,
    NAME,
    PATH_BYTES_MAX,
    admin_listeners,
)
from evd.adapters.http.access.gate import LocalGate
from evd.adapters.http.serving import serve_app
from evd.core.access.events import UserAddAsked
from evd.core.access.roles import Auth, Role
from tests.adapters.http.access_scene import PASSWORD
from tests.adapters.http.fake_central import FakeCentral, assert_error, serve_for, shared

ME = f"local:{pwd.getpwuid(os.getuid()).pw_name}"


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[FakeCentral]:
    """A Central whose admin socket is in the folder."""
    central = FakeCentral()
    serve_for(central)
    app, _ = shared(Auth.REQUIRED)
    async with admin_listeners(folder) as listeners, trio.open_nursery() as nursery:
        gate = LocalGate()
        stopping = trio.Event()
        nursery.start_soon(
            lambda: serve_app(app, listeners, stopping=stopping, gate=gate, bounds=ADMIN_BOUNDS)
        )
        yield central
        nursery.cancel_scope.cancel()


async def asked(folder: Path, method: str, path: str, body: Any = None) -> httpx.Response:
    """The answer to a call over the socket."""
    transport = httpx.AsyncHTTPTransport(uds=str(folder / NAME))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path, json=body)


async def test_its_own_user_alone_is_admin(tmp_path: Path) -> None:
    """Proves: nobody but Central's user can open it, from its first moment on; who does is an admin
    by that user's name, though Central asks for logins; its file is gone afterwards."""
    async with served(tmp_path) as central:
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
        body = {"user": "root", "password": PASSWORD, "role": "admin"}
        assert (await asked(tmp_path, "POST", "/users", body)).status_code == 201
        (event,) = central.asked
        assert isinstance(event, UserAddAsked)
        assert (event.by.name, event.by.role, event.by.address) == (ME, Role.ADMIN, "")
    assert not (tmp_path / NAME).exists()


async def test_a_copy_of_access_goes_out_and_in(tmp_path: Path) -> None:
    """Proves: a copy has hashes and no secret, may be large, tells what it would change before it
    does, and lets the same people in again."""
    async with served(tmp_path):
        body = {"user": "root", "password": PASSWORD, "role": "admin"}
        await asked(tmp_path, "POST", "/users", body)
        token = (await asked(tmp_path, "POST", "/cp/CP-001/token")).json()["token"]
        copy = await asked(tmp_path, "GET", "/access/export")
        assert "$argon2id$" in copy.text
        assert token not in copy.text
    async with served(tmp_path) as central:
        fields = copy.json()
        fields["padding"] = "x" * 1_000_000
        for apply in (False, True):
            given = {"access": fields, "apply": apply}
            told = (await asked(tmp_path, "POST", "/access/import", given)).json()
            assert (told["users"], told["tokens"]) == (["root"], ["CP-001"])
            assert bool(central.access.users()) is apply
        given = {"access": {**fields, "format": 2}, "apply": True}
        assert_error(await asked(tmp_path, "POST", "/access/import", given), 400, "format")


async def test_a_backup_is_noted(tmp_path: Path) -> None:
    """Proves: the audit learns of a backup that the tool has made beside Central."""
    async with served(tmp_path) as central:
        answer = await asked(tmp_path, "POST", "/central/backup", {"file": "/backup/central.db"})
        assert answer.status_code == 204
        (told,) = central.told
        assert (told.by.name, told.action) == (ME, "central backup")
        assert told.object == "/backup/central.db"
        answer = await asked(tmp_path, "POST", "/central/backup", {"file": "a\nb"})
        assert_error(answer, 400, "file")


async def test_a_stale_file_is_replaced_and_a_live_one_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: what a killed Central left is no obstacle, and a Central that lives keeps its
    socket."""
    async with admin_listeners(tmp_path) as first:
        # As a killed process leaves it.
        first[0].socket.close()
        async with served(tmp_path):
            async with admin_listeners(tmp_path) as second:
                assert second == []
            assert "another Central listens there" in caplog.text
            assert (await asked(tmp_path, "GET", "/users")).json() == {"users": []}


async def test_a_long_path_is_no_reason_not_to_begin(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: where the path is longer than a socket's may be Central begins without it, and says
    so once."""
    room = PATH_BYTES_MAX - len(os.fsencode(tmp_path)) - len(f"//{NAME}")
    for length, is_there in ((room, True), (room + 1, False)):
        folder = tmp_path / ("x" * length)
        folder.mkdir()
        with caplog.at_level(logging.WARNING):
            async with admin_listeners(folder) as listeners:
                assert bool(listeners) is is_there
                assert (folder / NAME).exists() is is_there
    assert caplog.text.count("No admin socket") == 1
