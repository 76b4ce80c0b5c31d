"""A client of the Prefect server for what a run can do without: it asks once, and waits for seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

SECONDS = 5.0


@contextmanager
def brief_client() -> Iterator[SyncPrefectClient]:
    """Open a client that does not ask again.

    Prefect's own asks six times, half a minute each: a server that accepts and never answers held a run for minutes.
    """
    once = {PREFECT_CLIENT_MAX_RETRIES: 0}
    timeout = httpx.Timeout(SECONDS)
    with temporary_settings(once), get_client(sync_client=True, httpx_settings={"timeout": timeout}) as client:
        yield client
