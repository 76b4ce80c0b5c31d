"""Messages as nobody wants them: each is handled by rule, and the rest of the batch goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.dead_letters.batch import Batch
from recovery.dead_letters.messages import Message, content_hash, identity
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.records import archive_record, payload_of
from recovery.dead_letters.triage import check
from recovery.errors import BadInput
from recovery.failures import body_shape, diagnose, evidence_for, fingerprint, normalise, recognise
from tests.dead_letters_world import ERROR, POLICY, TIMEOUT, DeadLettersWorld, text
from tests.unit.dead_letters.samples import NOW, message, queue

POINTER = json.dumps(
    ["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": "big-payloads", "s3Key": "k/1"}]
)
TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})
SUCCESS = json.dumps(
    {
        "version": "1.0",
        "requestContext": {"requestId": "r", "functionArn": "arn:aws:lambda:x", "condition": "Success"},
        "requestPayload": {"order": 1},
        "responsePayload": "ok",
    }
)


@pytest.mark.parametrize(
    "body",
    [
        "x" * (1_048_576 - 5 - 6 - len(TIMEOUT)),
        "not JSON {{{",
        '{"broken": ',
        "[" * 5_000,
        "{{ flow_run.name }} {% for x in y %} ${PREFECT_API_URL} {prefect.blocks.secret.x}",
        "\t\n\r ",
        "🙂" * 1_000 + "\ufffd",
        '{"a": NaN, "b": 1e999}',
        "null",
        "0",
    ],
    ids=["1 MiB", "no JSON", "broken JSON", "deep JSON", "templates", "blank", "beyond ASCII", "NaN", "null", "number"],
)
def test_whatever_the_body_it_comes_back_unchanged(world: DeadLettersWorld, body: str) -> None:
    """The error decides; a body is only carried, byte by byte."""
    pair = world.pair()
    world.send(pair.source, [{"MessageBody": body, "MessageAttributes": {ERROR: text(TIMEOUT)}}])
    world.fail(pair.source)
    policy = POLICY.model_copy(update={"identity_body_path": "order.id"})
    assert world.recover(pair.dead, policy=policy).by_action == {"heal": 1}
    assert world.bodies(pair.source) == [body]


def test_ten_attributes_and_binary_ones_come_back_unchanged(world: DeadLettersWorld) -> None:
    """No attribute of ours is added: an eleventh would be refused."""
    pair = world.pair()
    attributes: dict[str, Any] = {f"a{n}": {"DataType": "Number", "StringValue": str(n)} for n in range(8)}
    attributes["raw"] = {"DataType": "Binary", "BinaryValue": b"\x00\xff\xfe{{ x }}"}
    world.die(pair, [TIMEOUT], MessageAttributes=attributes)
    world.recover(pair.dead)
    url = world.url(pair.source)
    world.aws.clock.advance(61)
    [again] = world.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert again["MessageAttributes"] == {**attributes, ERROR: text(TIMEOUT)}


def test_an_error_that_is_not_utf_8(world: DeadLettersWorld) -> None:
    """A consumer wrote its error as bytes: read as far as it can be, kept whole in the archive."""
    pair = world.pair()
    raw = {"DataType": "Binary", "BinaryValue": b"HTTP 422 Unprocessable Entity \xff\xfe"}
    world.send(pair.source, [{"MessageBody": "{}", "MessageAttributes": {ERROR: raw}}])
    world.fail(pair.source)
    assert world.recover(pair.dead).by_kind == {"VALIDATION_ERROR": 1}
    [record] = world.archived(pair.dead)
    assert record["attributes"][ERROR]["BinaryValue"] == "SFRUUCA0MjIgVW5wcm9jZXNzYWJsZSBFbnRpdHkg//4="


def test_trace_header_and_fair_group_come_back(world: DeadLettersWorld) -> None:
    """On a standard queue, too."""
    pair = world.pair()
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    world.die(
        pair,
        [TIMEOUT],
        MessageGroupId="tenant-7",
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": trace}},
    )
    world.recover(pair.dead)
    [sent] = world.aws.messages(pair.source)
    assert (sent["trace"], sent["group"]) == (trace, "tenant-7")


def test_an_extended_clients_payload_is_copied_and_its_pointer_kept(world: DeadLettersWorld) -> None:
    """Archived: the pointer with its size attribute, and a copy of the payload; the original stays where it is."""
    pair, s3 = world.pair(), world.aws.client("s3")
    s3.create_bucket(Bucket="big-payloads")
    s3.put_object(Bucket="big-payloads", Key="k/1", Body=b"huge")
    sized = {"ExtendedPayloadSize": {"DataType": "Number", "StringValue": "4"}}
    errors = ("HTTP 422 Unprocessable Entity", TIMEOUT)
    messages = [{"MessageBody": POINTER, "MessageAttributes": {**sized, ERROR: text(error)}} for error in errors]
    world.send(pair.source, messages)
    world.fail(pair.source)
    assert world.recover(pair.dead).by_action == {"archive": 1, "heal": 1}
    [record] = world.archived(pair.dead)
    assert record["body"] == POINTER
    assert record["attributes"]["ExtendedPayloadSize"] == sized["ExtendedPayloadSize"]
    assert s3.get_object(Bucket=world.bucket, Key=record["payload_copy"])["Body"].read() == b"huge"
    assert s3.get_object(Bucket="big-payloads", Key="k/1")["Body"].read() == b"huge"
    [sent] = world.aws.messages(pair.source)
    assert sent["body"] == POINTER
    assert "ExtendedPayloadSize" in sent["attributes"]


def test_a_payload_that_is_gone_is_a_warning(world: DeadLettersWorld) -> None:
    """The message is archived all the same; one line says that its payload could not be copied."""
    pair = world.pair()
    invalid = {ERROR: text("HTTP 422 Unprocessable Entity")}
    world.send(pair.source, [{"MessageBody": POINTER, "MessageAttributes": invalid}] * 3)
    world.fail(pair.source)
    report = world.recover(pair.dead)
    assert report.by_action == {"archive": 3}
    assert len(report.warnings) == 1
    assert "big-payloads" in report.warnings[0]


def test_what_is_no_failure_is_recognised(world: DeadLettersWorld) -> None:
    """An S3 test event and a record of a success are archived as what they are, without an error text."""
    dead = world.queue("events-dlq")
    world.send(dead, [{"MessageBody": TEST_EVENT}, {"MessageBody": SUCCESS}])
    report = world.recover(dead)
    assert report.by_action == {"archive": 2}
    assert {"test event", "OnSuccess"} <= {
        word for row in report.groups for word in ("test event", "OnSuccess") if word in row.reason
    }
    assert not report.failed


def test_an_unknown_origin_is_not_diagnosed_without_evidence(world: DeadLettersWorld) -> None:
    """Sent by hand, without any word: it stays."""
    dead = world.queue("dlq")
    world.send(dead, [{"MessageBody": "?"}])
    assert world.recover(dead).by_action == {"leave": 1}
    assert world.bodies(dead) == ["?"]


def test_a_pointer_is_not_checked_by_the_schema_of_its_payload(world: DeadLettersWorld) -> None:
    """The payload lies in S3: a body that only names it breaks no schema, and neither does one that keeps to it."""
    pair = world.pair()
    policy = POLICY.model_copy(update={"body_schema": {"type": "object", "required": ["order"]}})
    world.send(pair.source, [{"MessageBody": POINTER}, {"MessageBody": '{"parcel": 1}'}])
    world.fail(pair.source)
    report = world.recover(pair.dead, policy=policy)
    assert report.by_action == {"leave": 1, "archive": 1}
    assert report.by_kind == {"VALIDATION_ERROR": 1}
    assert world.bodies(pair.dead) == [POINTER]


def test_a_schema_speaks_when_the_error_does_not(world: DeadLettersWorld) -> None:
    """A payload that breaks its schema cannot succeed; one that keeps to it stays without evidence."""
    pair = world.pair()
    schema = {"type": "object", "required": ["order"], "properties": {"order": {"type": "integer"}}}
    policy = POLICY.model_copy(update={"body_schema": schema})
    for body in ('{"order": "seven"}', '{"order": 7}', "[" * 50_000):
        world.send(pair.source, [{"MessageBody": body}])
    world.fail(pair.source)
    report = world.recover(pair.dead, policy=policy)
    assert report.by_action == {"archive": 2, "leave": 1}
    assert report.by_kind == {"VALIDATION_ERROR": 1, "BAD_PAYLOAD": 1}
    assert world.bodies(pair.dead) == ['{"order": 7}']
    assert "seven" not in report.model_dump_json()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"body_schema": {"type": "nonsense"}}, "schema"),
        ({"rules_file": "/nowhere/rules.yaml"}, "rules_file"),
    ],
)
def test_a_policy_that_cannot_be_followed_is_refused_before_anything_is_received(
    fields: dict[str, Any], words: str
) -> None:
    """One line that names the field."""
    with pytest.raises(BadInput, match=words):
        check(DeadLetterPolicy(**fields))


def test_a_wrong_rules_file_is_refused(tmp_path: Any) -> None:
    """The same for a file that is there and holds no rules."""
    path = tmp_path / "rules.yaml"
    path.write_text("- just\n- words\n")
    with pytest.raises(BadInput):
        check(DeadLetterPolicy(rules_file=str(path)))


_NAMES = (
    "requestContext responseContext responsePayload condition functionArn Type Message TopicArn MessageAttributes"
    " Records eventSource detail source detail-type Event context partnerResourceArn KinesisBatchInfo"
    " errorMessage errorType stackTrace s3BucketName s3Key cause"
)
names = st.sampled_from(_NAMES.split()) | st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
pointers = st.dictionaries(st.sampled_from(["s3BucketName", "s3Key"]), json_values).map(
    lambda inner: json.dumps(["software.amazon.payloadoffloading.PayloadS3Pointer", inner])
)
bodies = st.text(max_size=50) | json_values.map(json.dumps) | pointers
attributes = st.dictionaries(
    st.sampled_from(["RequestID", "ErrorCode", "ErrorMessage", "RULE_ARN", "ERROR_CODE", "ERROR_MESSAGE", ERROR, "x"]),
    st.builds(lambda value: {"DataType": "String", "StringValue": value}, st.text(max_size=60))
    | st.builds(lambda value: {"DataType": "Binary", "BinaryValue": value}, st.binary(max_size=20)),
    max_size=5,
)


@given(bodies, attributes, st.booleans())
def test_no_message_makes_the_path_stumble(body: str, given_attributes: dict[str, Any], redriven: bool) -> None:
    """Everything that is computed from a message alone gives an answer, whatever it holds; and it fits into JSON."""
    system = {
        "SentTimestamp": "1772366400000",
        **({"DeadLetterQueueSourceArn": "arn:aws:sqs:a:1:q"} if redriven else {}),
    }
    origin = recognise(body, given_attributes, system, (ERROR,))
    made: Message = message(body=body, attributes=given_attributes, origin=origin, shape=body_shape(body))
    assert content_hash(made)
    assert identity(made, "x", "requestContext.condition")
    evidence = evidence_for(body, given_attributes, system, origin=origin, error_attributes=(ERROR,))
    diagnosis = diagnose(evidence)
    assert fingerprint(diagnosis, evidence.error)
    assert len(normalise(evidence.error)) <= 300
    batch = Batch(queue(), POLICY, [made])
    [item] = batch.items
    item.evidence, item.diagnosis = evidence, diagnosis
    payload_of(item)
    assert json.loads(json.dumps(archive_record(item, batch, NOW)))["body"] == body
