"""`reprise relay`: from AWS's events to Prefect's.

It runs until SIGTERM or Ctrl-C. Needs PREFECT_API_URL, REPRISE_EVENTS_QUEUE_URL, REPRISE_EVENTS_PARKED_QUEUE_URL and an
estate (a saved block, or the REPRISE_* variables). docs/events.md has the rest.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from deployments.prefect_settings import require_server
from recovery import settings
from recovery.errors import BadInput, RepriseError

if TYPE_CHECKING:
    from blocks.connection import Connection
    from relay.configuration import RelayConfiguration
    from relay.counts import Counts
    from relay.pollers import Poller

T = TypeVar("T")
log = logging.getLogger("reprise.relay")

_SERVER_AWAY_SECONDS = 5.0
_GRACE_SECONDS = 20.0
"""From SIGTERM to the end, whatever hangs. What is in hand then shows up in the queue again by itself."""


def main(*, config: str | None = None, health_port: int = 0, health_host: str = "127.0.0.1") -> int:
    """Run the relay, until SIGTERM or Ctrl-C.

    Args:
        config: YAML file of the queues and outboxes to listen to.
        health_port: port of GET /health; a free one when 0.
        health_host: address of GET /health.

    Returns:
        The exit status.
    """
    stop = threading.Event()

    def end(*_: object) -> None:
        if not stop.is_set():
            stop.set()
            last = threading.Timer(_GRACE_SECONDS, os._exit, [1])
            last.daemon = True
            last.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        logging.basicConfig(level=settings.log_level(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        for chatty in ("httpx", "botocore"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        return _run(config, health_host, health_port, stop)
    except RepriseError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 2


def _run(config: str | None, health_host: str, health_port: int, stop: threading.Event) -> int:
    api_url = _web_address("PREFECT_API_URL", require_server())
    queue_url, parked_url = (
        _web_address(name, settings.read(name))
        for name in ("REPRISE_EVENTS_QUEUE_URL", "REPRISE_EVENTS_PARKED_QUEUE_URL")
    )
    auth = os.environ.get("PREFECT_API_AUTH_STRING", "")
    if auth and ":" not in auth:
        raise BadInput("PREFECT_API_AUTH_STRING: expected user:password")
    # Imported late: a missing setting is reported before Prefect and boto3 take their second to load.
    from recovery.metrics.gateway import MetricsGateway
    from relay import configuration, health
    from relay.metrics import RelayMetrics
    from relay.prefect_events import PrefectEvents
    from relay.queue import EventsQueue
    from relay.service import Relay

    listened = configuration.load(config)
    watched: health.Watched = (starting := health.Starting())
    server = health.serve(lambda: watched, health_host, health_port)
    at = f"health on http://{health_host}:{server.server_port}/health"
    print(f"relay: starting; {at}", flush=True)
    try:
        connection = _connected(stop, starting.counts)
        if connection is None:
            return 0
        with contextlib.closing(PrefectEvents(api_url, auth)) as events:
            watched = relay = Relay(
                EventsQueue(connection.client("sqs"), queue_url, parked_url),
                events,
                _pollers(connection, listened),
                connection.clock.now,
                stop,
                RelayMetrics(
                    MetricsGateway(connection.client("cloudwatch", repeat=False), connection.metrics_namespace)
                ),
            )
            print(f"relay: listening; {at}", flush=True)
            relay.run()
    finally:
        server.shutdown()
        server.server_close()
    print("relay: stopped", flush=True)
    return 0


def _web_address(name: str, value: str) -> str:
    if urlsplit(value).scheme not in ("http", "https"):
        raise BadInput(f"{name}: expected an address that begins with http:// or https://, got {value!r}")
    return value


def _connected(stop: threading.Event, counts: Counts) -> Connection | None:
    """The estate. Its block is on the Prefect server: while that is away, it is waited for; None when it is to stop.

    Args:
        stop: set when the relay is to stop.
        counts: get the problem, for the relay's health page.
    """
    import httpx

    from blocks.estate import connect

    while not stop.is_set():
        try:
            found = _within(connect, stop)
            counts.problem = ""
            return found
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            if status < 500:
                raise BadInput(
                    f"the Prefect server answered {status}: PREFECT_API_URL must be its /api address, and"
                    " PREFECT_API_AUTH_STRING its user:password where it wants one"
                ) from None
            problem = f"the Prefect server answered {status}"
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: Prefect's own "Failed to reach API"
            problem = f"{type(error).__name__} from the Prefect server"
        counts.away += 1
        counts.problem = f"not connected yet: {problem}"
        log.warning("%s; next try in %.0f s", problem, _SERVER_AWAY_SECONDS)
        stop.wait(_SERVER_AWAY_SECONDS)
    return None


def _within(call: Callable[[], T], stop: threading.Event) -> T | None:
    """The answer of a call that may hang; None, and nobody waits for it any longer, once it is to stop."""
    answer: list[T] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            answer.append(call())
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            errors.append(error)

    thread = threading.Thread(target=ask, name="connect", daemon=True)
    thread.start()
    while thread.is_alive() and not stop.is_set():
        thread.join(0.1)
    if errors:
        raise errors[0]
    return answer[0] if answer else None


def _pollers(connection: Connection, listened: RelayConfiguration) -> list[Poller]:
    from recovery.dead_letters.gateway import Sqs
    from relay.due_cases import DueCases
    from relay.outbox_poller import OutboxPoller
    from relay.queue_poller import QueuePoller

    sqs = Sqs(connection.client("sqs"), connection.client("sqs", repeat=False))
    pollers: list[Poller] = [QueuePoller(sqs, listened.queues, timedelta(seconds=listened.look_seconds))]
    pollers.append(DueCases(connection.ledger, timedelta(seconds=listened.due_seconds)))
    dynamodb, streams = connection.client("dynamodb"), connection.client("dynamodbstreams")
    for request in listened.outboxes:
        pollers.append(OutboxPoller(dynamodb, streams, connection.ledger, request, connection.owner))  # noqa: PERF401
    return pollers
