"""Two workers on one table, stepped request by request: nothing is published twice outside the declared window.

Each worker runs on a thread of its own and stops before every request until the schedule lets it go on, so a schedule
(which worker makes the next request) is carried out exactly.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from typing import Any

import pytest

from blocks.connection import Connection
from simulated_aws.server import SimulatedAws
from tests.outbox_world import TABLE, OutboxWorld, play

PATIENCE = 30.0
Batches = list[tuple[int, list[str]]]
"""Published batches: by whom, and the messages."""


class Worker:
    """A run that makes its next request only when it is asked to."""

    def __init__(self, world: OutboxWorld, connection: Connection, sent: Batches, name: int) -> None:
        self.name = name
        self.next_request = ""
        self.failure: BaseException | None = None
        self._sent = sent
        self._may_go, self._has_stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._connection = connection
        self.work = world.work(connection, threads=1, shards=1, time_limit_seconds=3_600)
        self._watch("register")
        self.is_done = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._has_stopped.acquire(timeout=PATIENCE)

    def _watch(self, verb: str) -> None:
        for service, again in (("dynamodb", True), ("sns", False), ("cloudwatch", False)):
            events = self._connection.client(service, repeat=again).meta.events
            getattr(events, verb)("before-send", self._stop)
        events = self._connection.client("sns", repeat=False).meta.events
        getattr(events, verb)("provide-client-params.sns.PublishBatch", self._note)

    def _note(self, params: dict[str, Any], **_: Any) -> None:
        self._sent.append((self.name, [entry["Message"] for entry in params["PublishBatchRequestEntries"]]))

    def _stop(self, event_name: str = "", **_: Any) -> None:
        self.next_request = event_name.rpartition(".")[2]
        self._has_stopped.release()
        self._may_go.acquire()

    def _run(self) -> None:
        try:
            play(self.work)
        except BaseException as error:  # noqa: BLE001 - reported by the test
            self.failure = error
        self.is_done = True
        self.next_request = ""
        self._has_stopped.release()

    def step(self) -> None:
        """Let it make one request, up to before its next one or its end."""
        self._may_go.release()
        assert self._has_stopped.acquire(timeout=PATIENCE)

    def finish(self) -> None:
        """Let it go on to its end."""
        while not self.is_done:
            self.step()
        self._thread.join(PATIENCE)
        self._watch("unregister")
        self.work.close()
        if self.failure is not None:
            raise self.failure


Fill = Callable[[OutboxWorld], None]


def rows_of(count: int) -> Fill:
    def fill(world: OutboxWorld) -> None:
        for n in range(count):
            world.pending(f"row-{n}", f"row-{n}")

    return fill


class Stage:
    """An outbox that is filled anew for each play, and two connections."""

    def __init__(self, world: OutboxWorld, fill: Fill) -> None:
        self.world = world
        self._fill = fill
        self._connections = [world.connection() for _ in range(2)]

    def _empty_and_fill(self) -> None:
        for identity in self.world.rows():
            self.world.dynamodb.delete_item(TableName=TABLE, Key={"id": {"S": identity}})
        self._fill(self.world)

    def requests_of_one(self) -> list[str]:
        """The requests that one worker makes alone, up to its last one that changes anything."""
        self._empty_and_fill()
        worker = Worker(self.world, self._connections[0], [], 0)
        made: list[str] = []
        while not worker.is_done:
            made.append(worker.next_request)
            worker.step()
        worker.finish()
        last = max(n for n, name in enumerate(made) if name in ("PublishBatch", "BatchExecuteStatement"))
        return made[: last + 1]

    def play(self, schedule: Iterable[int], between: Callable[[int, list[Worker]], None] | None = None) -> Batches:
        """Run two workers by the schedule (0 or 1 at each step), then each to its end.

        Args:
            schedule: the worker that makes the next request.
            between: called before each step with its number.

        Returns:
            Every batch that was published: its worker, and the messages.
        """
        self._empty_and_fill()
        sent: Batches = []
        workers = [Worker(self.world, connection, sent, n) for n, connection in enumerate(self._connections)]
        for n, chosen in enumerate(schedule):
            if between:
                between(n, workers)
            if not workers[chosen].is_done:
                workers[chosen].step()
            elif all(worker.is_done for worker in workers):
                break
        for worker in workers:
            worker.finish()
        return sent


@pytest.fixture
def world(aws: SimulatedAws) -> OutboxWorld:
    aws.create_estate()
    return OutboxWorld(aws)


def two_switches(length: int) -> Iterator[tuple[int, int]]:
    """One worker makes `first` requests, the other `second`, then the first goes on: every pair."""
    for first in range(length + 1):
        for second in range(length + 1):
            yield first, second


def test_every_pair_of_switches_publishes_each_row_once(world: OutboxWorld) -> None:
    """Wherever one worker is interrupted, and wherever the other is, each row goes out once and is finished."""
    stage = Stage(world, rows_of(3))
    requests = stage.requests_of_one()
    assert requests.count("BatchExecuteStatement") == 2
    for first, second in two_switches(len(requests)):
        sent = stage.play(chain(repeat(0, first), repeat(1, second)))
        messages = Counter(message for _, batch in sent for message in batch)
        assert messages == {f"row-{n}": 1 for n in range(3)}, (first, second)
        assert set(world.statuses().values()) == {"Successful"}, (first, second)


def test_random_schedules_publish_each_row_once(world: OutboxWorld) -> None:
    """Schedules that switch after any request, with more rows than a claim or a batch holds."""
    stage = Stage(world, rows_of(30))
    for seed in range(25):
        chance = random.Random(seed)
        sent = stage.play(chance.randrange(2) for _ in range(500))
        messages = Counter(message for _, batch in sent for message in batch)
        assert messages == {f"row-{n}": 1 for n in range(30)}, seed
        assert set(world.statuses().values()) == {"Successful"}, seed


def test_a_worker_that_slept_through_its_lease_sends_nothing(world: OutboxWorld) -> None:
    """A worker that wakes up after its lease gives its rows up, wherever it slept. Only what was claimed and then
    waited within the request itself goes out twice: that is the declared window, and the row id shows the subscriber.
    """
    stage = Stage(world, rows_of(3))
    requests = stage.requests_of_one()
    doubled = []
    for slept_at in range(1, len(requests)):

        def sleep(n: int, workers: list[Worker], slept_at: int = slept_at) -> None:
            if n == slept_at:
                assert workers[0].next_request == requests[slept_at]
                world.later(301)

        # The first worker is stopped, five minutes pass, the second does all it can; then the first goes on.
        sent = stage.play(chain(repeat(0, slept_at), repeat(1, 200)), sleep)
        world.run(shards=1)
        messages = Counter(message for _, batch in sent for message in batch)
        assert set(messages) == {f"row-{n}" for n in range(3)}, slept_at
        assert set(world.statuses().values()) == {"Successful"}, slept_at
        if max(messages.values()) > 1:
            doubled.append(slept_at)
    publish = requests.index("PublishBatch")
    # Asleep before its publish left, or between the publish and the mark.
    assert doubled == [publish, publish + 1]
    assert requests[publish + 1] == "BatchExecuteStatement"


def test_groups_keep_their_order_between_two_workers(aws: SimulatedAws) -> None:
    """FIFO: in every pair of switches each row is published once, and each group in its order."""
    aws.create_estate()

    def fill(world: OutboxWorld) -> None:
        for n in range(3):
            world.ordered_row(f"a-{n}", "a", n)
        world.ordered_row("b-0", "b", 0)

    stage = Stage(OutboxWorld(aws, ordered=True), fill)
    requests = stage.requests_of_one()
    for first, second in two_switches(len(requests)):
        if (first + second) % 2 == 0:
            sent = stage.play(chain(repeat(0, first), repeat(1, second)))
            messages = [message for _, batch in sent for message in batch]
            assert sorted(messages) == ["a-0", "a-1", "a-2", "b-0"], (first, second)
            assert [message for message in messages if message[0] == "a"] == ["a-0", "a-1", "a-2"], (first, second)
            assert set(stage.world.statuses().values()) == {"Successful"}, (first, second)


def test_three_workers_at_once_publish_each_row_once(world: OutboxWorld) -> None:
    """Without a schedule, with threads of their own: 600 rows, each published once."""
    world.pending_many(600)
    works = [world.work(threads=4) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(play, works))
    for work in works:
        work.close()
    ids = Counter(envelope["MessageAttributes"]["outbox_row_id"]["Value"] for envelope in world.delivered())
    assert ids == {f"row-{n}": 1 for n in range(600)}
    assert set(world.statuses().values()) == {"Successful"}
    assert sum(work.sent for work in works) == 600
