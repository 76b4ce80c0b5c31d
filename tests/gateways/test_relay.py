"""The relay against the simulated AWS: nothing is let go of before the Prefect server accepted it."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from recovery.dead_letters.gateway import Sqs
from recovery.errors import Transient
from recovery.events import hints
from recovery.events.hints import Hint
from recovery.metrics.gateway import MetricsGateway
from relay import health, service
from relay.in_flight import InFlight
from relay.metrics import RelayMetrics
from relay.pollers import Poller
from relay.prefect_events import PrefectEvents
from relay.queue import EventsQueue
from relay.queue_poller import QueuePoller
from relay.service import Relay
from simulated_aws.server import SimulatedAws


def failed(task: str) -> str:
    detail = {"eventType": "REPLICATION_TASK_FAILED", "category": "Failure", "detailMessage": "Last Error"}
    arn = f"arn:aws:dms:eu-west-1:123456789012:task:{task}"
    kind = "DMS Replication Task State Change"
    return json.dumps({"id": task, "detail-type": kind, "source": "aws.dms", "resources": [arn], "detail": detail})


class NoWait(threading.Event):
    """Waits are over at once."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


HANGS = -1


def acted(trigger: str, how: str) -> dict[str, Any]:
    """The server's own event of what it did because of a trigger."""
    return {
        "event": f"prefect.automation.action.{how}",
        "related": [{"prefect.resource.id": trigger}, {"prefect.resource.id": "prefect.flow-run.r1"}],
    }


class World:
    """Queues, a Prefect server that answers as scripted, and a relay whose clock the test moves."""

    def __init__(self, aws: SimulatedAws, *pollers: Poller, in_flight: InFlight | None = None) -> None:
        self.sqs = aws.client("sqs")
        self.aws = aws
        self.url, self.parked = (self.sqs.create_queue(QueueName=n)["QueueUrl"] for n in ("events", "events-parked"))
        self.status = 204
        self.rejects = "no such thing"
        self.acts = "executed"  # what the server makes of triggers; "" for nothing
        self.run = {"type": "COMPLETED", "message": ""}  # the state of the run that was made
        self.awaited = ["reprise.dms.task.failed"]
        self.posted: list[dict[str, Any]] = []
        self.now = datetime.now(UTC)
        client = httpx.Client(base_url="http://prefect/api", transport=httpx.MockTransport(self.answer))
        self.events = PrefectEvents("", client=client)
        self.stop = NoWait()
        self.metrics = RelayMetrics(MetricsGateway(aws.client("cloudwatch"), "Reprise"))
        queue = EventsQueue(self.sqs, self.url, self.parked)
        self.relay = Relay(queue, self.events, pollers, lambda: self.now, self.stop, self.metrics, in_flight)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.status == 0:
            raise httpx.ConnectError("down")
        if self.status == HANGS:
            raise httpx.ReadTimeout("no answer")
        if self.status >= 300:
            return httpx.Response(self.status)
        asked = json.loads(request.content)
        match request.url.path:
            case "/api/events":
                if any(self.rejects in event["resource"]["prefect.resource.id"] for event in asked):
                    return httpx.Response(422)
                self.posted += asked
                return httpx.Response(204)
            case "/api/events/filter":
                wanted = asked["filter"]["related"]["id"]
                return httpx.Response(
                    200, json={"events": [acted(trigger, self.acts) for trigger in wanted if self.acts]}
                )
            case "/api/flow_runs/filter":
                return httpx.Response(
                    200, json=[{"id": run, "state": self.run} for run in asked["flow_runs"]["id"]["any_"]]
                )
            case "/api/automations/filter":
                return httpx.Response(200, json=[{"enabled": True, "trigger": {"expect": self.awaited}}])
        raise AssertionError(request.url)

    def send(self, count: int, task: str = "orders") -> None:
        for start in range(0, count, 10):
            entries = [
                {"Id": str(n), "MessageBody": failed(f"{task}-{n}")} for n in range(start, min(count, start + 10))
            ]
            self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    def rounds(self, count: int, seconds: float = 0) -> None:
        for _ in range(count):
            self.now += timedelta(seconds=seconds)
            self.relay.round(wait=0)

    def another_relay(self) -> Relay:
        """A second one on the same queue, with nothing in common but the server."""
        queue = EventsQueue(self.sqs, self.url, self.parked)
        return Relay(queue, self.events, (), lambda: self.now, self.stop)

    @property
    def parked_messages(self) -> list[dict[str, Any]]:
        return self.aws.messages("events-parked")

    @property
    def triggers(self) -> list[str]:
        return [e["resource"]["prefect.resource.id"] for e in self.posted if e["resource"]["reprise.trigger"] == "yes"]


def test_what_was_accepted_is_deleted(aws: SimulatedAws) -> None:
    """One event: posted once, triggering, and gone from the queue."""
    world = World(aws)
    world.send(1)
    world.rounds(1)
    assert world.triggers == ["reprise.dms.orders-0"]
    assert aws.messages("events") == []


@pytest.mark.parametrize("status", [503, 500, 429, 0, HANGS])
def test_while_the_server_is_away_nothing_is_lost(aws: SimulatedAws, status: int) -> None:
    """Nothing is deleted and nothing more received; it goes on by itself, without a restart."""
    world = World(aws)
    world.status = status
    world.send(1)
    world.rounds(1)
    world.send(1, "later")
    aws.clear_requests()
    world.rounds(3, 1)
    assert aws.requests("sqs", "ReceiveMessage") == []
    assert len(aws.messages("events")) == 2
    world.status = 204
    world.rounds(3, 5)
    assert world.triggers[0] == "reprise.dms.orders-0"
    assert "reprise.dms.later-0" in {event["resource"]["prefect.resource.id"] for event in world.posted}
    assert aws.messages("events") == []


def test_the_unreadable_is_parked_with_its_reason(aws: SimulatedAws) -> None:
    """It goes to the dead-letter queue as it came, and what lies behind it is served."""
    world = World(aws)
    world.sqs.send_message(QueueUrl=world.url, MessageBody="no JSON")
    world.send(1)
    world.rounds(2)
    found = world.sqs.receive_message(QueueUrl=world.parked, MessageAttributeNames=["All"])["Messages"][0]
    assert found["Body"] == "no JSON"
    assert found["MessageAttributes"]["Reason"]["StringValue"] == "body: expected JSON"
    assert world.triggers == ["reprise.dms.orders-0"]
    assert aws.messages("events") == []


def test_a_burst_rings_twice(aws: SimulatedAws) -> None:
    """200 failures: all are reported, the first and one after the last trigger, and all are deleted."""
    world = World(aws)
    world.send(200)
    world.rounds(25)
    world.rounds(1, 5)
    assert len(world.triggers) == 2
    assert len({event["resource"]["prefect.resource.id"] for event in world.posted}) == 200
    assert aws.messages("events") == []


@pytest.mark.parametrize(
    ("status", "named"),
    [(401, "PREFECT_API_AUTH_STRING"), (403, "PREFECT_API_AUTH_STRING"), (404, "/api"), (302, "/api")],
)
def test_a_wrong_setting_is_named_and_nothing_is_lost(aws: SimulatedAws, status: int, named: str) -> None:
    """No credentials, or another address: health says which setting to fix, and the events wait until it is fixed."""
    world = World(aws)
    world.status = status
    world.send(1)
    world.rounds(2)
    assert named in world.relay.counts.problem
    assert world.relay.is_healthy
    assert len(aws.messages("events")) == 1
    world.status = 204
    world.rounds(1)
    assert (world.triggers, world.relay.counts.problem) == (["reprise.dms.orders-0"], "")
    assert aws.messages("events") == []


def test_one_rejected_event_does_not_hold_the_others_up(aws: SimulatedAws) -> None:
    """The event that the server will never have is parked with the reason; the others are accepted, and trigger."""
    world = World(aws)
    world.rejects = "orders-3"
    world.send(6)
    world.rounds(2)
    world.rounds(1, 5)
    assert aws.messages("events") == []
    [parked] = world.sqs.receive_message(QueueUrl=world.parked, MessageAttributeNames=["All"])["Messages"]
    assert "orders-3" in parked["Body"]
    assert parked["MessageAttributes"]["Reason"]["StringValue"] == "the Prefect server rejected the event: 422"
    reported = {event["resource"]["prefect.resource.id"] for event in world.posted}
    assert reported == {f"reprise.dms.orders-{n}" for n in (0, 1, 2, 4, 5)}
    assert len(world.triggers) == 2
    assert (world.relay.counts.parked, world.relay.counts.held) == (1, 0)


def test_a_rejected_event_that_was_the_last_of_its_burst(aws: SimulatedAws) -> None:
    """The last trigger is about another event of the burst, and still comes."""
    world = World(aws)
    world.send(1)
    world.rounds(1)
    world.rejects = "late"
    world.send(1)
    world.rounds(1)
    world.send(1, "late")
    world.rounds(1)
    world.rounds(1, 5)
    assert len(world.parked_messages) == 1
    assert world.triggers == ["reprise.dms.orders-0"] * 2
    assert aws.messages("events") == []


def test_what_waits_stays_hidden(aws: SimulatedAws) -> None:
    """While the server hangs for five minutes, no other relay receives what this one holds."""
    world = World(aws)
    world.send(3)
    world.status = HANGS
    world.rounds(1)
    for _ in range(12):
        aws.clock.advance(25)
        world.rounds(1, 25)
        assert {message["visible_in"] > 0 for message in aws.messages("events")} == {True}
    world.status = 204
    world.rounds(2, 5)
    assert aws.messages("events") == []
    assert len({event["id"] for event in world.posted}) == len(world.posted)


def test_a_stop_gives_back_what_was_not_accepted(aws: SimulatedAws) -> None:
    """On SIGTERM while the server is away, the events are visible at once to the relay that comes next."""
    world = World(aws)
    world.status = 503
    world.send(2)
    world.rounds(1)
    world.stop.set()
    world.relay.run()
    assert {message["visible_in"] for message in aws.messages("events")} == {0}


def test_a_stop_ends_bursts(aws: SimulatedAws) -> None:
    """A trigger that waited for the end of its burst is sent and let go of before the relay ends."""
    world = World(aws)
    world.send(3)
    world.rounds(1)
    assert len(world.triggers) == 1
    world.stop.set()
    world.relay.run()
    assert len(world.triggers) == 2
    assert aws.messages("events") == []


def test_what_cannot_be_parked_holds_nothing_up(aws: SimulatedAws) -> None:
    """While the dead-letter queue refuses, the unreadable stays where it is, and what came with it is served."""
    world = World(aws)
    world.sqs.send_message(QueueUrl=world.url, MessageBody="no JSON")
    world.send(3)
    aws.fault("error", service="sqs", operation="SendMessage", code="AccessDenied", status=403)
    world.rounds(1)
    world.rounds(1, 5)
    assert len(world.posted) == 4
    assert [message["body"] for message in aws.messages("events")] == ["no JSON"]
    aws.lift_faults()
    aws.clock.advance(61)
    world.rounds(1)
    assert ([m["body"] for m in world.parked_messages], aws.messages("events")) == (["no JSON"], [])


@pytest.mark.parametrize("bound", [InFlight(most=20), InFlight(most_bytes=20 * len(failed("orders-10")))])
def test_what_is_in_hand_is_bounded(aws: SimulatedAws, bound: InFlight) -> None:
    """No more is received than may be held; the rest waits in SQS, and is served after the burst."""
    world = World(aws, in_flight=bound)
    world.send(60)
    world.rounds(12)
    assert 20 <= world.relay.counts.held < 30
    world.rounds(30, 5)
    assert aws.messages("events") == []
    assert len({event["resource"]["prefect.resource.id"] for event in world.posted}) == 60


def test_several_relays_have_no_double_effect(aws: SimulatedAws) -> None:
    """Two relays share a queue: every failure is reported once, and each relay triggers twice at most."""
    world = World(aws)
    other = world.another_relay()
    world.send(100)
    for _ in range(8):
        world.rounds(1)
        other.round(wait=0)
    world.now += timedelta(seconds=5)
    world.rounds(1)
    other.round(wait=0)
    reported = [event["resource"]["prefect.resource.id"] for event in world.posted]
    assert len(set(reported)) == 100
    assert len({event["id"] for event in world.posted}) == len(world.posted)
    assert len(world.triggers) == 4
    assert aws.messages("events") == []


def test_a_killed_relay_repeats_itself_under_the_same_ids(aws: SimulatedAws) -> None:
    """Accepted but not deleted, an event comes again with its id, which the server drops as a repetition."""
    world = World(aws)
    aws.fault("error", service="sqs", operation="DeleteMessageBatch", code="AccessDenied", status=403, times=1)
    world.send(1)
    world.rounds(1)
    aws.clock.advance(61)
    successor = world.another_relay()
    successor.round(wait=0)
    assert len(world.posted) == 2
    assert len({event["id"] for event in world.posted}) == 1
    assert aws.messages("events") == []


# -- acknowledgements -------------------------------------------------------------------------------------------


def test_an_unacknowledged_trigger_is_sent_again(aws: SimulatedAws) -> None:
    """A server whose triggers do not listen yet loses an event: the same trigger comes again under another id."""
    world = World(aws)
    world.acts = ""
    world.send(1)
    world.rounds(1)
    world.rounds(1, 8)
    assert world.triggers == ["reprise.dms.orders-0"] * 2
    assert len({event["id"] for event in world.posted}) == 2
    world.acts = "executed"
    world.rounds(10, 20)
    assert len(world.triggers) == 2
    assert world.relay.counts.unacknowledged == 0


def test_ringing_again_ends(aws: SimulatedAws, caplog: pytest.LogCaptureFixture) -> None:
    """After three triggers of which nothing was made the sweep has to find it, and the log and the counts say so."""
    world = World(aws)
    world.acts = ""
    world.send(1)
    world.rounds(30, 10)
    assert len(world.triggers) == 3
    assert world.relay.counts.unacknowledged == 1
    assert "the next sweep finds" in caplog.text


@pytest.mark.parametrize("acts", ["executed", "failed", ""])
def test_what_needs_no_second_trigger(aws: SimulatedAws, acts: str, caplog: pytest.LogCaptureFixture) -> None:
    """A run was made; or making it failed, which another trigger would not fix; or nothing triggers on the event."""
    world = World(aws)
    world.acts = acts
    world.awaited = ["reprise.dms.task.failed"] if acts else ["reprise.outbox.due"]
    world.send(1)
    world.rounds(10, 10)
    assert len(world.triggers) == 1
    assert ("no run could be made" in caplog.text) is (acts == "failed")


@pytest.mark.parametrize(
    ("state", "message", "triggers"),
    [
        ("CANCELLED", "Deployment concurrency limit reached.", 2),
        ("CANCELLED", "Cancelled by a person", 1),
        ("SCHEDULED", "", 1),
        ("RUNNING", "", 1),
    ],
)
def test_a_ring_whose_run_was_cancelled_behind_another_comes_again(
    aws: SimulatedAws, state: str, message: str, triggers: int
) -> None:
    """The run at work may have looked before the failure happened; a run that waits or works will see it."""
    world = World(aws)
    world.run = {"type": state, "message": message}
    world.send(1)
    world.rounds(1)
    world.rounds(1, 8)
    world.run = {"type": "COMPLETED", "message": ""}
    world.rounds(10, 20)
    assert len(world.triggers) == triggers


def test_a_server_that_cannot_be_asked_is_asked_later(aws: SimulatedAws) -> None:
    """An error in answer to the question stops nothing, and the trigger is not forgotten."""
    world = World(aws)
    world.acts = ""
    world.send(1)
    world.rounds(1)
    world.status = 503
    world.rounds(1, 8)
    world.status = 204
    world.rounds(1, 8)
    assert len(world.triggers) == 2


# -- what a person and CloudWatch see --------------------------------------------------------------------------------


def test_counts_are_published_each_minute(aws: SimulatedAws) -> None:
    """One request a minute with what was received, posted and parked since the last one, and the longest wait."""
    world = World(aws)
    world.sqs.send_message(QueueUrl=world.url, MessageBody="no JSON")
    world.send(3)
    world.now += timedelta(seconds=20)
    aws.clear_requests()
    world.rounds(10)
    world.rounds(10, 5)
    assert len(aws.requests("monitoring", "PutMetricData")) == 1
    world.rounds(3, 5)
    assert len(aws.requests("monitoring", "PutMetricData")) == 2
    found = {name: sum(values(aws, name)) for name in ("Received", "Posted", "Parked", "Unacknowledged")}
    assert found == {"Received": 4, "Posted": 4, "Parked": 1, "Unacknowledged": 0}
    assert 20 <= max(values(aws, "Lag")) < 60


def values(aws: SimulatedAws, name: str) -> list[float]:
    now = aws.clock.now()
    answer = aws.client("cloudwatch").get_metric_statistics(
        Namespace="Reprise",
        MetricName=name,
        Dimensions=[{"Name": "Path", "Value": "relay"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=60,
        Statistics=["Sum"],
    )
    return [point["Sum"] for point in answer["Datapoints"]]


def test_metrics_that_cannot_be_published_are_not_lost(aws: SimulatedAws) -> None:
    """They are part of the next minute's numbers, and nothing else is disturbed."""
    world = World(aws)
    aws.fault("error", service="monitoring", operation="PutMetricData", code="AccessDenied", status=403, times=1)
    world.send(1)
    world.rounds(1)
    world.rounds(1, 61)
    assert sum(values(aws, "Received")) == 1


def test_health_shows_counts_and_standstill(aws: SimulatedAws) -> None:
    """200 with the counts; 503 when the loop has not gone round for a minute and a half; 404 elsewhere."""
    world = World(aws)
    world.send(1)
    world.rounds(1)
    server = health.serve(lambda: world.relay, "127.0.0.1", 0)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", trust_env=False) as client:
            answer = client.get("/health")
            assert (answer.status_code, answer.json()["healthy"], answer.json()["posted"]) == (200, True, 1)
            world.now += timedelta(seconds=91)
            answer = client.get("/health?verbose")
            assert (answer.status_code, answer.json()["healthy"]) == (503, False)
            assert client.get("/").status_code == 404
    finally:
        server.shutdown()
        server.server_close()


def test_a_queue_that_may_not_be_read_is_asked_more_and_more_rarely(
    aws: SimulatedAws, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the operation and AWS's reason; the relay goes on when it is fixed."""
    world = World(aws)
    aws.fault("error", service="sqs", operation="ReceiveMessage", code="AccessDenied", status=403, times=3)
    world.send(1)
    world.rounds(4)
    assert "next try in 4 s: sqs:ReceiveMessage: AccessDenied" in caplog.text
    assert world.triggers == ["reprise.dms.orders-0"]


# -- pollers -------------------------------------------------------------------------------------------------------


def test_a_queue_that_fills_triggers(aws: SimulatedAws) -> None:
    """An empty dead-letter queue is silent; a message in it triggers."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="orders-dlq")["QueueUrl"]
    world = World(aws, QueuePoller(Sqs(sqs, sqs), ["orders-dlq"], timedelta(seconds=2)))
    world.rounds(1)
    assert world.triggers == []
    sqs.send_message(QueueUrl=url, MessageBody="x")
    world.rounds(1, 6)
    world.rounds(1, 6)
    assert world.triggers == ["reprise.queue.orders-dlq"]


def test_the_depth_is_looked_at_as_often_as_the_configuration_says(aws: SimulatedAws) -> None:
    """Each look is a request that costs: whoever watches many queues looks more rarely."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="orders-dlq")["QueueUrl"]
    poller = QueuePoller(Sqs(sqs, sqs), ["orders-dlq"], every=timedelta(seconds=60))
    now = aws.clock.now()
    assert poller.poll(now) == []
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert poller.poll(now + timedelta(seconds=59)) == ()
    assert len(poller.poll(now + timedelta(seconds=60))) == 1


class Broken:
    problems = ()

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    def poll(self, now: datetime) -> list[Hint]:
        if self.error:
            raise self.error
        return []

    def leave(self, now: datetime) -> None:
        self.poll(now)


@pytest.mark.parametrize("error", [Transient("no answer"), KeyError("Shards")])
def test_a_broken_poller_stops_nothing_else(aws: SimulatedAws, error: Exception) -> None:
    """Whatever breaks: it rests and is counted, the other pollers and the events queue go on, and health says why."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="orders-dlq")["QueueUrl"]
    broken = Broken(error)
    world = World(aws, broken, QueuePoller(Sqs(sqs, sqs), ["orders-dlq"], timedelta(seconds=2)))
    sqs.send_message(QueueUrl=url, MessageBody="x")
    world.rounds(2)
    world.send(1)
    world.rounds(1)
    assert world.triggers == ["reprise.queue.orders-dlq", "reprise.dms.orders-0"]
    assert world.relay.counts.resting == 1
    assert type(error).__name__ in world.relay.counts.problem
    broken.error = None
    world.rounds(1, 31)
    assert (world.relay.counts.resting, world.relay.counts.problem) == (0, "")
    broken.error = error
    world.stop.set()
    world.relay.run()


# -- deaf, and heard of ----------------------------------------------------------------------------------------------


def test_a_server_that_is_away_is_reported_by_a_metric_and_a_problem(aws: SimulatedAws) -> None:
    """Nothing is accepted, so lag says nothing; `Away` and `problem` do, until it is back."""
    world = World(aws)
    world.send(3)
    world.status = 0
    world.rounds(3, 61)
    assert sum(values(aws, "Away")) == 3
    assert "ConnectError from the Prefect server" in world.relay.counts.problem
    world.status = 204
    world.rounds(2, 61)
    assert world.relay.counts.problem == ""
    assert values(aws, "Away")[-1] == 0


def test_an_events_queue_that_cannot_be_read_is_reported(aws: SimulatedAws) -> None:
    """Else it looks like a quiet day."""
    world = World(aws)
    aws.fault("error", service="sqs", operation="ReceiveMessage", code="AccessDenied", status=403, times=2)
    world.rounds(2, 61)
    assert sum(values(aws, "QueueErrors")) == 2
    assert "the events queue could not be read: sqs:ReceiveMessage: AccessDenied" in world.relay.counts.problem
    world.rounds(1)
    assert world.relay.counts.problem == ""


def test_a_watched_queue_that_cannot_be_found_is_reported(aws: SimulatedAws) -> None:
    """A name that is mistyped in the configuration is a problem, and the other queues are watched."""
    sqs = aws.client("sqs")
    world = World(aws, QueuePoller(Sqs(sqs, sqs), ["ordres-dlq"], timedelta(seconds=2)))
    world.rounds(1)
    assert "ordres-dlq" in world.relay.counts.problem


def test_an_event_that_breaks_our_code_stops_no_other(aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes again, until SQS parks it."""

    def translate(body: str, *rest: Any) -> Any:
        if "orders-1" in body:
            raise KeyError("new kind of event")
        return hints.translate(body, *rest)

    monkeypatch.setattr(service, "translate", translate)
    world = World(aws)
    world.send(3)
    world.rounds(2)
    reported = {event["resource"]["prefect.resource.id"] for event in world.posted}
    assert reported == {"reprise.dms.orders-0", "reprise.dms.orders-2"}
    assert world.relay.counts.parked == 0


def test_a_relay_that_breaks_gives_back_what_it_holds(aws: SimulatedAws) -> None:
    """The relay that is started next goes on with it at once."""
    world = World(aws)
    world.send(2)
    world.status = 0
    world.rounds(1)

    def post(_: object) -> None:
        raise ZeroDivisionError

    world.events.post = post  # type: ignore[method-assign, assignment]
    with pytest.raises(ZeroDivisionError):
        world.relay.run()
    assert len(world.sqs.receive_message(QueueUrl=world.url, MaxNumberOfMessages=10).get("Messages", [])) == 2


def test_many_watched_queues_are_looked_at_in_parts(aws: SimulatedAws) -> None:
    """SQS may take its time for each, and events wait meanwhile: each round asks a few."""
    sqs = aws.client("sqs")
    names = [f"q{number:02}-dlq" for number in range(25)]
    for name in names:
        sqs.send_message(QueueUrl=sqs.create_queue(QueueName=name)["QueueUrl"], MessageBody="x")
    poller = QueuePoller(Sqs(sqs, sqs), names, timedelta(seconds=60))
    now = aws.clock.now()
    assert [len(poller.poll(now)) for _ in range(3)] == [20, 5, 0]
