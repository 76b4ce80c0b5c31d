"""Failed deliveries of EventBridge, Scheduler and SNS go back to the target that could not be reached, and no other."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from recovery.dead_letters.actions import Target, WithoutEvidence
from simulated_aws.server import REGION
from tests.dead_letters_world import DeadLettersWorld
from tests.deliveries_world import ACCOUNT, Deliveries, policy
from tests.waiting import wait_for


@pytest.fixture
def deliveries(world: DeadLettersWorld) -> Deliveries:
    return Deliveries(world)


def test_an_event_goes_to_the_queue_of_its_rule(deliveries: Deliveries, world: DeadLettersWorld) -> None:
    """As it stands, without the words about the failure; it counts as recovered when the consumer has taken it."""
    queue, body = world.queue("shipped"), deliveries.event()
    deliveries.fail_rule(world.arn(queue), body=body)
    report = deliveries.heal(policy(Target.SQS))
    assert report.by_action == {"heal": 1}, report
    (message,) = world.aws.messages(queue)
    assert message["body"] == body
    assert message["attributes"] == {}
    assert world.aws.messages(deliveries.dead) == []
    world.work_off(queue)
    world.aws.clock.advance(600)
    assert world.recover(deliveries.dead, policy=policy(Target.SQS)).recovered == 1


def test_a_message_goes_to_its_schedules_queue(deliveries: Deliveries, world: DeadLettersWorld) -> None:
    """Of a templated target the input, of a SendMessage the body that it names."""
    templated, called = world.queue("dunning"), world.queue("dunning")
    deliveries.fail_schedule(world.arn(templated), "weekly")
    call = json.dumps({"QueueUrl": world.url(called), "MessageBody": "monthly"})
    deliveries.fail_schedule("arn:aws:scheduler:::aws-sdk:sqs:sendMessage", call)
    assert deliveries.heal(policy(Target.SQS)).by_action == {"heal": 2}
    assert deliveries.bodies(templated) == ["weekly"]
    assert deliveries.bodies(called) == ["monthly"]


def test_a_call_that_is_not_made_here_goes_where_a_person_says(deliveries: Deliveries, world: DeadLettersWorld) -> None:
    """SendMessage with more than queue and body waits; a replay with a destination takes the input as it stands."""
    call = json.dumps({"QueueUrl": "https://sqs.example/1/x", "MessageBody": "monthly", "DelaySeconds": 5})
    deliveries.fail_schedule("arn:aws:scheduler:::aws-sdk:sqs:sendMessage", call)
    (group,) = world.recover(deliveries.dead, policy=policy(Target.SQS)).groups
    assert "parameters that are not sent here: DelaySeconds" in group.reason
    other = world.queue("other")
    world.replay(queues=[deliveries.dead], destination=other)
    assert deliveries.bodies(other) == [call]


def test_a_notification_goes_to_its_subscription_alone(deliveries: Deliveries, world: DeadLettersWorld) -> None:
    """The envelope, as SNS would have sent it; the other subscriber gets nothing."""
    topic = deliveries.sns.create_topic(Name=deliveries.name)["TopicArn"]
    failed, other = world.queue("failed"), world.queue("other")
    subscription, _ = (
        deliveries.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=world.arn(name), ReturnSubscriptionArn=True)
        for name in (failed, other)
    )
    body = deliveries.fail_notification(subscription["SubscriptionArn"], topic)
    report = deliveries.heal(policy(Target.SQS, without_evidence=WithoutEvidence.HEAL))
    assert report.by_action == {"heal": 1}, report
    assert deliveries.bodies(failed) == [body]
    assert deliveries.bodies(other) == []


def test_all_subscribers_only_where_the_policy_says_so(deliveries: Deliveries, world: DeadLettersWorld) -> None:
    """An endpoint that is not called here: archived with the reason, or published again with all that it had."""
    topic = deliveries.sns.create_topic(Name=deliveries.name)["TopicArn"]
    other = world.queue("other")
    deliveries.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=world.arn(other))
    mail = deliveries.sns.subscribe(
        TopicArn=topic, Protocol="email", Endpoint="a@example.com", ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    heals = {"without_evidence": WithoutEvidence.HEAL}
    deliveries.fail_notification(mail, topic)
    (group,) = world.recover(deliveries.dead, policy=policy(Target.SQS, **heals)).groups
    assert "protocol email" in group.reason
    deliveries.fail_notification(mail, topic, Subject="Shipped")
    assert deliveries.heal(policy(Target.ALL_SUBSCRIBERS, **heals)).by_action == {"heal": 1}
    (got,) = deliveries.bodies(other)
    again = json.loads(got)
    assert (again["Subject"], again["Message"]) == ("Shipped", '{"order": 7}')
    assert again["MessageAttributes"] == {"country": {"Type": "String", "Value": "PE"}}


def test_an_event_goes_to_the_topic_of_its_rule(deliveries: Deliveries, world: DeadLettersWorld) -> None:
    """The message of the topic is the event."""
    topic = deliveries.sns.create_topic(Name=deliveries.name)["TopicArn"]
    queue, body = world.queue("subscriber"), deliveries.event()
    deliveries.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=world.arn(queue))
    deliveries.fail_rule(topic, body=body)
    assert deliveries.heal(policy(Target.SNS)).by_action == {"heal": 1}
    (got,) = deliveries.bodies(queue)
    assert json.loads(got)["Message"] == body


def test_an_execution_starts_once(deliveries: Deliveries, world: DeadLettersWorld) -> None:
    """Its name is that of message and attempt, under which the next run starts it again when the answer is lost."""
    machine = deliveries.state_machine()
    deliveries.fail_rule(machine)
    chosen = policy(Target.STEP_FUNCTIONS)
    world.recover(deliveries.dead, policy=chosen)
    world.aws.clock.advance(12)
    world.aws.fault("lose_ack", operation="StartExecution", times=1)
    world.recover(deliveries.dead, policy=chosen)
    for _ in range(3):
        world.aws.clock.advance(700)
        world.recover(deliveries.dead, policy=chosen)
    states = world.aws.client("stepfunctions")
    assert len(states.list_executions(stateMachineArn=machine)["executions"]) == 1
    assert world.aws.messages(deliveries.dead) == []


def test_a_changed_input_is_never_made_up(deliveries: Deliveries, world: DeadLettersWorld) -> None:
    """A rule that gives its target another input is refused; put on the bus again, the event reaches every rule."""
    queue, other = world.queue("shipped"), world.queue("other")
    rule = deliveries.rule(world.arn(queue), InputPath="$.detail")
    deliveries.rule(world.arn(other), of_dead=False)
    deliveries.fail_rule(world.arn(queue), rule)
    (group,) = world.recover(deliveries.dead, policy=policy(Target.SQS)).groups
    assert "another input (InputPath)" in group.reason
    world.replay(queues=[deliveries.dead])
    assert deliveries.bodies(queue) == deliveries.bodies(other) == [], "a replay never calls all rules"
    deliveries.fail_rule(world.arn(queue), rule)
    assert deliveries.heal(policy(Target.SQS, Target.ALL_RULES)).by_action == {"heal": 1}
    assert deliveries.bodies(queue) == ['{"order": 7, "price": 1.1}']
    (again,) = deliveries.bodies(other)
    assert json.loads(again)["detail"] == {"order": 7, "price": 1.10}


@pytest.mark.parametrize("failing", [True, False])
def test_comebacks_of_what_went_to_all_rules_count(
    deliveries: Deliveries, world: DeadLettersWorld, failing: bool
) -> None:
    """The event has another id each time that it is put; its attempts are those of one piece of work."""
    gone = f"arn:aws:sqs:{REGION}:{ACCOUNT}:gone"
    rule = deliveries.rule(gone, InputPath="$.detail")
    chosen = policy(Target.ALL_RULES, max_attempts=2)
    event = json.loads(deliveries.event())
    deliveries.fail_rule(gone, rule, json.dumps(event))
    actions = []
    for _ in range(3 if failing else 1):
        actions.append(dict(deliveries.heal(chosen).by_action))
        if failing:
            deliveries.fail_rule(gone, rule, json.dumps(event | {"id": str(uuid4())}))
    if failing:
        assert actions[-1] == {"alert": 1}, actions
        assert world.states(deliveries.dead)["exhausted"] == 1
    else:
        world.aws.clock.advance(3600)
        assert world.recover(deliveries.dead, policy=chosen).recovered == 0, "EventBridge may try for a day"
        world.aws.clock.advance(24 * 3600)
        assert world.recover(deliveries.dead, policy=chosen).recovered == 1


@pytest.mark.parametrize(
    ("target", "body", "targets", "words"),
    [
        ("arn:aws:sqs:{region}:{account}:gone", "", [Target.SQS], "is gone"),
        ("arn:aws:sqs:eu-west-1:{account}:far", "", [Target.SQS], "another account or region"),
        ("arn:aws:sqs:{region}:{account}:x.fifo", "", [Target.SQS], "FIFO"),
        ("arn:aws:kinesis:{region}:{account}:stream/x", "", [*Target], "of a service that is not called here"),
        ("arn:aws:sns:{region}:{account}:topic", "", [Target.SQS], "targets sns are not allowed"),
        (
            "arn:aws:events:{region}:{account}:event-bus/x",
            '{"source": "aws.ec2"}',
            [Target.EVENT_BUS],
            "no whole event",
        ),
        ("arn:aws:sqs:{region}:{account}:gone", "", [], "names no targets"),
    ],
)
def test_what_is_not_certain_waits_with_its_reason(
    deliveries: Deliveries, world: DeadLettersWorld, target: str, body: str, targets: list[Target], words: str
) -> None:
    """Archived as waiting, and a person is notified; nothing is sent anywhere."""
    target = target.format(region=REGION, account=ACCOUNT)
    if "kinesis" in target:
        deliveries.fail_schedule(target, "x")
    else:
        deliveries.fail_rule(target, body=body)
    (group,) = world.recover(deliveries.dead, policy=policy(*targets)).groups
    assert words in group.reason
    assert world.states(deliveries.dead)["waiting"] == 1


def test_a_throttled_topic_keeps_the_message(deliveries: Deliveries, world: DeadLettersWorld) -> None:
    """Certainly not taken: it stays in its queue, uses up no attempt and goes out with the next run."""
    topic = deliveries.sns.create_topic(Name=deliveries.name)["TopicArn"]
    deliveries.fail_rule(topic)
    world.recover(deliveries.dead, policy=policy(Target.SNS))
    world.aws.clock.advance(12)
    world.aws.fault("error", operation="Publish", code="Throttling", times=9)
    world.recover(deliveries.dead, policy=policy(Target.SNS))
    assert len(world.aws.messages(deliveries.dead)) == 1
    world.aws.lift_faults()
    world.aws.clock.advance(1200)
    assert deliveries.heal(policy(Target.SNS)).by_action == {"heal": 1}


class Endpoint(BaseHTTPRequestHandler):
    """A subscriber over HTTP that answers with the statuses that it is given, then with 200."""

    statuses: ClassVar[list[int]] = []
    got: ClassVar[list[tuple[dict[str, str], str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.statuses.pop(0) if self.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    Endpoint.statuses, Endpoint.got = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://ann:secret@127.0.0.1:{server.server_port}/orders"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("statuses", "posts", "left"),
    [([], 1, 0), ([429], 2, 0), ([503], 2, 0), ([403, 403, 403], 3, 1), ([302], 2, 0), ([422], 1, 0)],
)
def test_a_notification_is_posted_as_sns_does(
    deliveries: Deliveries, world: DeadLettersWorld, endpoint: str, statuses: list[int], posts: int, left: int
) -> None:
    """Envelope and headers; what the endpoint refuses stays in its queue, and its password is in no report."""
    topic = deliveries.sns.create_topic(Name=deliveries.name)["TopicArn"]
    deliveries.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint)
    wait_for("the request to confirm", lambda: Endpoint.got, seconds=60)
    token = json.loads(Endpoint.got[0][1])["Token"]
    subscription = deliveries.sns.confirm_subscription(TopicArn=topic, Token=token)["SubscriptionArn"]
    Endpoint.got.clear()
    Endpoint.statuses = list(statuses)
    body = deliveries.fail_notification(subscription, topic)
    chosen = policy(Target.HTTP, without_evidence=WithoutEvidence.HEAL)
    reports = [world.recover(deliveries.dead, policy=chosen)]
    for _ in range(3):
        world.aws.clock.advance(700)
        reports.append(world.recover(deliveries.dead, policy=chosen))
    assert len(Endpoint.got) == posts
    headers, posted = Endpoint.got[0]
    assert posted == body
    assert headers["x-amz-sns-subscription-arn"] == subscription
    assert headers["x-amz-sns-topic-arn"] == topic
    assert headers["x-amz-sns-message-type"] == "Notification"
    assert headers["authorization"].startswith("Basic ")
    assert len(world.aws.messages(deliveries.dead)) == left
    assert "secret" not in "".join(report.model_dump_json() for report in reports)
