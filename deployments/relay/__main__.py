"""python -m deployments.relay [--config FILE] [--health-port PORT]

Runs until SIGTERM or Ctrl-C. Needs PREFECT_API_URL, REPRISE_EVENTS_QUEUE_URL, REPRISE_EVENTS_PARKED_QUEUE_URL and an
estate (a saved block, or the REPRISE_* variables).
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading

from deployments.prefect_settings import require_server
from recovery import settings
from recovery.errors import RepriseError


def main() -> int:
    """Run the relay; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deployments.relay", description=__doc__.splitlines()[0])
    parser.add_argument("--config", help="YAML file: queues and outboxes to listen to")
    parser.add_argument("--health-port", type=int, default=0, help="port of GET /health on 127.0.0.1 (0: a free one)")
    parser.add_argument("--health-host", default="127.0.0.1", help="address of GET /health")
    arguments = parser.parse_args()
    logging.basicConfig(level=settings.log_level(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        api_url = require_server()
        return _run(arguments, api_url, stop)
    except RepriseError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 2


def _run(arguments: argparse.Namespace, api_url: str, stop: threading.Event) -> int:
    # Imported late: a missing setting is told before Prefect and boto3 take their second to load.
    from blocks.estate import connect
    from deployments.relay import configuration, health
    from deployments.relay.doorbells import QueueDoorbells
    from deployments.relay.outbox import OutboxDoorbell
    from deployments.relay.prefect_events import PrefectEvents
    from deployments.relay.queue import EventsQueue
    from deployments.relay.service import Doorbell, Relay
    from recovery.dead_letters.gateway import Sqs

    listened = configuration.load(arguments.config)
    connection = connect()
    queue = EventsQueue(
        connection.client("sqs"),
        settings.read("REPRISE_EVENTS_QUEUE_URL"),
        settings.read("REPRISE_EVENTS_PARKED_QUEUE_URL"),
    )
    doorbells: list[Doorbell] = [
        QueueDoorbells(Sqs(connection.client("sqs"), connection.client("sqs", repeat=False)), listened.queues)
    ]
    doorbells += [
        OutboxDoorbell(
            connection.client("dynamodb"),
            connection.client("dynamodbstreams"),
            connection.ledger,
            request,
            connection.owner,
        )
        for request in listened.outboxes
    ]
    events = PrefectEvents(api_url, os.environ.get("PREFECT_API_AUTH_STRING", ""))
    relay = Relay(queue, events, doorbells, connection.clock.now, stop)
    server = health.serve(relay, arguments.health_host, arguments.health_port)
    print(f"relay: listening; health on http://{arguments.health_host}:{server.server_port}/health", flush=True)
    try:
        relay.run()
    finally:
        server.shutdown()
        events.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
