"""The relay's health endpoint: GET /health answers 200 with its counts, or 503 when its loop stands still.

A relay that waits for its server, or for a person to fix a setting, is alive: a restart would not help. That is so from
its first second, before it has ever reached the server. `problem` says what is wrong.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from recovery.errors import BadInput
from relay.counts import Counts

_READ_SECONDS = 10.0


class Watched(Protocol):
    """A relay, or what stands for one that has not begun."""

    @property
    def counts(self) -> Counts:
        """Numbers since the start."""
        ...

    @property
    def is_healthy(self) -> bool:
        """False when a restart would help."""
        ...


@dataclass
class Starting:
    """A relay that has not reached its server yet: alive, and with a problem."""

    counts: Counts = field(default_factory=Counts)
    is_healthy: bool = True


def serve(watched: Callable[[], Watched], host: str, port: int) -> ThreadingHTTPServer:
    """Serve health on a thread of its own; port 0 asks the system for a free one.

    Raises:
        BadInput: the address cannot be listened on.
    """

    class Handler(BaseHTTPRequestHandler):
        # Whoever connects and says nothing holds a thread no longer than this.
        timeout = _READ_SECONDS

        def do_GET(self) -> None:
            if self.path.split("?")[0] != "/health":
                self.send_error(404)
                return
            relay = watched()
            healthy = relay.is_healthy
            body = json.dumps({"healthy": healthy, **relay.counts.shown()}).encode()
            self.send_response(200 if healthy else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Health checks come every few seconds and say nothing."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as error:
        raise BadInput(f"--health-port {port} on {host}: {error}") from None
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
