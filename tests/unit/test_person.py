"""A command of a person finds its estate without a server of its own."""

from __future__ import annotations

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks import estate as estates
from deployments import person


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Names of blocks that were looked for."""
    names: list[str | None] = []
    monkeypatch.setattr(estates, "connect", names.append)
    monkeypatch.setattr(estates, "connect_from_environment", lambda: names.append("environment"))
    return names


@pytest.mark.parametrize(
    ("server", "estate", "expected"),
    [
        (None, "", "environment"),
        (None, "production", "production"),
        ("http://127.0.0.1:9/api", "", None),
        ("http://127.0.0.1:9/api", "production", "production"),
    ],
)
def test_blocks_are_looked_for_where_a_server_may_have_them(
    asked: list[str | None], server: str | None, estate: str, expected: str | None
) -> None:
    """Without a server the variables count at once; a block that is named is looked for in any case."""
    updates = {PREFECT_API_URL: server} if server else {}
    with temporary_settings(updates, restore_defaults=() if server else (PREFECT_API_URL,)):
        person.connect(estate)
    assert asked == [expected]
