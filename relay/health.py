"""The relay's health endpoint: GET /health answers 200 with its counts, or 503 when its loop stands still.

A relay that waits for its server, or for a person to mend a setting, is alive: a restart would not help. `problem` says
what there is to mend.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from recovery.errors import BadInput
from relay.service import Relay


def serve(relay: Relay, host: str, port: int) -> ThreadingHTTPServer:
    """Serve health on a thread of its own; port 0 asks the system for a free one.

    Raises:
        BadInput: the address cannot be listened on.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.split("?")[0] != "/health":
                self.send_error(404)
                return
            healthy = relay.is_healthy
            body = json.dumps({"healthy": healthy, **asdict(relay.counts)}).encode()
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
