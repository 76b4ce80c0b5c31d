"""Trouble of the topic is not the row's fault: the circuit opens, one alert is sent, a probe closes it."""

from __future__ import annotations

from typing import Any

import pytest

from recovery.outbox_records import gate
from recovery.outbox_records.circuit import Circuit
from recovery.pacing import Pace
from simulated_aws.server import SimulatedAws
from tests.outbox_world import NO_PAUSE, OutboxWorld, play


@pytest.fixture
def world(aws: SimulatedAws) -> OutboxWorld:
    aws.create_estate()
    return OutboxWorld(aws, topic=False)


def test_a_missing_topic_opens_the_circuit(world: OutboxWorld) -> None:
    """Its rows show Failure with the topic's error and no attempt, one alert is sent, and the run says so and fails."""
    world.pending_many(30)
    report = world.run()
    for row in world.rows().values():
        assert (row["status"], row["outbox_attempts"]) == ("Failure", "0")
        assert "Topic does not exist" in row["outbox_error"]
        assert "outbox_claim" not in row
    assert world.alerts() == ["Outbox: the topic orders takes nothing"]
    assert report.failed
    assert "nothing is sent" in report.problems[0]
    assert report.by_action == {"wait": 30}


def test_sends_stop_while_the_circuit_is_open(world: OutboxWorld) -> None:
    """A later run sends one probe, of one row; rows that came meanwhile show the topic's error too; no second alert."""
    world.pending_many(30)
    world.run()
    world.pending("new")
    world.later(61)
    world.aws.clear_requests()
    report = world.run()
    assert world.aws.request_counts()["sns:PublishBatch"] == 1
    assert world.row("new")["status"] == "Failure"
    assert {row["outbox_attempts"] for identity, row in world.rows().items() if identity != "new"} == {"0"}
    assert len(world.alerts()) == 1
    assert report.failed


def test_probes_keep_their_distance(world: OutboxWorld) -> None:
    """Many runs within a minute send nothing more: only the first probes."""
    world.pending_many(5)
    world.run()
    world.later(61)
    world.aws.clear_requests()
    for _ in range(3):
        world.run()
    assert world.aws.request_counts()["sns:PublishBatch"] == 1


def test_a_successful_probe_lets_everything_go(world: OutboxWorld) -> None:
    """One run probes with one row, closes the circuit and sends the rest; people are notified once it stays closed."""
    world.pending_many(30)
    world.run()
    world.subscribe()
    world.later(61)
    world.aws.clear_requests()
    report = world.run()
    assert len(world.delivered()) == 30
    assert set(world.statuses().values()) == {"Successful"}
    assert {row["outbox_attempts"] for row in world.rows().values()} == {"1"}
    assert world.aws.request_counts()["sns:PublishBatch"] == 1 + 3
    assert world.alerts() == ["Outbox: the topic orders takes nothing"]
    assert not report.failed
    assert any("the circuit is closed" in fact for fact in report.facts)
    world.later(301)
    world.run()
    world.run()
    assert world.alerts() == ["Outbox: the topic orders takes nothing", "Outbox: the topic orders takes messages again"]


def test_a_topic_that_comes_and_goes_is_one_trouble(world: OutboxWorld) -> None:
    """A circuit that closes and opens again within minutes notifies nobody a second time."""
    world.run()
    for n in range(4):
        world.pending(f"r{n}")
        world.run()
        world.subscribe()
        world.later(61)
        world.run()
        world.sns.delete_topic(TopicArn=world.topic_arn)
        world.later(61)
    assert world.alerts() == ["Outbox: the topic orders takes nothing"]


def test_what_goes_out_after_an_outage_is_rate_limited(world: OutboxWorld) -> None:
    """The waits between batches add up to the policy's rate."""
    world.pending_many(30)
    world.run()
    world.subscribe()
    world.later(61)
    work = world.work(policy=NO_PAUSE.model_copy(update={"messages_per_second": 5}), threads=1)
    waits: list[float] = []
    work.pace = Pace(5, clock=lambda: 0.0, sleep=waits.append)
    play(work)
    # The clock stands still here, so each batch is made to wait for all that were sent before it.
    assert len(world.delivered()) == 30
    assert waits[-1] == pytest.approx((1 + 10 + 10) / 5)


def test_a_probe_that_fails_for_its_row_tries_another(world: OutboxWorld) -> None:
    """A poison row says nothing about the topic: it is exhausted, and the next row probes."""
    world.pending("poison", "POISON")
    for n in range(3):
        world.pending(f"good-{n}", shard=1)
    world.run()
    world.subscribe()
    world.later(61)
    work = world.work()
    refuse(work, "POISON")
    play(work)
    work.close()
    assert world.statuses() == {
        "poison": "Exhausted",
        "good-0": "Successful",
        "good-1": "Successful",
        "good-2": "Successful",
    }


def refuse(work: Any, text: str, words: str = "Invalid parameter: Message") -> None:
    """Let the topic refuse a message for what stands in it, as SNS does."""
    client = work.topic._client

    def poison(parsed: dict[str, Any], params: dict[str, Any], **_: Any) -> None:
        bad = {entry["Id"] for entry in params["PublishBatchRequestEntries"] if entry["Message"] == text}
        parsed["Successful"] = [each for each in parsed.get("Successful", []) if each["Id"] not in bad]
        parsed["Failed"] = [
            {"Id": each, "Code": "InvalidParameter", "Message": words, "SenderFault": True} for each in bad
        ]

    sent: dict[str, Any] = {}
    client.meta.events.register("provide-client-params.sns.PublishBatch", lambda params, **_: sent.update(params))
    client.meta.events.register("after-call.sns.PublishBatch", lambda parsed, **more: poison(parsed, sent, **more))


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AuthorizationError", 403, "AUTH_FAILURE"),
        ("KMSAccessDenied", 400, "AUTH_FAILURE"),
        ("KMSDisabled", 400, "AUTH_FAILURE"),
    ],
)
def test_permission_and_key_are_the_topics_fault(world: OutboxWorld, code: str, status: int, kind: str) -> None:
    """None of them costs a row an attempt, and each opens the circuit."""
    world.subscribe()
    world.pending_many(12)
    world.aws.fault("error", service="sns", operation="PublishBatch", code=code, status=status, times=None)
    report = world.run()
    world.aws.lift_faults()
    rows = world.rows().values()
    assert {(row["status"], row["outbox_attempts"], row["outbox_error_kind"]) for row in rows} == {
        ("Failure", "0", kind)
    }
    assert report.failed
    world.later(61)
    assert not world.run().failed
    assert len(world.delivered()) == 12


@pytest.mark.parametrize(("code", "status"), [("KMSThrottling", 400), ("Throttled", 429)])
def test_a_throttle_slows_down_and_notifies_nobody(world: OutboxWorld, code: str, status: int) -> None:
    """SNS takes a part of each run and throttles the rest: the rows stay due as they are, every run gets on, and no
    circuit opens."""
    world.subscribe()
    world.pending_many(120)
    for delivered in (50, 100, 120):
        world.aws.fault("error", service="sns", operation="PublishBatch", code=code, status=status, times=None, after=5)
        report = world.run(policy=NO_PAUSE.model_copy(update={"messages_per_second": 10}))
        world.aws.lift_faults()
        assert len(world.delivered()) == delivered
        assert not report.failed
        waiting = [row for row in world.rows().values() if row["status"] != "Successful"]
        assert {(row["status"], row["outbox_attempts"], row.get("outbox_error")) for row in waiting} <= {
            ("Pending", "0", None)
        }
        assert any("SNS throttles" in warning for warning in report.warnings) is (delivered < 120)
        world.later(300)
    assert world.alerts() == []


def test_a_throttle_that_lasts_opens_the_circuit(world: OutboxWorld) -> None:
    """Minutes in which SNS took nothing are an outage: one alert, and the first probe that goes out ends it."""
    world.subscribe()
    world.pending_many(12)
    world.aws.fault("error", service="sns", operation="PublishBatch", code="Throttled", status=429, times=None)
    assert not world.run().failed
    assert world.alerts() == []
    world.later(301)
    assert world.run().failed
    assert world.alerts() == ["Outbox: the topic orders takes nothing"]
    world.aws.lift_faults()
    world.later(61)
    assert not world.run().failed
    assert len(world.delivered()) == 12
    assert {row["outbox_attempts"] for row in world.rows().values()} == {"1"}


def test_an_incident_that_sns_shows_entry_by_entry_opens_the_circuit(world: OutboxWorld) -> None:
    """No row loses an attempt to it, and it ends with the first probe."""
    world.subscribe()
    world.pending_many(25)
    world.aws.fault(
        "partial",
        service="sns",
        operation="PublishBatch",
        code="InternalError",
        entries=tuple(range(10)),
        times=None,
    )
    for _ in range(3):
        assert world.run().failed
        world.later(301)
    assert {row["outbox_attempts"] for row in world.rows().values()} == {"0"}
    assert world.alerts() == ["Outbox: the topic orders takes nothing"]
    world.aws.lift_faults()
    world.run()
    assert len(world.delivered()) == 25


def test_one_row_that_names_the_topic_stops_nobody(world: OutboxWorld) -> None:
    """A refusal of one message that speaks of the topic's ARN is that message's fault: the others went out."""
    world.subscribe()
    for n in range(20):
        world.pending(f"r{n}", "POISON" if n == 3 else "hello", shard=n % 8)
    work = world.work()
    refuse(work, "POISON", "Invalid parameter: TopicArn Reason: no such value")
    play(work)
    work.close()
    statuses = world.statuses()
    assert statuses.pop("r3") == "Exhausted"
    assert set(statuses.values()) == {"Successful"}
    assert not work.stopped


def test_one_row_alone_that_names_the_topic_stops_nobody(world: OutboxWorld) -> None:
    """Its attempts are used up one by one; rows that come later go out, and the circuit stays closed."""
    world.subscribe()
    world.pending("poison", "POISON", shard=0)
    for number in range(12):
        work = world.work()
        refuse(work, "POISON", "Invalid parameter: TopicArn Reason: no such value")
        play(work)
        work.close()
        assert not work.stopped
        assert not work.circuit_open
        if number == 3:
            world.pending("later", "hello", shard=0)
        world.later(6 * 3_600)
    assert world.statuses() == {"poison": "Exhausted", "later": "Successful"}


@pytest.mark.parametrize("apart", [False, True])
def test_two_rows_that_name_the_topic_are_the_topic(world: OutboxWorld, apart: bool) -> None:
    """In one batch or in two, with nothing sent between: the circuit opens, and no further attempt is used."""
    world.subscribe()
    names = ("a", "b", "c")
    for n, name in enumerate(names):
        world.pending(name, "POISON" if not apart else "POISON" + " " * 200_000, shard=n)
    work = world.work()
    refuse(work, "POISON" if not apart else "POISON" + " " * 200_000, "Invalid parameter: TopicArn Reason: no topic")
    play(work)
    work.close()
    assert work.stopped
    assert sum(int(row["outbox_attempts"]) for row in world.rows().values()) <= (2 if apart else 0)


def test_a_short_throttle_is_waited_out(world: OutboxWorld) -> None:
    """A throttled publish is certainly not carried out: it is repeated after a pause, and the circuit stays closed."""
    world.subscribe()
    world.pending_many(10)
    world.aws.fault("error", service="sns", operation="PublishBatch", code="Throttled", status=429, times=2)
    report = world.run()
    assert report.by_action == {"deliver": 10}
    assert len(world.delivered()) == 10


def test_an_alarm_opens_the_circuit_and_holds_it(world: OutboxWorld) -> None:
    """While the named alarm is in ALARM nothing is sent, not even a probe; afterwards a probe closes it."""
    world.subscribe()
    world.pending_many(3)
    cloudwatch = world.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="orders-broken",
        Namespace="Any",
        MetricName="Any",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    cloudwatch.set_alarm_state(AlarmName="orders-broken", StateValue="ALARM", StateReason="a test")
    report = world.run(circuit_alarm="orders-broken")
    assert not world.delivered()
    assert "orders-broken is in ALARM" in report.problems[0]
    assert set(world.statuses().values()) == {"Failure"}
    cloudwatch.set_alarm_state(AlarmName="orders-broken", StateValue="OK", StateReason="a test")
    world.later(61)
    assert not world.run(circuit_alarm="orders-broken").failed
    assert len(world.delivered()) == 3


def test_an_alarm_that_does_not_exist_stops_nothing(world: OutboxWorld) -> None:
    """It is a warning: a deleted alarm must not hold the outbox up."""
    world.subscribe()
    world.pending("a")
    report = world.run(circuit_alarm="nothing")
    assert world.delivered_texts() == ["hello"]
    assert any("no CloudWatch alarm 'nothing'" in line for line in report.warnings)


def test_only_one_worker_probes(world: OutboxWorld) -> None:
    """Of two workers that find the circuit open, one gets the probe; when it died, its lease ends."""
    world.pending("a")
    world.run()
    world.later(61)
    first, second = world.work(), world.work()
    assert gate.may_send(first)
    assert not gate.may_send(second)
    world.later(121)
    third = world.work()
    assert gate.may_send(third)
    # The first one's late success may not close what is no longer its own to close.
    assert not first.circuit.close(first.now())
    assert third.circuit.close(third.now())
    for work in (first, second, third):
        work.close()


def test_a_circuit_without_due_rows_gives_its_probe_back(world: OutboxWorld) -> None:
    """With nothing to probe with, the next run may probe at once."""
    connection = world.connection()
    circuit = Circuit(connection.ledger, world.topic_arn, "test")
    circuit.open("gone", "DEPENDENCY_FAILURE", connection.clock.now())
    world.subscribe()
    assert not world.run().failed
    world.pending("a")
    assert world.run().by_action == {"deliver": 1}


def test_a_topic_that_disappears_halfway_stops_the_rest(world: OutboxWorld) -> None:
    """Published rows are finished; the rest show the topic's error without an attempt; nothing is sent twice."""
    world.subscribe()
    world.pending_many(300)
    world.aws.fault("error", service="sns", operation="PublishBatch", code="NotFound", status=404, times=None, after=5)
    world.run(policy=NO_PAUSE)
    statuses = list(world.statuses().values())
    assert statuses.count("Successful") == 50
    assert statuses.count("Failure") == 250
    world.aws.lift_faults()
    world.later(61)
    world.run()
    assert len(world.delivered()) == 300
