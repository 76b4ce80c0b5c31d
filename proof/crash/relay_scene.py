"""The relay: every event reaches the Prefect server before it leaves its queue, and every new row is put in line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from blocks.connection import Connection
from proof.crash.outbox_scenes import Outbox
from proof.crash.process import Kill
from proof.crash.scene import Findings, empty
from recovery.dead_letters.gateway import Sqs
from recovery.events.hints import Hint
from recovery.outbox_records.policy import Mode
from relay.outbox_poller import OutboxPoller
from relay.pollers import Poller
from relay.prefect_events import PrefectEvents
from relay.queue import EventsQueue
from relay.queue_poller import QueuePoller
from relay.service import Relay
from simulated_aws.server import SimulatedAws
from tests.outbox_world import TABLE

ROUNDS = 5
EVENTS = 12
NEW_ROWS = 3


class Rounds(threading.Event):
    """A relay's stop: it is stopped after some rounds, and its waits are over at once."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0

    def wait(self, timeout: float | None = None) -> bool:
        return False


class Each:
    """A poller that has no events: it is called in each round, before the others."""

    problems = ()

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call

    def poll(self, now: datetime) -> tuple[Hint, ...]:
        """Call it."""
        self._call()
        return ()

    def leave(self, now: datetime) -> None:
        """Nothing is held."""


class Prompt(EventsQueue):
    """The events queue, and an empty one is not waited for."""

    def receive(self, wait: int) -> Any:
        return super().receive(0)


class StubServer:
    """As much of a Prefect server as the relay needs, in a process of its own, which keeps what it accepted."""

    def __init__(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _serve(listening, parent)
        listening.close()

    def posted(self) -> list[list[dict[str, Any]]]:
        """Return the events accepted since it was last emptied, request by request."""
        return list(json.loads(self._ask("GET"))["accepted"])

    def requests(self) -> int:
        """Count the requests that it answered since then."""
        return int(json.loads(self._ask("GET"))["requests"])

    def clear(self) -> None:
        """Forget what was accepted."""
        self._ask("DELETE")

    def stop(self) -> None:
        """End its process."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _ask(self, method: str) -> bytes:
        request = urllib.request.Request(f"{self.url}/api/events", method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return bytes(answer.read())


def _serve(listening: socket.socket, parent: int) -> None:
    accepted: list[Any] = []
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append(self.path)
            if self.path == "/api/events":
                accepted.append(asked)
                self._answer(204)
            elif self.path == "/api/events/filter":
                self._answer(200, json.dumps({"events": _acted_on(asked["filter"])}).encode())
            else:
                self._answer(200, b"[]")

        def do_GET(self) -> None:
            self._answer(200, json.dumps({"accepted": accepted, "requests": len(requests)}).encode())

        def do_DELETE(self) -> None:
            accepted.clear()
            requests.clear()
            self._answer(200, b"[]")

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    try:
        server = HTTPServer(listening.getsockname(), Handler, bind_and_activate=False)
        server.socket.close()
        server.socket = listening
        server.timeout = 1
        while os.getppid() == parent:  # it does not outlive whoever started it
            server.handle_request()
    finally:
        os._exit(0)


def _acted_on(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Every trigger that is asked for has made a run."""
    return [
        {"event": asked["event"]["name"][0], "related": [{"prefect.resource.id": each}]}
        for each in asked["related"]["id"]
    ]


class RelayScene(Outbox):
    """Events of DMS and one that nobody can read; while it works, a service writes rows and puts them in no line."""

    def __init__(self, aws: SimulatedAws, stub: StubServer) -> None:
        super().__init__(aws)
        self.name, self.declared = "relay", "an event that was not deleted: again, with the same id"
        self.stub = stub
        self.sqs = aws.client("sqs")
        self.urls = [self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("events", "parked", "orders-dlq")]
        self.sqs.send_message(QueueUrl=self.urls[2], MessageBody="a message, so that the poller sends a trigger")
        self._round = 0

    def stage(self) -> None:
        self._clear()
        self.stub.clear()
        self.prefix = f"{self._stages}-"
        self.rows = [f"{self.prefix}row-{n}" for n in range(NEW_ROWS)]
        for url in self.urls[:2]:
            self.sqs.purge_queue(QueueUrl=url)
        self.names = [f"{self.prefix}task-{n}" for n in range(EVENTS)]
        bodies = [failed(name) for name in self.names] + [f"unreadable {self.prefix}"]
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])]
            self.sqs.send_message_batch(QueueUrl=self.urls[0], Entries=entries)

    def run(self, connection: Connection) -> list[str]:
        """Some rounds of the relay, five seconds apart; then it is stopped."""
        began = [0]

        def now() -> datetime:
            return connection.clock.now() + timedelta(seconds=5 * began[0])

        sqs, dynamodb = connection.client("sqs"), connection.client("dynamodb")

        def begin_round() -> None:
            began[0] += 1
            if began[0] == 2:
                self._service_writes(dynamodb)

        pollers: list[Poller] = [
            Each(begin_round),
            QueuePoller(Sqs(sqs, connection.client("sqs", repeat=False)), ["orders-dlq"], timedelta(seconds=2)),
            OutboxPoller(
                dynamodb,
                connection.client("dynamodbstreams"),
                connection.ledger,
                self.world.request(),
                connection.owner,
            ),
        ]
        events = PrefectEvents(f"{self.stub.url}/api")
        relay = Relay(Prompt(sqs, self.urls[0], self.urls[1]), events, pollers, now, Rounds(ROUNDS))
        relay.run()
        events.close()
        return []

    def _service_writes(self, dynamodb: Any) -> None:
        rows = [{"id": {"S": each}, "message": {"S": each}, "created_at": {"N": "1700000000"}} for each in self.rows]
        new = {"TableName": TABLE, "ConditionExpression": "attribute_not_exists(id)"}
        puts = [{"Put": {**new, "Item": row}} for row in rows]
        # Once in all runs. A service that cannot write has no row, and no event of it.
        with contextlib.suppress(ClientError, BotoCoreError):
            dynamodb.transact_write_items(TransactItems=puts)

    def later(self) -> None:
        self.world.aws.clock.advance(100)

    def posts(self) -> int:
        """Requests that the Prefect server took."""
        return self.stub.requests()

    def accepted(self) -> list[dict[str, Any]]:
        """All events that the Prefect server accepted."""
        return [event for request in self.stub.posted() for event in request]

    def is_safe(self) -> Findings:
        posted = {_task(event) for event in self.accepted()}
        queued = {body for name in ("events", "parked") for body in self._bodies(name)}
        lost = [name for name in self.names if name not in posted and failed(name) not in queued]
        if f"unreadable {self.prefix}" not in queued:
            lost.append("what could not be read")
        return Findings(lost=lost)

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found = Findings()
        open_post = kill is not None and operations.count("POST") > operations.count("DeleteMessageBatch") - 1
        tasks = {_task(event) for event in self.accepted()}
        found.lost += sorted(set(self.names) - tasks)
        # A burst's last event is sent once more as a trigger, under a new id; Prefect drops an id that it knows.
        ids = [f"{_task(event)} {event['id']}" for event in self.accepted() if _task(event) in self.names]
        found.copies(ids, set(ids), 2 if open_post else 1)
        parked = [body for body in self._bodies("parked") if body == f"unreadable {self.prefix}"]
        open_park = kill is not None and "SendMessage" in operations
        found.expect(1 <= len(parked) <= 1 + open_park, f"parked {len(parked)} times")
        found.expect(not self._bodies("events"), "events left behind")
        triggered = [event for event in self.accepted() if event["resource"].get("reprise.trigger") == "yes"]
        found.expect(bool(triggered), "no trigger was accepted")
        self._rows_in_line(found)  # by a relay alone, also when the one that should have read them was killed
        return found

    def after_trouble(self) -> Findings:
        """Every event was accepted under its own id, what could not be read is parked, and rows stand in line."""
        found = Findings()
        copies = Counter(f"{_task(event)} {event['id']}" for event in self.accepted() if _task(event) in self.names)
        found.lost = sorted(set(self.names) - {each.split()[0] for each in copies})
        found.doubled = Counter({each: count for each, count in copies.items() if count > 1})
        found.expect(not self._bodies("events"), f"events left behind: {len(self._bodies('events'))}")
        # A relay that met trouble before it had written down where it began leaves rows to the search.
        self.world.run(mode=Mode.FIND_LOST, shards=2)
        self._rows_in_line(found)
        return found

    def _rows_in_line(self, found: Findings) -> None:
        written = self.world.rows()
        for each in [each for each in self.rows if each in written]:
            row = self.world.row(each)
            if row.get("status") != "Pending" or not row.get("outbox_line", "").startswith("Unfinished#"):
                found.lost.append(f"{each} stands in no line: {row}")

    def _bodies(self, queue: str) -> list[str]:
        return [str(message["body"]) for message in self.world.aws.messages(queue)]

    def _clear(self) -> None:
        super()._clear()
        empty(self.world.aws, TABLE)


def _task(event: dict[str, Any]) -> str:
    return str(event["resource"]["prefect.resource.id"]).removeprefix("reprise.dms.")


def failed(task: str) -> str:
    """EventBridge's event of a task that failed."""
    detail = {"eventType": "REPLICATION_TASK_FAILED", "category": "Failure", "detailMessage": "Last Error"}
    arn = f"arn:aws:dms:eu-west-1:123456789012:task:{task}"
    kind = "DMS Replication Task State Change"
    return json.dumps({"id": task, "detail-type": kind, "source": "aws.dms", "resources": [arn], "detail": detail})
