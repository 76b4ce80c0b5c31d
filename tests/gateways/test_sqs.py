"""SQS as the dead-letter path uses it: finding queues, receiving everything, batches answered entry by entry."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recovery.aws import client_config
from recovery.dead_letters.gateway import Sqs
from recovery.dead_letters.messages import Queue, entry
from recovery.dead_letters.names import name_of
from recovery.dead_letters.outcomes import NotSent, Outcome, Sent, queue_problem
from recovery.errors import BadInput, OutcomeUnknown, Refused, RepriseError, Transient
from simulated_aws.server import SimulatedAws

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.usefixtures("sdk_does_not_wait")


@pytest.fixture
def sqs(aws: SimulatedAws) -> Sqs:
    return Sqs(aws.client("sqs", config=client_config()), aws.client("sqs", config=client_config(repeat=False)))


def made(aws: SimulatedAws, name: str, dead: str = "", **attributes: str) -> str:
    client = aws.client("sqs")
    if dead:
        arn = client.get_queue_attributes(QueueUrl=aws.queue_url(dead), AttributeNames=["QueueArn"])["Attributes"]
        attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": 1})
    if name.endswith(".fifo"):
        attributes["FifoQueue"] = "true"
    return str(client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


def filled(aws: SimulatedAws, sqs: Sqs, count: int = 3, name: str = "q") -> Queue:
    url = made(aws, name)
    for n in range(count):
        fifo = {"MessageGroupId": "g", "MessageDeduplicationId": str(n)} if name.endswith(".fifo") else {}
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=str(n), **fifo)
    return sqs.describe(url)


def entries(*bodies: str) -> list[dict[str, Any]]:
    return [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]


def kinds(outcomes: list[Outcome]) -> list[str]:
    return [type(outcome.error).__name__ if isinstance(outcome, NotSent) else "Sent" for outcome in outcomes]


def fault(aws: SimulatedAws, kind: str, operation: str, **rule: Any) -> None:
    aws.fault(kind, service="sqs", operation=operation, **rule)


# -- finding -------------------------------------------------------------------------------------------------------


def found(sqs: Sqs, wanted: list[str]) -> list[str]:
    answer = sqs.find(wanted)
    assert not answer.failed
    return answer.urls


def test_a_glob_finds_dead_letter_queues_only(aws: SimulatedAws, sqs: Sqs) -> None:
    """A queue that matches but is nobody's dead-letter queue is not taken; one named in full is, whatever it serves."""
    dead, other = made(aws, "orders-dlq"), made(aws, "orders-eu-dlq")
    made(aws, "orders", dead="orders-dlq")
    made(aws, "orders-eu", dead="orders-eu-dlq")
    plain = made(aws, "orders-plain")
    assert found(sqs, ["orders-*"]) == [dead, other]
    assert found(sqs, ["*"]) == [dead, other]
    assert found(sqs, ["orders-??-dlq"]) == [other]
    assert found(sqs, ["orders-plain"]) == [plain]
    assert found(sqs, [dead, "orders-dlq", "orders-*"]) == [dead, other], "once, however often it is named"
    assert found(sqs, []) == []
    assert found(sqs, ["nothing-*"]) == []


def test_a_match_that_may_not_be_asked_loses_no_other(aws: SimulatedAws, sqs: Sqs) -> None:
    """The shipped role may ask only dead-letter queues for their sources; other matches of a glob are left out."""
    dead = made(aws, "orders-dlq")
    made(aws, "orders", dead="orders-dlq")
    fault(aws, "error", "ListDeadLetterSourceQueues", code="AccessDenied", status=403, containing="orders&")
    aws.fault(
        "error",
        service="sqs",
        operation="ListDeadLetterSourceQueues",
        code="AccessDenied",
        status=403,
        containing='/orders"',
        times=None,
    )
    answer = sqs.find(["orders*"])
    assert (answer.urls, answer.failed) == ([dead], {})
    assert answer.left_out == {"orders*": ["orders"]}


def test_a_match_that_is_gone_meanwhile_loses_no_other(aws: SimulatedAws, sqs: Sqs) -> None:
    """A queue may be deleted between the list and the question."""
    dead = made(aws, "orders-dlq")
    made(aws, "orders", dead="orders-dlq")
    aws.fault(
        "error",
        service="sqs",
        operation="ListDeadLetterSourceQueues",
        code="QueueDoesNotExist",
        status=400,
        containing='/orders"',
        times=None,
    )
    assert found(sqs, ["orders*"]) == [dead]


def test_a_refusal_of_the_key_is_reported_as_such(aws: SimulatedAws, sqs: Sqs) -> None:
    """AWS's own words stand in the line, and the permission is the one that they name."""
    made(aws, "orders-dlq")
    refusal = Refused(
        "sqs:ReceiveMessage: KMS.AccessDeniedException: User is not authorized to perform: kms:Decrypt on resource"
        " key/1 because no identity-based policy allows it",
        code="KMS.AccessDeniedException",
        operation="sqs:ReceiveMessage",
    )
    line = queue_problem("orders-dlq", refusal)
    assert "permission kms:Decrypt is missing" in line
    assert "no identity-based policy allows it" in line


def test_more_queues_than_fit_on_a_page_are_found(aws: SimulatedAws, sqs: Sqs) -> None:
    """ListQueues and ListDeadLetterSourceQueues answer in pages of at most a thousand."""
    made(aws, "dlq")
    expected = {made(aws, f"source-{n}", dead="dlq") for n in range(1_001)}
    assert set(sqs.describe(aws.queue_url("dlq")).sources.values()) == expected


def test_a_queue_is_described(aws: SimulatedAws, sqs: Sqs) -> None:
    """Name, type, retention, its sources by ARN, and whether it has a dead-letter queue of its own."""
    made(aws, "last-dlq")
    url = made(aws, "orders-dlq", dead="last-dlq", MessageRetentionPeriod="86400")
    source = made(aws, "orders", dead="orders-dlq")
    found = sqs.describe(url)
    assert (found.name, found.fifo, found.retention, found.has_redrive) == (
        "orders-dlq",
        False,
        timedelta(days=1),
        True,
    )
    assert dict(found.sources) == {found.arn.replace("orders-dlq", "orders"): source}
    assert sqs.describe(made(aws, "q.fifo")).fifo
    assert filled(aws, sqs, 3).visible == 3


def test_a_missing_queue_and_a_missing_permission_are_one_line_each(aws: SimulatedAws, sqs: Sqs) -> None:
    """The line names the queue and what is missing; the others are found."""
    here = made(aws, "here")
    answer = sqs.find(["gone", "here"])
    assert answer.urls == [here]
    assert queue_problem("gone", answer.failed["gone"]) == "queue gone: does not exist in this account and region"
    fault(aws, "error", "GetQueueAttributes", code="AccessDenied", status=403)
    with pytest.raises(Refused) as refused:
        sqs.describe(here)
    line = queue_problem("here", refused.value)
    assert line.startswith("queue here: permission sqs:GetQueueAttributes is missing for this role (")
    fault(aws, "error", "ListDeadLetterSourceQueues", code="AccessDeniedException", status=400)
    with pytest.raises(Refused) as refused:
        sqs.describe(here)
    assert "permission sqs:ListDeadLetterSourceQueues is missing" in queue_problem("here", refused.value)
    fault(aws, "error", "GetQueueUrl", code="RequestThrottled", status=403, times=None)
    assert "the next run tries again" in queue_problem("here", sqs.find(["here"]).failed["here"])


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("orders", "orders"),
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo", "orders.fifo"),
        ("arn:aws:sqs:eu-west-1:123456789012:orders", "orders"),
        ("http://127.0.0.1:4566/000000000000/orders/", "orders"),
    ],
)
def test_a_queues_name(given: str, name: str) -> None:
    """From a name, a URL or an ARN."""
    assert name_of(given) == name


def test_no_name_is_bad_input() -> None:
    """Nothing is left of it."""
    with pytest.raises(BadInput):
        name_of("///")


# -- receiving -----------------------------------------------------------------------------------------------------


def test_everything_is_asked_for(aws: SimulatedAws, sqs: Sqs) -> None:
    """All system and message attributes, binary ones as bytes; the message is hidden for the lease."""
    url = made(aws, "q")
    attributes = {
        "tenant": {"DataType": "String", "StringValue": "blue"},
        "digest": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    aws.client("sqs").send_message(
        QueueUrl=url,
        MessageBody="x",
        MessageAttributes=attributes,
        MessageSystemAttributes=trace,
        MessageGroupId="tenant-7",
    )
    queue = sqs.describe(url)
    [message] = sqs.receive(queue, 10, MINUTE, 0, NOW)
    assert message.attributes == attributes
    assert message.system["AWSTraceHeader"] == trace["AWSTraceHeader"]["StringValue"]
    assert message.group_id == "tenant-7"
    assert abs(message.sent_at - datetime.now(UTC)) < MINUTE
    assert message.lease_until == NOW + MINUTE
    assert sqs.receive(queue, 10, MINUTE, 0, NOW) == []
    aws.clock.advance(61)
    assert len(sqs.receive(queue, 10, MINUTE, 0, NOW)) == 1


def test_no_more_is_received_than_asked_for(aws: SimulatedAws, sqs: Sqs) -> None:
    """At most ten at a time, and fewer when fewer are wanted; an empty queue gives an empty list."""
    queue = filled(aws, sqs, 15)
    assert len(sqs.receive(queue, 3, MINUTE, 0, NOW)) == 3
    assert len(sqs.receive(queue, 500, MINUTE, 0, NOW)) == 10
    assert len(sqs.receive(queue, 10, MINUTE, 0, NOW)) == 2
    assert sqs.receive(queue, 10, MINUTE, 0, NOW) == []
    assert sqs.visible(queue) == 0


# -- sending -------------------------------------------------------------------------------------------------------


def test_each_entry_is_answered_by_itself(aws: SimulatedAws, sqs: Sqs) -> None:
    """HTTP 200 with a Failed list: what is wrong with one entry is its own fault, and the others are sent."""
    url = made(aws, "q", MaximumMessageSize="1024")
    outcomes = sqs.send(url, entries("ok", "x" * 1025, "fine"), fifo=False)
    assert kinds(outcomes) == ["Sent", "Refused", "Sent"]
    assert isinstance(outcomes[1], NotSent)
    assert outcomes[1].its_own_fault
    ids = [message["id"] for message in aws.messages("q")]
    assert [outcome.message_id for outcome in outcomes if isinstance(outcome, Sent)] == ids


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("RequestThrottled", 403, "Transient"),
        ("AWS.SimpleQueueService.RequestThrottled", 403, "Transient"),
        ("KmsThrottled", 400, "Transient"),
        ("InternalError", 500, "OutcomeUnknown"),
        ("ServiceUnavailable", 503, "OutcomeUnknown"),
        ("InvalidParameterValue", 400, "Refused"),
    ],
)
def test_what_a_failed_entry_means(aws: SimulatedAws, sqs: Sqs, code: str, status: int, kind: str) -> None:
    """Throttled: certainly not sent. SQS's own fault: perhaps sent. Otherwise refused."""
    url = made(aws, "q")
    fault(aws, "partial", "SendMessageBatch", code=code, status=status, entries=[1])
    assert kinds(sqs.send(url, entries("a", "b", "c"), fifo=False)) == ["Sent", kind, "Sent"]


def test_an_entry_that_the_answer_does_not_mention_is_open(aws: SimulatedAws, sqs: Sqs) -> None:
    """Neither sent nor failed: nobody knows."""
    url = made(aws, "q")
    client = aws.client("sqs", config=client_config(repeat=False))

    def forget(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Successful"] = parsed["Successful"][:1]

    client.meta.events.register("after-call.sqs.SendMessageBatch", forget)
    assert kinds(Sqs(client, client).send(url, entries("a", "b"), fifo=False)) == ["Sent", "OutcomeUnknown"]
    client.meta.events.unregister("after-call.sqs.SendMessageBatch", forget)


def test_a_standard_send_is_not_repeated_unseen(aws: SimulatedAws, sqs: Sqs) -> None:
    """The answer is lost: one request, its messages may be there, and the caller knows that it is open."""
    url = made(aws, "q")
    aws.clear_requests()
    fault(aws, "lose_ack", "SendMessageBatch")
    assert kinds(sqs.send(url, entries("a", "b"), fifo=False)) == ["OutcomeUnknown", "OutcomeUnknown"]
    assert len(aws.messages("q")) == 2
    assert aws.request_counts()["sqs:SendMessageBatch"] == 1


def test_a_fifo_send_may_be_repeated(aws: SimulatedAws, sqs: Sqs) -> None:
    """Its deduplication id makes the repetition harmless."""
    url = made(aws, "q.fifo")
    fault(aws, "lose_ack", "SendMessageBatch")
    batch = [{**one, "MessageGroupId": "g", "MessageDeduplicationId": one["Id"]} for one in entries("a", "b")]
    assert kinds(sqs.send(url, batch, fifo=True)) == ["Sent", "Sent"]
    assert len(aws.messages("q.fifo")) == 2


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("RequestThrottled", 403, Transient),
        ("AccessDenied", 403, Refused),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, Refused),
        ("KmsAccessDenied", 400, Refused),
        ("InternalFailure", 500, OutcomeUnknown),
    ],
)
def test_a_refused_batch_is_no_entrys_fault(
    aws: SimulatedAws, sqs: Sqs, code: str, status: int, kind: type[RepriseError]
) -> None:
    """Every entry gets what was stated of the whole; nobody is parked for a queue that is closed."""
    url = made(aws, "q")
    fault(aws, "error", "SendMessageBatch", code=code, status=status)
    for outcome in sqs.send(url, entries("a", "b"), fifo=False):
        assert isinstance(outcome, NotSent)
        assert type(outcome.error) is kind
        assert not outcome.its_own_fault


def test_a_message_is_sent_as_it_was_received(aws: SimulatedAws, sqs: Sqs) -> None:
    """Ten attributes, binary ones, group and trace go through a receive and a send unchanged."""
    first, second = made(aws, "q"), made(aws, "r")
    attributes: dict[str, Any] = {f"a{n}": {"DataType": "String.x", "StringValue": str(n)} for n in range(9)}
    attributes["raw"] = {"DataType": "Binary", "BinaryValue": bytes(range(256))}
    sent = {"QueueUrl": first, "MessageBody": "{{ x }}\t🙂", "MessageAttributes": attributes, "MessageGroupId": "t"}
    aws.client("sqs").send_message(**sent)
    [message] = sqs.receive(sqs.describe(first), 10, MINUTE, 0, NOW)
    sqs.send(second, [entry(message, 0, timedelta(0), fifo=False, attempt=1)], fifo=False)
    [again] = sqs.receive(sqs.describe(second), 10, MINUTE, 0, NOW)
    assert (again.body, again.attributes, again.group_id) == (message.body, attributes, "t")


# -- removing and hiding -------------------------------------------------------------------------------------------


def test_an_expired_receipt_of_a_fifo_queue_is_refused(aws: SimulatedAws, sqs: Sqs) -> None:
    """FIFO says so; the message stays."""
    queue = filled(aws, sqs, 1, "q.fifo")
    messages = sqs.receive(queue, 10, MINUTE, 0, NOW)
    aws.clock.advance(61)
    assert kinds(sqs.delete(queue, messages)) == ["Refused"]
    assert len(aws.messages("q.fifo")) == 1


def test_removing_is_answered_entry_by_entry(aws: SimulatedAws, sqs: Sqs) -> None:
    """A message that SQS could not remove is reported; the rest is gone, and removing it again is no error."""
    queue = filled(aws, sqs, 3)
    messages = sqs.receive(queue, 10, MINUTE, 0, NOW)
    fault(aws, "partial", "DeleteMessageBatch", code="InternalError", status=500, entries=[1])
    assert kinds(sqs.delete(queue, messages)) == ["Sent", "OutcomeUnknown", "Sent"]
    assert [message["body"] for message in aws.messages("q")] == [messages[1].body]
    assert kinds(sqs.delete(queue, messages)) == ["Sent", "Sent", "Sent"]


def test_hiding_is_counted_from_now(aws: SimulatedAws, sqs: Sqs) -> None:
    """Longer, shorter, and not at all; what may not be hidden is reported."""
    queue = filled(aws, sqs, 3)
    messages = sqs.receive(queue, 10, MINUTE, 0, NOW)
    wanted = [(messages[0].receipt, 3600), (messages[1].receipt, 0), (messages[2].receipt, 43_200)]
    aws.clock.advance(5)
    assert kinds(sqs.hide(queue, wanted)) == ["Sent", "Sent", "Refused"]
    assert sorted(round(message["visible_in"], -1) for message in aws.messages("q")) == [0, 50, 3600]
