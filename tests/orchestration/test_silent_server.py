"""A Prefect server that accepts and never answers costs a run seconds, not minutes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from recovery.events.outward import GROUP_OPENED, Outward
from tasks import brief_client, events, links


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its address is that of the settings; what it is asked waits in its backlog."""
    monkeypatch.setattr(brief_client, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        with temporary_settings({PREFECT_API_URL: address}):
            yield


def _post() -> None:
    events._post([Outward(GROUP_OPENED, ("group", "dead_letters", "q", "g"), "k", datetime.now(UTC), {})])


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("ask", [_post, links._deployments])
def test_the_server_is_asked_once(ask: Callable[[], object]) -> None:
    """Events are kept for a later run, and links only help: neither is worth a second try."""
    began = time.monotonic()
    with pytest.raises(Exception, match=r"(?i)timed out|timeout"):
        ask()
    assert time.monotonic() - began < 3
