"""The simulated AWS as one ASGI application: the emulator, and around it a log of requests, faults and a control plane.

Control plane (plain JSON over HTTP, unsigned; `simulated_aws.server.SimulatedAws` is its client):

    GET    /_reprise/clock                 {"now": ISO 8601, "offset": seconds}
    POST   /_reprise/clock                 {"advance": seconds, "expire": true}: also deletes what TTL says
    GET    /_reprise/requests              each request since the log was cleared; ?counts=1 counts, ?times=1 says when
    DELETE /_reprise/requests              clears the log
    GET    /_reprise/faults                the rules and how often each one hit
    POST   /_reprise/faults                adds a rule (`simulated_aws.faults.Fault`)
    DELETE /_reprise/faults                lifts all rules
    POST   /_reprise/events                {"source", "detail_type", "detail", "resources"}: an event of an AWS service
    GET    /_reprise/messages?queue=NAME   what lies in a queue, without receiving it
    POST   /_reprise/reset                 empties everything and sets the clock back
    *      /_reprise/<service>/...         the script of a simulator ("dms", "appflow")
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from datetime import datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

from simulated_aws import clock, hooks
from simulated_aws.faults import Fault, Faults, error_answer, split
from simulated_aws.operations import operation_of
from simulated_aws.requests import SimulatedRequest, SimulatedResponse, Simulator

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONTROL = "/_reprise/"
_LONGEST_LOG = 500_000
_TICK = 0.2
_MINUTES_SEEN = 15


class EmbeddedHost:
    """Services of the estate to the simulators that stand in it (`simulated_aws.requests.Host`)."""

    def now(self) -> datetime:
        return clock.now()

    def put_event(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        hooks.put_service_event(source, detail_type, detail, resources)

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        hooks.publish(topic_arn, subject, message)

    def record_metric(self, namespace: str, name: str, value: float, dimensions: dict[str, str], at: datetime) -> None:
        hooks.record_metric(namespace, name, value, dimensions, at)


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One API request that arrived.

    Attributes:
        service: as it was signed for ("sqs", "dynamodb", "monitoring" ...).
        operation: "SendMessageBatch" ...
        status: HTTP status of the answer; 0 where the connection was closed without one.
        carried_out: False where a fault kept the request from the emulator.
        at: time of the answer by the simulated clock, in seconds since 1970; set only where it is asked for.
    """

    service: str
    operation: str
    status: int
    carried_out: bool = True
    at: float = 0.0


class Application:
    """See the module docstring.

    Args:
        simulators: makes the services that stand beside the emulator, by name; called again on a reset.
    """

    def __init__(self, simulators: Callable[[], Mapping[str, Simulator]]) -> None:
        self._make = simulators
        self._simulators = dict(simulators())
        hooks.install({name: _Current(self._simulators, name) for name in self._simulators})
        self._emulator = hooks.application()
        self._log: deque[LoggedRequest] = deque(maxlen=_LONGEST_LOG)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._faults = Faults()
        self._depths_recorded = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._emulator(scope, receive, send)
        elif scope["path"].startswith(CONTROL):
            answer = await self._control(scope, await _body(receive))
            await _answer(send, answer)
        else:
            await self._serve(scope, receive, send)

    def tick(self) -> None:
        """Let simulators bring about what has become due, and publish the queues' depths once a minute."""
        if clock.now().timestamp() - self._depths_recorded >= hooks.DEPTH_PERIOD:
            self._depths_recorded = clock.now().timestamp()
            hooks.record_depths()
        for simulator in self._simulators.values():
            if (step := getattr(simulator, "tick", None)) is not None:
                step()

    async def keep_ticking(self) -> None:
        """Tick until cancelled. An error of one tick is printed and does not end the next."""
        while True:
            await asyncio.sleep(_TICK)
            try:
                self.tick()
            except Exception:
                logging.getLogger(__name__).exception("a simulator's tick failed")

    # -- AWS's own API ---------------------------------------------------------------------------------------------

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _body(receive)
        query = scope.get("query_string", b"").decode()
        service, operation = operation_of(scope["method"], scope["path"], query, headers, body)
        if not service:  # the emulator's own pages
            await self._emulator(scope, _replay(body), send)
            return
        rule = self._faults.choose(service, operation, scope["path"], body)
        if rule is None:
            status = await self._pass_on(scope, body, send)
            self._note(service, operation, status)
            return
        if rule.kind == "delay":
            await asyncio.sleep(rule.seconds)
        if rule.kind == "hold":
            await self._faults.held()
        if rule.kind in ("delay", "hold"):
            self._note(service, operation, await self._pass_on(scope, body, send))
        elif rule.kind == "error":
            self._note(service, operation, rule.status, carried_out=False)
            await _answer(send, error_answer(rule, service, headers))
        elif rule.kind == "refuse_connection":
            self._note(service, operation, 0, carried_out=False)
            _hang_up(send)
        elif rule.kind == "lose_ack":
            await self._pass_on(scope, body, _Collected())
            self._note(service, operation, 0)
            _hang_up(send)
        else:
            await self._serve_in_part(scope, body, send, rule, service, operation)

    async def _serve_in_part(
        self, scope: Scope, body: bytes, send: Send, rule: Fault, service: str, operation: str
    ) -> None:
        rest, edit = split(rule, operation, body)
        collected = _Collected()
        if rest:
            await self._pass_on(_with_length(scope, len(rest)), rest, collected)
        self._note(service, operation, collected.status, carried_out=bool(rest))
        if collected.status != 200:
            await collected.forward(send)
            return
        # Checksums of the emulator's own answer do not hold for the edited one.
        stale = (b"content-length", b"x-amz-crc32")
        kept = [(name, value) for name, value in collected.headers if name.lower() not in stale]
        default = (
            [] if kept else [(b"content-type", b"application/x-amz-json-1.0" if service != "sns" else b"text/xml")]
        )
        collected.headers, collected.body = kept + default, edit(collected.body)
        await collected.forward(send)

    async def _pass_on(self, scope: Scope, body: bytes, send: Send) -> int:
        status = 0

        async def watch(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._emulator(scope, _replay(body), watch)
        return status

    def _note(self, service: str, operation: str, status: int, *, carried_out: bool = True) -> None:
        self._log.append(LoggedRequest(service, operation, status, carried_out, clock.now().timestamp()))
        self._counts[service, operation] += 1

    # -- control plane ---------------------------------------------------------------------------------------------

    async def _control(self, scope: Scope, body: bytes) -> SimulatedResponse:
        method, name = scope["method"], scope["path"].removeprefix(CONTROL)
        query = parse_qs(scope.get("query_string", b"").decode())
        service = name.partition("/")[0]
        if service in self._simulators:
            headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
            return self._simulators[service].handle(SimulatedRequest(method, scope["path"], query, headers, body))
        try:
            data = json.loads(body or b"{}")
            result = await self._controlled(method, name, query, data)
        except (KeyError, TypeError, ValueError) as error:
            return SimulatedResponse.error("BadRequest", f"{type(error).__name__}: {error}")
        if result is None:
            return SimulatedResponse.error("NotFound", f"no {method} {scope['path']}", status=404)
        return SimulatedResponse.json(result, content_type="application/json")

    async def _controlled(self, method: str, name: str, query: dict[str, list[str]], data: dict[str, Any]) -> Any:
        match method, name:
            case "GET", "clock":
                return _clock()
            case "POST", "clock":
                self._advance(float(data["advance"]))
                expired = hooks.expire_items() if data.get("expire", True) else 0
                return {**_clock(), "expired": expired}
            case "GET", "requests":
                if query.get("counts"):
                    return {f"{service}:{operation}": count for (service, operation), count in self._counts.items()}
                logged = [asdict(request) for request in self._log]
                if not query.get("times"):
                    for one in logged:
                        del one["at"]
                return logged
            case "DELETE", "requests":
                self._log.clear()
                self._counts.clear()
                return {}
            case "GET", "faults":
                return [asdict(rule) for rule in self._faults.rules]
            case "POST", "faults":
                self._faults.add(Fault(**data))
                return {}
            case "DELETE", "faults":
                return [asdict(rule) for rule in self._faults.lift()]
            case "POST", "events":
                EmbeddedHost().put_event(
                    data["source"], data["detail_type"], data["detail"], list(data.get("resources", []))
                )
                return {}
            case "GET", "messages":
                return hooks.messages(query["queue"][0])
            case "POST", "reset":
                await self._reset()
                return {}
        return None

    def _advance(self, seconds: float) -> None:
        # The last minutes pass one by one, so that alarms see a data point in each of their periods.
        minutes = max(0, min(int(seconds // hooks.DEPTH_PERIOD), _MINUTES_SEEN))
        clock.advance(seconds - minutes * hooks.DEPTH_PERIOD)
        self.tick()
        for _ in range(minutes):
            clock.advance(hooks.DEPTH_PERIOD)
            self.tick()

    async def _reset(self) -> None:
        self._faults.lift()
        await asyncio.to_thread(hooks.reset)
        self._simulators.clear()
        self._simulators.update(self._make())
        self._log.clear()
        self._counts.clear()
        self._depths_recorded = 0.0
        clock.reset()


class _Current:
    """The simulator that stands under a name now: a reset puts a new one there."""

    def __init__(self, simulators: Mapping[str, Simulator], name: str) -> None:
        self._simulators, self._name = simulators, name

    def handle(self, request: SimulatedRequest) -> SimulatedResponse:
        return self._simulators[self._name].handle(request)


class _Collected:
    """Takes an answer instead of the client."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")

    async def forward(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def _clock() -> dict[str, Any]:
    return {"now": clock.now().isoformat(), "offset": clock.offset()}


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes) -> Receive:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _with_length(scope: Scope, length: int) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


def _hang_up(send: Send) -> None:
    """Close the client's connection without an answer. ASGI knows no way to do that, so the server's own is used."""
    send.__self__.transport.abort()  # type: ignore[attr-defined]


async def _answer(send: Send, response: SimulatedResponse) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
    headers.append((b"content-length", str(len(response.body)).encode()))
    headers.append((b"date", formatdate(usegmt=True).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": False})
