"""Everything that worker and relay do in AWS, played once each as plain functions, with every call checked."""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock
from uuid import UUID

from blocks.connection import Connection
from deployments import smoke
from flows.replication_tasks import recover_replication_tasks
from proof.crash.dead_letters_scenes import Messages, waiting
from proof.crash.flow_scenes import ForAPerson, SwitchedOff, Twin
from proof.crash.outbox_scenes import Lost, Outbox
from proof.crash.relay_scene import RelayScene, StubServer
from proof.crash.replication_scenes import Replications, failing
from proof.crash.scene import Scene, Unpaced, connection_to, for_one_run
from proof.plain_prefect import play as play_flow
from recovery.dead_letters.actions import Target, WithoutEvidence
from recovery.dead_letters.gateway import Sqs
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.digest.book import DayBook
from recovery.digest.request import DigestRequest
from recovery.discover.models import DiscoverRequest
from recovery.errors import BadInput
from recovery.failures import LoggedMessage
from recovery.histories.requests import CaseRequest, ListRequest
from recovery.logs import LogAllowance, Logs, Sought
from recovery.logs.search import FILTERED
from recovery.metrics.gateway import MetricsGateway
from recovery.outbox_records.policy import Mode
from recovery.outbox_records.story import Rows
from recovery.paths import Path as RecoveryPath
from recovery.replication_tasks.find import SWEEP_SECONDS, TURNS
from recovery.replication_tasks.policy import ReplicationPolicy, ReplicationRequest
from recovery.scope import StartedBy
from relay.due_cases import DueCases
from relay.metrics import Reading, RelayMetrics
from relay.queue_poller import QueuePoller
from simulated_aws.server import SimulatedAws
from tasks import digest
from tasks.cases import histories_of
from tasks.discover import look_at_queues, office_on
from tasks.replication_tasks import open_run as open_replications
from tests.dead_letters_world import AUTH, ERROR, INVALID, TIMEOUT, DeadLettersWorld, text
from tests.deliveries_world import Deliveries, policy
from tests.gateways.dead_letters.test_functions import POLICY as INVOKE
from tests.gateways.dead_letters.test_functions import Stock
from tests.outbox_world import TABLE, play
from tests.security.calls import Calls
from tests.security.policies import ENCRYPTED, FLOW_KEY

GROUP = "/consumers/orders"


class Player:
    """Plays scenes.

    Attributes:
        aws: the simulated one.
        calls: all calls that were made.
    """

    def __init__(self, aws: SimulatedAws) -> None:
        aws.reset()
        aws.create_estate()
        self.aws = aws
        self.calls = Calls(ENCRYPTED)
        self._connection = connection_to(aws)
        self.calls.watch(self._connection)

    @property
    def connection(self) -> Connection:
        """The watched clients, for one run in the estate of now."""
        return for_one_run(self._connection, self.aws)

    def play(self, scene: Scene, runs: int = 2) -> None:
        """A scene from its beginning until it is done."""
        scene.stage()
        for _ in range(runs):
            scene.run(self.connection)
            scene.later()


def worker_calls(aws: SimulatedAws) -> Calls:
    """Everything that the role of the worker is for."""
    player = Player(aws)
    with mock.patch("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None)):
        _messages(player)
        _outbox(player)
        _replications(player)
        _flows(player)
        _what_people_see(player)
    return player.calls


def relay_calls(aws: SimulatedAws) -> Calls:
    """Everything that the role of the relay is for."""
    player = Player(aws)
    stub = StubServer()
    aws.reset()  # the scene makes its own estate
    try:
        scene = _Relay(aws, stub)
        urls = [aws.environment[f"REPRISE_EVENTS_{name}QUEUE_URL"] for name in ("", "PARKED_")]
        scene.urls[:2] = urls
        player.play(scene, runs=1)
        # While no server takes them, events are held and kept hidden, and given back at the end.
        scene.stage()
        with mock.patch.object(stub, "url", "http://127.0.0.1:9"):
            scene.run(player.connection)
    finally:
        stub.stop()
    sqs = Sqs(player.connection.client("sqs"), player.connection.client("sqs", repeat=False))
    QueuePoller(sqs, ["orders-dlq*"], timedelta(seconds=2)).poll(datetime.now(UTC))
    DueCases(player.connection.ledger, timedelta(seconds=5)).poll(datetime.now(UTC))
    gateway = MetricsGateway(player.connection.client("cloudwatch", repeat=False), "Reprise")
    RelayMetrics(gateway).publish(Reading(), datetime.now(UTC))
    return player.calls


class _Relay(RelayScene):
    """The scene; its service has a client of its own."""

    def _service_writes(self, dynamodb: Any) -> None:
        super()._service_writes(self.world.dynamodb)


def _messages(player: Player) -> None:
    for fifo in (False, True):
        player.play(Messages(player.aws, player.connection, fifo=fifo))
    world = DeadLettersWorld(player.aws)
    pair = world.pair()
    world.die(pair, [AUTH, AUTH, TIMEOUT])
    # The last one waits for an hour, hidden.
    world.recover("orders-dlq*", policy=waiting(3600), connection=player.connection)
    world.replay(queues=[pair.dead], connection=player.connection)
    _explained_by_a_log(player, world)
    _found_by_its_queue(player, world)
    _kept_in_s3(player, world)
    _to_its_function(player, world)
    _to_their_targets(player, world)
    _smoke(player, world)


def _explained_by_a_log(player: Player, world: DeadLettersWorld) -> None:
    """Few messages are looked up by filters, many by queries; one that does not end is stopped."""
    logs = world.aws.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    now = world.aws.clock.now()
    for filtered in (FILTERED, 0):
        pair = world.pair()
        [message] = world.die(pair, [""])
        line = {"timestamp": int(now.timestamp() * 1000), "message": f"ERROR message_id={message} {INVALID}"}
        logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=[line])
        with mock.patch("recovery.logs.search.FILTERED", filtered):
            world.recover(pair.dead, policy=DeadLetterPolicy(log_group=GROUP), connection=player.connection)
    client = player.connection.client("logs")
    client.meta.events.register("after-call.cloudwatch-logs.GetQueryResults", _goes_on)
    seconds = itertools.count(0, 10)
    end = int(now.timestamp() * 1000)
    sought = [Sought(LoggedMessage(str(UUID(int=1))), (end - 1000, end))]
    with mock.patch("recovery.logs.search.FILTERED", 0):
        Logs(client, lambda: next(seconds), lambda _: None).read(GROUP, sought, LogAllowance())


def _found_by_its_queue(player: Player, world: DeadLettersWorld) -> None:
    """Nobody names the log group: Lambda is asked who consumes the queue, and whether it ran."""
    pair = world.pair()
    world.consume(pair, group="/consumers/found")
    world.die(pair, [""])
    world.aws.clock.advance(1200)
    world.recover(pair.dead, policy=DeadLetterPolicy(), connection=player.connection)


def _goes_on(parsed: dict[str, Any], **_: Any) -> None:
    """The emulator's queries are complete at once."""
    parsed.update(status="Running", results=[])


def _kept_in_s3(player: Player, world: DeadLettersWorld) -> None:
    """A pointer of an extended client: what it points at is copied."""
    s3 = world.aws.client("s3")
    s3.create_bucket(Bucket="big-payloads")
    s3.put_object(Bucket="big-payloads", Key="k/1", Body=b"big")
    pair = world.pair()
    where = {"s3BucketName": "big-payloads", "s3Key": "k/1"}
    pointer = json.dumps(["software.amazon.payloadoffloading.PayloadS3Pointer", where])
    sized = {"ExtendedPayloadSize": {"DataType": "Number", "StringValue": "4"}}
    world.send(pair.dead, [{"MessageBody": pointer, "MessageAttributes": {**sized, ERROR: text(INVALID)}}])
    world.recover(pair.dead, connection=player.connection)


def _to_its_function(player: Player, world: DeadLettersWorld) -> None:
    """A failed asynchronous invocation: the function is found by its dead-letter queue, and invoked again."""
    failures = world.queue("stock-dlq")
    with tempfile.TemporaryDirectory() as folder:
        Stock(world, Path(folder), failures, by="queue").call()
        world.recover(failures, policy=INVOKE, connection=player.connection)
        world.aws.clock.advance(12)
        world.recover(failures, policy=INVOKE, connection=player.connection)


def _to_their_targets(player: Player, world: DeadLettersWorld) -> None:
    """Failed deliveries: to a subscription's queue, a topic, a state machine and a bus, each as the policy allows."""
    deliveries = Deliveries(world)
    topic = deliveries.sns.create_topic(Name=deliveries.name)["TopicArn"]
    queue = world.arn(world.queue("orders-shipped"))
    subscription = deliveries.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, ReturnSubscriptionArn=True)
    machine = deliveries.state_machine()
    deliveries.fail_notification(subscription["SubscriptionArn"], topic)
    for target in (topic, machine):
        deliveries.fail_rule(target)
    deliveries.fail_rule(queue, deliveries.rule(queue, InputPath="$.detail"))
    chosen = policy(*Target, without_evidence=WithoutEvidence.HEAL)
    for _ in range(2):
        world.recover(deliveries.dead, policy=chosen, connection=player.connection)
        world.aws.clock.advance(12)


def _smoke(player: Player, world: DeadLettersWorld) -> None:
    """The smoke test in named queues: it makes none then, and stays within the role."""
    pair, connection = world.pair(), player.connection

    def here(request: dict[str, Any]) -> None:
        policy = DeadLetterPolicy.model_validate(request["policy"])
        world.recover(*request["queues"], policy=policy, connection=connection)

    wrong = smoke.smoke(connection, smoke.Queues(pair.source, pair.dead, own=False), here, lambda _: None)
    assert wrong == {}


def _outbox(player: Player) -> None:
    for fifo in (False, True):
        player.aws.reset()
        scene = Outbox(player.aws, fifo=fifo)
        player.play(scene)
        scene.played(player.connection, Mode.REVIVE)
    player.aws.reset()
    lost = Lost(player.aws)
    player.play(lost, runs=1)
    work = lost.world.work(player.connection, circuit_alarm="orders-down")
    try:
        play(work)
    finally:
        work.close()
    Rows(player.connection.client("dynamodb"), TABLE).find("nothing")


def _replications(player: Player) -> None:
    for serverless in (False, True):
        scene = Replications(player.aws, serverless=serverless)
        player.play(scene)
        # Latencies of what runs are read in turns: of each task in one sweep of so many.
        for _ in range(TURNS):
            scene.run(player.connection)
            player.aws.clock.advance(SWEEP_SECONDS)
        _by_tag(player)
    # The scene has this for tasks only: tables of a serverless replication that must be loaded again.
    scene.stage()
    scene.make("tables", "full-load-and-cdc", failing("a row", "full-load", table="public.items"))
    player.aws.clock.advance(900)
    player.aws.control("POST", "dms/script", {"advance": True})
    for _ in range(3):
        scene.run(player.connection)
        scene.later()


def _by_tag(player: Player) -> None:
    request = ReplicationRequest(
        tasks=("tag:reprise=recover",), dry_run=False, started_by=StartedBy.SWEEP, policy=ReplicationPolicy()
    )
    play_flow(recover_replication_tasks, request, open_replications(player.connection, request, cast(Any, Unpaced())))


def _flows(player: Player) -> None:
    aws, connection = player.aws, player.connection
    for scene in (ForAPerson(aws, connection), SwitchedOff(aws, connection)):
        player.play(scene)
    # The twin of an encrypted flow uses its flow's key.
    encrypt = aws.client("appflow").meta.events
    encrypt.register("provide-client-params.appflow.CreateFlow", _with_a_key)
    try:
        twin = Twin(aws, connection)
        twin.stage()
        # As if the twin were there already, made by a run that died: it is looked at.
        aws.fault("error", service="appflow", operation="CreateFlow", code="ConflictException", status=409)
        twin.run(player.connection)
        aws.lift_faults()
        for _ in range(3):
            twin.later()
            twin.run(player.connection)
    finally:
        encrypt.unregister("provide-client-params.appflow.CreateFlow", _with_a_key)


def _with_a_key(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    return {**params, "kmsArn": FLOW_KEY}


def _what_people_see(player: Player) -> None:
    """Numbers in CloudWatch, the day book, the digest, lists of cases and a case's history."""
    world = DeadLettersWorld(player.aws)
    pair, connection = world.pair(), player.connection
    [message] = world.die(pair, [AUTH])
    ended = world.recover(pair.dead, connection=connection)
    world.consume(pair)
    queues = look_at_queues.fn(office_on(connection), DiscoverRequest())
    assert pair.dead in [row.setup.queue.name for row in queues.rows]
    now = world.aws.clock.now()
    metrics = connection.metrics
    assert metrics is not None
    metrics.publication(ended, now, swept=True).send()
    DayBook(connection.ledger).add(ended, "run", now)
    desk = digest.Desk(connection)
    made = digest.read_days.fn(desk, DigestRequest(day=now.date(), dry_run=False))
    assert digest.publish.fn(desk, made) == "published"
    histories = histories_of(connection)
    assert [story.key for story in histories.waiting(ListRequest())] == [message]
    assert histories.describe(CaseRequest(key=message))
    assert histories.describe(CaseRequest(key=message, path=RecoveryPath.DEAD_LETTERS))
    with contextlib.suppress(BadInput):
        histories.describe(CaseRequest(key="nobody"))
