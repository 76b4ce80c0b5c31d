"""The server: who it listens to, and its garbage, which is collected in a thread of its own that stops nobody."""

from __future__ import annotations

import gc
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import prefect.server.api.server as prefect_server
import pytest
from prefect.settings import (
    PREFECT_HOME,
    PREFECT_SERVER_API_AUTH_STRING,
    PREFECT_SERVER_CORS_ALLOWED_ORIGINS,
    temporary_settings,
)

from deployments import login, server
from deployments.command import run
from tests.waiting import wait_for


class Knot:
    """Garbage that only the collector finds."""

    def __init__(self, *held: object) -> None:
        self.held = held
        self.itself = self


@pytest.fixture
def apart() -> Iterator[None]:
    end = server.collect_apart(every=0.01)
    try:
        yield
    finally:
        end()


@pytest.mark.usefixtures("apart")
def test_garbage_is_collected() -> None:
    """Not in the thread that made it."""
    seen: list[int] = []

    class Telling(Knot):
        def __del__(self) -> None:
            seen.append(threading.get_ident())

    assert not gc.isenabled()
    Telling()
    wait_for("the collection", lambda: seen, seconds=30)
    assert seen != [threading.get_ident()]


@pytest.mark.usefixtures("apart")
def test_a_collection_that_waits_for_a_connection_does_not_stop_who_holds_the_lock(tmp_path: Path) -> None:
    """It once stopped the server: an old cursor is collected while its connection waits for a lock that we hold."""
    holder, waiter = (
        sqlite3.connect(tmp_path / "db", timeout=60, isolation_level=None, check_same_thread=False) for _ in range(2)
    )
    holder.execute("CREATE TABLE t (n)")
    old = waiter.execute("SELECT 1 UNION SELECT 2")
    old.fetchone()
    holder.execute("BEGIN IMMEDIATE")
    inside, errors = threading.Event(), []

    def insert() -> None:
        try:
            waiter.execute("INSERT INTO t VALUES (1)")
        except sqlite3.Error as error:
            errors.append(error)

    waiter.set_trace_callback(lambda _: inside.set())
    thread = threading.Thread(target=insert)
    thread.start()
    assert inside.wait(30)
    Knot(old)
    del old
    holder.execute("COMMIT")
    thread.join(30)
    waiter.set_trace_callback(None)
    assert not thread.is_alive()
    assert not errors
    for connection in (holder, waiter):
        connection.close()


def test_it_is_prefect_s_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the options that were given, and no collection in its main thread; nothing is left when it ends."""
    seen: list[tuple[str, list[str], bool]] = []
    monkeypatch.setattr(prefect_server, "create_app", prefect_server.create_app)
    monkeypatch.setattr(server.runpy, "run_module", lambda name, **_: seen.append((name, sys.argv, gc.isenabled())))  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "argv", ["reprise"])
    ends = []
    begin = server.collect_apart
    monkeypatch.setattr(server, "collect_apart", lambda: ends.append(begin()))
    server.main("--port", "4300", "--no-ui", "--without-password")
    for end in ends:
        end()
    assert seen == [
        ("prefect", ["prefect", "server", "start", "--host", "127.0.0.1", "--port", "4300", "--no-ui"], False)
    ]
    assert gc.isenabled()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Password and CORS origins of each start, which goes no further."""
    seen: list[tuple[str, str]] = []

    def start(*_: object, **__: object) -> None:
        seen.append((PREFECT_SERVER_API_AUTH_STRING.value() or "", PREFECT_SERVER_CORS_ALLOWED_ORIGINS.value()))

    monkeypatch.setattr(prefect_server, "create_app", prefect_server.create_app)
    monkeypatch.setattr(server.runpy, "run_module", start)  # type: ignore[attr-defined]
    monkeypatch.setattr(server, "collect_apart", lambda: None)
    monkeypatch.setattr(sys, "argv", sys.argv)
    with temporary_settings(restore_defaults={PREFECT_SERVER_API_AUTH_STRING}):
        yield seen


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", "reprise.internal"])
@pytest.mark.parametrize("option", [[], ["--without-password"]])
def test_beyond_this_machine_it_listens_only_with_a_password(
    host: str, option: list[str], started: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Else it ends with status 2 and one line that names the setting."""
    assert run(["server", "--host", host, *option]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "PREFECT_SERVER_API_AUTH_STRING" in line
    assert not started
    with temporary_settings({PREFECT_SERVER_API_AUTH_STRING: "somebody:knows"}):
        assert run(["server", "--host", host, *option]) == 0
    assert [password for password, _ in started] == ["somebody:knows"]


@pytest.mark.parametrize("option", [["--background"], ["-b"], ["--workers", "2"]])
def test_it_starts_no_processes_that_have_no_front_door(
    option: list[str], started: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Prefect would start them by itself, without our code."""
    assert run(["server", *option]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not started


def test_on_this_machine_it_draws_a_password_and_keeps_it(
    started: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next start has the same; only its owner may read the file; a shell gets in with one line, a browser by the
    link."""
    with temporary_settings({PREFECT_HOME: tmp_path}):
        assert run(["login"]) == 2
        assert "start `reprise server` first" in capsys.readouterr().err
        assert run(["server", "--port", "4300"]) == 0
        shown = capsys.readouterr().out
        assert run(["server", "--port", "4300"]) == 0
        (first, origins), (second, _) = started
        assert first == second
        assert len(first.partition(":")[2]) >= 20
        assert (tmp_path / login.FILE).stat().st_mode & 0o077 == 0
        assert login.sign_in_link("http://127.0.0.1:4300", first) in shown
        capsys.readouterr()
        assert run(["login"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "export PREFECT_API_URL=http://127.0.0.1:4300/api",
            f"export PREFECT_API_AUTH_STRING={first}",
        ]
        assert "http://localhost:4300" in origins.split(",")
        assert "*" not in origins
        (tmp_path / login.FILE).write_text("{}")
        assert run(["server"]) == 0
    assert started[-1][0] not in ("", first)
