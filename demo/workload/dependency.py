"""The payment and warehouse service that every order needs: `python -m demo.workload.dependency --port N`.

    POST /charges        {"order_id", "account", "amount"}   201; 401 revoked key, 429 over quota, 503 outage
    POST /reservations   {"order_id", "sku", "quantity"}     201; 422 unknown article, 503 outage; or no answer in time
    GET  /state          how it is doing
    PUT  /state          changes that, at once: any of the fields of `State`
    GET  /fulfilled      the ids of the orders that were carried out, each once however often it was asked for
    GET  /ready          200

It knows nothing about an order's expected end. The success of a request depends on this state alone.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from demo.workload.orders import CATALOGUE

PAYMENTS: Final = "payments"
LONGEST_WAIT = 5.0


@dataclass(frozen=True)
class State:
    """State of the dependency.

    Attributes:
        revoked: accounts whose API key is no longer accepted.
        over_quota: accounts that have used up their plan's quota.
        down: parts that answer 503: warehouses, or "payments".
        slow: parts that do not answer for seconds, and then with 504: warehouses, or "payments".
        catalogue: the articles it knows, and their warehouse.
    """

    revoked: tuple[str, ...] = ()
    over_quota: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()
    catalogue: Mapping[str, str] = field(default_factory=lambda: dict(CATALOGUE))

    def changed(self, changes: Mapping[str, Any]) -> State:
        """The state with some fields replaced.

        Raises:
            TypeError: there is no such field.
        """
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in changes.items()}
        return replace(self, **values)


REVOKED: Final = ("globex", "vandelay")
BAD_DAY: Final = State(revoked=REVOKED, over_quota=("initech",), down=("north", "east"), slow=("south",))
"""Two customers' keys were revoked, one customer is over quota, two warehouses are down and one hangs."""

AFTERNOON: Final = State(revoked=REVOKED, down=("east",))
"""The outage is over but for one warehouse; nobody has renewed a key yet."""


class Dependency:
    """Answers to requests; any number of threads.

    Args:
        state: the state at first.
    """

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._charged: set[str] = set()
        self._fulfilled: dict[str, None] = {}

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change the state; who waits for a slow part gets an answer as soon as it is slow no more."""
        with self._changed:
            self.state = self.state.changed(changes)
            self._changed.notify_all()

    def fulfilled(self) -> list[str]:
        """The orders that were carried out, in the order of it."""
        with self._lock:
            return list(self._fulfilled)

    def charge(self, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Charge an account; asked again for the same order, it answers the same and charges nothing."""
        account = request["account"]
        if refusal := self._availability(PAYMENTS):
            return refusal
        if account in self.state.revoked:
            return _problem(401, "invalid_api_key", f"The API key of account '{account}' has been revoked")
        if account in self.state.over_quota:
            return _problem(429, "rate_limited", f"Account '{account}' exceeded its quota of 50 charges per minute")
        with self._lock:
            self._charged.add(request["order_id"])
        return 201, {"charged": request["amount"]}

    def reserve(self, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Reserve an article, which is the last thing that an order needs."""
        warehouse = self.state.catalogue.get(request["sku"])
        if warehouse is None:
            return _problem(422, "unknown_sku", f"No warehouse has an article '{request['sku']}'")
        if refusal := self._availability(warehouse):
            return refusal
        with self._lock:
            if request["order_id"] not in self._charged:
                return _problem(409, "not_charged", "The order has not been charged")
            self._fulfilled[request["order_id"]] = None
        return 201, {"warehouse": warehouse}

    def _availability(self, part: str) -> tuple[int, dict[str, Any]] | None:
        with self._changed:
            if part in self.state.slow:
                # Whoever still waits then learns that nothing was done.
                self._changed.wait_for(lambda: part not in self.state.slow, timeout=LONGEST_WAIT)
                return _problem(504, "gateway_timeout", f"{part.title()} did not answer in time")
            if part in self.state.down:
                return _problem(503, "unavailable", f"{part.title()} is down for maintenance, try again later")
        return None


def _problem(status: int, code: str, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"code": code, "message": message}}


def server(dependency: Dependency, port: int) -> ThreadingHTTPServer:
    """The dependency as an HTTP server on 127.0.0.1; the caller runs it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            match self.path:
                case "/state":
                    self._answer(200, asdict(dependency.state))
                case "/fulfilled":
                    self._answer(200, dependency.fulfilled())
                case "/ready":
                    self._answer(200, {})
                case _:
                    self._answer(404, {})

        def do_PUT(self) -> None:
            try:
                dependency.change(self._request())
            except TypeError as mistake:
                self._answer(400, {"error": {"code": "unknown_field", "message": str(mistake)}})
            else:
                self._answer(200, asdict(dependency.state))

        def do_POST(self) -> None:
            request = self._request()
            match self.path:
                case "/charges":
                    self._answer(*dependency.charge(request))
                case "/reservations":
                    self._answer(*dependency.reserve(request))
                case _:
                    self._answer(404, {})

        def _request(self) -> dict[str, Any]:
            read: dict[str, Any] = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
            return read

        def _answer(self, status: int, data: Any) -> None:
            body = json.dumps(data).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if status in (429, 503):
                    self.send_header("Retry-After", "30")
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:  # the client had no patience left
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing: the consumer's log is the one that matters."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    return Server(("127.0.0.1", port), Handler)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.workload.dependency")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bad-day", action="store_true", help="begin with outages, a revoked key and a spent quota")
    options = parser.parse_args(arguments)
    with server(Dependency(BAD_DAY if options.bad_day else None), options.port) as listening:
        print(f"payments and warehouses on http://127.0.0.1:{listening.server_port}", flush=True)
        listening.serve_forever()


if __name__ == "__main__":
    main()
