"""Faults of every class on random requests of several runs, then peace: each run ends, and nothing is lost.

A seed names a story exactly: which faults, on which requests, how far this machine's clock is off.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Protocol
from unittest import mock

import httpx

from blocks.connection import Connection
from proof.crash.points import aligned
from proof.crash.process import in_child
from proof.crash.scene import Findings, Scene, for_one_run
from recovery.errors import RepriseError
from simulated_aws.server import SimulatedAws

TROUBLED_RUNS = 5
PEACEFUL_RUNS = 4
RATES = (0.05, 0.15, 0.3)
"""Share of requests that meet a fault, story by story."""
_REQUESTS = 150
"""More than a troubled run makes."""

_FIVE_HUNDREDS = (
    {"code": "InternalServerError", "status": 500},
    {"code": "ServiceUnavailable", "status": 503},
)
_BATCHES = ("SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "PublishBatch")
SERVER_FAULTS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "throttling": lambda _: {"kind": "error", "code": "ThrottlingException", "status": 400},
    "5xx": lambda chance: {"kind": "error", **chance.choice(_FIVE_HUNDREDS)},
    "connection reset": lambda _: {"kind": "refuse_connection"},
    "no answer, done": lambda _: {"kind": "lose_ack"},
    "expired token": lambda _: {"kind": "error", "code": "ExpiredTokenException", "status": 400},
    "Failed[] in part": lambda chance: {
        "kind": "partial",
        "operation": chance.choice(_BATCHES),
        "code": "InternalError",
        "entries": chance.sample(range(4), 2),
        "executed": chance.random() < 0.3,
    },
    "UnprocessedItems": lambda chance: {
        "kind": "partial",
        "operation": chance.choice(("BatchWriteItem", "BatchGetItem")),
        "entries": [0],
    },
    "cancelled write": lambda chance: {
        "kind": "error",
        "service": "dynamodb",
        "operation": chance.choice(("PutItem", "UpdateItem", "BatchExecuteStatement")),
        "code": "TransactionConflictException",
        "status": 400,
    },
}
SCENES = (
    "dead letters, standard",
    "dead letters, FIFO",
    "outbox, standard",
    "outbox, FIFO",
    "replications, tasks",
    "replications, serverless",
    "flows, on demand",
    "flows, twin to make",
    "relay",
)
CLIENT_FAULTS = ("stale index", "message twice", "out of order", "clock off", "server away")


class Troubled(Scene, Protocol):
    """A scene that can be checked after any number of faults."""

    def after_trouble(self) -> Findings:
        """Everything is safe and settled, or a person was notified; copies are within what lost answers allow."""
        ...


class Story:
    """Course of one scene under one seed.

    Args:
        seed: names the story.
        rate: share of requests that meet a fault.
    """

    def __init__(self, aws: SimulatedAws, connection: Connection, scene: Troubled, seed: int, rate: float) -> None:
        self._aws = aws
        self._connection = connection
        self._scene = scene
        self._chance = random.Random(f"{scene.name} {seed}")
        self._rate = rate
        self.met: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()

    def play(self) -> Findings:
        """Some troubled runs, then peaceful ones; what was found."""
        scene, found = self._scene, Findings()
        scene.stage()
        for number in range(TROUBLED_RUNS):
            self._prepare()
            connection = for_one_run(self._connection, self._aws)
            seed = self._chance.random()
            ended = in_child(lambda connection=connection, seed=seed: self._troubled(connection, seed))  # type: ignore[misc]
            self._count()
            if ended.error:
                found.wrong.append(f"troubled run {number + 1}: {ended.error}")
            else:
                self.met.update(ended.value["met"])
                self.ends.update([ended.value["ended"]])
            found += scene.is_safe()
            scene.later()
        for number in range(PEACEFUL_RUNS):
            connection = for_one_run(self._connection, self._aws)
            ended = in_child(lambda connection=connection: scene.run(connection))  # type: ignore[misc]
            found.expect(not ended.error, f"peaceful run {number + 1}: {ended.error}")
            scene.later()
        found += scene.is_safe()
        found += scene.after_trouble()
        return found

    def _prepare(self) -> None:
        self._names: list[str] = []
        position = 0
        classes = self._chance.sample(list(SERVER_FAULTS), 3)
        for _ in range(_REQUESTS):
            if self._chance.random() < self._rate:
                name = self._chance.choice(classes)
                rule = SERVER_FAULTS[name](self._chance)
                self._aws.fault(**rule, times=1, after=position if rule.get("operation") is None else 0)
                self._names.append(name)
                position = 0  # each rule counts what the ones before it have let pass
            else:
                position += 1

    def _count(self) -> None:
        for name, rule in zip(self._names, self._aws.lift_faults(), strict=True):
            self.met[name] += rule["hits"]

    def _troubled(self, connection: Connection, seed: float) -> dict[str, Any]:
        """In the child: one run whose clock is off, whose index lags and whose queues repeat themselves."""
        chance = random.Random(seed)
        met: Counter[str] = Counter()
        off = chance.choice((-600.0, -150.0, 0.0, 150.0, 600.0))
        met["clock off"] += off != 0
        connection.clock._local = lambda: time.time() + off
        connection.ledger._sleep = lambda _: None
        _Lagging(connection, chance, met, max(0.3, self._rate))  # a run has few such answers
        handle = httpx.HTTPTransport.handle_request

        def unsure(transport: Any, request: Any) -> Any:
            if chance.random() < self._rate:
                met["server away"] += 1
                if chance.random() < 0.5:
                    handle(transport, request).close()
                raise httpx.ReadTimeout("no answer")
            return handle(transport, request)

        ended = "whole"
        with (
            mock.patch("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None)),
            mock.patch.object(httpx.HTTPTransport, "handle_request", unsure),
        ):
            try:
                if self._scene.run(connection):
                    ended = "with problems reported"
            except RepriseError as error:
                ended = f"given up: {type(error).__name__}"
        return {"met": met, "ended": ended}


class _Lagging:
    """Stale reads of indexes, and messages that come twice or out of order: done to the answers."""

    def __init__(self, connection: Connection, chance: random.Random, met: Counter[str], rate: float) -> None:
        self._chance, self._met, self._rate = chance, met, rate
        self._seen: dict[str, dict[str, Any]] = {}
        dynamodb, sqs = connection.client("dynamodb"), connection.client("sqs")
        dynamodb.meta.events.register("provide-client-params.dynamodb.Query", self._asked)
        dynamodb.meta.events.register("after-call.dynamodb.Query", self._lag)
        sqs.meta.events.register("provide-client-params.sqs.ReceiveMessage", self._receiving)
        sqs.meta.events.register("after-call.sqs.ReceiveMessage", self._repeat)
        self._index, self._fifo = "", False

    def _asked(self, params: dict[str, Any], **_: Any) -> None:
        self._index = str(params.get("IndexName", ""))

    def _lag(self, parsed: dict[str, Any], **_: Any) -> None:
        items = parsed.get("Items")
        if not self._index or not items or self._chance.random() >= self._rate:
            return
        self._met["stale index"] += 1
        # The youngest items are not in the index yet. Of a group that is its end: the path waits for the index of young
        # rows (`fifo_settle_seconds`), and promises no order to a service whose older rows show up after younger ones.
        if "group" in self._index:
            parsed["Items"] = items[: self._chance.randrange(len(items))]
        else:
            parsed["Items"] = [item for item in items if self._chance.random() < 0.5]

    def _receiving(self, params: dict[str, Any], **_: Any) -> None:
        self._fifo = params["QueueUrl"].endswith(".fifo")

    def _repeat(self, parsed: dict[str, Any], **_: Any) -> None:
        messages = parsed.get("Messages")
        if not messages or self._fifo:
            return
        if self._chance.random() < self._rate:
            self._met["out of order"] += 1
            self._chance.shuffle(messages)
        if len(messages) < 10 and self._chance.random() < self._rate:
            again = self._seen.get(self._chance.choice([*self._seen, ""]), messages[0])
            self._met["message twice"] += 1
            messages.append(again)
        self._seen |= {message["MessageId"]: message for message in messages}


def play(
    aws: SimulatedAws, connection: Connection, makers: Sequence[tuple[str, Callable[[], Any]]], stories: int
) -> tuple[list[str], str]:
    """Stories of all scenes; returns what must not be, and the report."""
    violations: list[str] = []
    met: dict[str, Counter[str]] = {}
    ends: Counter[str] = Counter()
    for name, make in (each for each in makers if each[0] in SCENES):
        aws.reset()
        scene = make()
        met[name] = Counter()
        for seed in range(stories):
            story = Story(aws, connection, scene, seed, RATES[seed % len(RATES)])
            found = story.play()
            violations += [f"{name}, story {seed}: {each}" for each in found.violations]
            met[name] += story.met
            met[name]["stories"] += 1
            ends += story.ends
    return violations, report(met, ends)


def report(met: dict[str, Counter[str]], ends: Counter[str]) -> str:
    """The faults that were met, class by class, and how the troubled runs ended."""
    classes = ("stories", *SERVER_FAULTS, *CLIENT_FAULTS)
    rows = [("fault", *met, "all")]
    rows += [
        (each, *(str(met[name][each]) for name in met), str(sum(met[name][each] for name in met))) for each in classes
    ]
    ended = "; ".join(f"{count} {how}" for how, count in ends.most_common())
    return f"{aligned(rows)}\nTroubled runs: {ended}"
