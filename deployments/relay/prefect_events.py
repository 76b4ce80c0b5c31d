"""Posting events to the Prefect server over HTTP.

`POST /events` answers after the event was handed to the server's broker, so only what was answered is let go of. The
websocket acknowledges nothing, and the SDK's own `emit_event` swallows errors: neither may carry what must not be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from deployments.relay.bursts import Telling

RING = "reprise.ring"
"""Label on the resource of an event that deployments trigger on."""
BATCH = 100


class ServerAway(Exception):
    """The server did not accept events; nothing was let go of, and posting them again is safe."""


class PrefectEvents:
    """Posts events.

    Args:
        api_url: the server's /api address.
        auth: "user:password" of a server with basic authentication, or "".
        client: an HTTP client, for tests.
    """

    def __init__(self, api_url: str, auth: str = "", client: httpx.Client | None = None) -> None:
        credentials = httpx.BasicAuth(*auth.split(":", 1)) if ":" in auth else None
        self._client = client or httpx.Client(base_url=api_url, auth=credentials, timeout=httpx.Timeout(20, connect=5))

    def post(self, tellings: Sequence[Telling]) -> None:
        """Post events, up to 100 at once.

        Raises:
            ServerAway: the server is down, slow, or answered with an error (SQLite answers 503 under bursts).
        """
        for start in range(0, len(tellings), BATCH):
            events = [_event(telling) for telling in tellings[start : start + BATCH]]
            try:
                answer = self._client.post("/events", json=events)
            except httpx.HTTPError as error:
                raise ServerAway(f"{type(error).__name__} from the Prefect server") from error
            if answer.status_code >= 300:
                raise ServerAway(f"the Prefect server answered {answer.status_code}")

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


def _event(telling: Telling) -> dict[str, Any]:
    event = telling.hint.as_event()
    event["resource"][RING] = "yes" if telling.rings else "no"
    return event
