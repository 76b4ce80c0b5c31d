"""The server's garbage is collected in a thread of its own, where a collection that must wait stops nobody."""

from __future__ import annotations

import gc
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments import server
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
    """What stopped the server: an old cursor is collected while its connection waits for a lock that we hold."""
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
    monkeypatch.setattr(server.runpy, "run_module", lambda name, **_: seen.append((name, sys.argv, gc.isenabled())))  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "argv", ["reprise"])
    ends = []
    begin = server.collect_apart
    monkeypatch.setattr(server, "collect_apart", lambda: ends.append(begin()))
    server.main("--port", "4300")
    for end in ends:
        end()
    assert seen == [("prefect", ["prefect", "server", "start", "--port", "4300"], False)]
    assert gc.isenabled()
