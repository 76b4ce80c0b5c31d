"""Behaviour of the simulated SQS on which the project relies: an emulator that departs from AWS fails here."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError

from simulated_aws.server import SimulatedAws

ALL: dict[str, Any] = {"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"]}


def queue(aws: SimulatedAws, name: str, **attributes: str) -> str:
    if name.endswith(".fifo"):
        attributes["FifoQueue"] = "true"
    url: str = aws.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url


def arn(aws: SimulatedAws, url: str) -> str:
    found: str = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    return found


def with_dead_letters(aws: SimulatedAws, name: str, dead: str, receives: int = 1) -> tuple[str, str]:
    target = queue(aws, dead)
    policy = f'{{"deadLetterTargetArn": "{arn(aws, target)}", "maxReceiveCount": {receives}}}'
    return queue(aws, name, RedrivePolicy=policy, VisibilityTimeout="30"), target


def code_of(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def test_sources_of_a_dead_letter_queue_are_listed_in_pages(aws: SimulatedAws) -> None:
    """ListDeadLetterSourceQueues names every queue whose redrive policy points here, page by page, and no other."""
    sqs = aws.client("sqs")
    target = queue(aws, "shared-dlq")
    policy = f'{{"deadLetterTargetArn": "{arn(aws, target)}", "maxReceiveCount": 3}}'
    expected = {queue(aws, f"source-{number}", RedrivePolicy=policy) for number in range(5)}
    queue(aws, "unrelated")

    assert set(sqs.list_dead_letter_source_queues(QueueUrl=target)["queueUrls"]) == expected

    pages = list(sqs.get_paginator("list_dead_letter_source_queues").paginate(QueueUrl=target, MaxResults=2))
    assert [len(page["queueUrls"]) for page in pages] == [2, 2, 1]
    assert {url for page in pages for url in page["queueUrls"]} == expected
    assert sqs.list_dead_letter_source_queues(QueueUrl=queue(aws, "lonely"))["queueUrls"] == []


def test_sources_of_a_missing_queue_are_an_error(aws: SimulatedAws) -> None:
    """A queue that does not exist is answered with SQS's own error."""
    sqs = aws.client("sqs")
    url = queue(aws, "here").replace("/here", "/gone")
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.list_dead_letter_source_queues(QueueUrl=url)


def test_a_message_keeps_all_and_names_its_source(aws: SimulatedAws) -> None:
    """A redriven message keeps id, body, attributes and trace header, and says which queue it comes from."""
    sqs = aws.client("sqs")
    source, dead = with_dead_letters(aws, "orders", "orders-dlq")
    attributes = {
        "tenant": {"DataType": "String", "StringValue": "blue"},
        "digest": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    entry = {"Id": "a", "MessageBody": "{}", "MessageAttributes": attributes, "MessageSystemAttributes": trace}
    sent = sqs.send_message_batch(QueueUrl=source, Entries=[{**entry, "MessageGroupId": "fair"}])["Successful"][0]

    assert sqs.receive_message(QueueUrl=source)["Messages"][0]["MessageId"] == sent["MessageId"]
    aws.clock.advance(31)
    assert "Messages" not in sqs.receive_message(QueueUrl=source)  # this receive moves it
    [message] = sqs.receive_message(QueueUrl=dead, **ALL)["Messages"]

    assert message["MessageId"] == sent["MessageId"]
    assert message["Body"] == "{}"
    assert message["MessageAttributes"] == attributes
    assert message["Attributes"]["DeadLetterQueueSourceArn"] == arn(aws, source)
    assert message["Attributes"]["AWSTraceHeader"] == trace["AWSTraceHeader"]["StringValue"]
    assert message["Attributes"]["MessageGroupId"] == "fair"
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_fifo_message_gets_its_id_as_deduplication_id(aws: SimulatedAws) -> None:
    """Moving into a FIFO dead-letter queue replaces the deduplication id by the message id."""
    sqs = aws.client("sqs")
    source, dead = with_dead_letters(aws, "orders.fifo", "orders-dlq.fifo")
    sent = sqs.send_message(QueueUrl=source, MessageBody="{}", MessageGroupId="g", MessageDeduplicationId="mine")
    sqs.receive_message(QueueUrl=source)
    aws.clock.advance(31)
    sqs.receive_message(QueueUrl=source)

    attributes = sqs.receive_message(QueueUrl=dead, **ALL)["Messages"][0]["Attributes"]

    assert attributes["MessageDeduplicationId"] == sent["MessageId"]
    assert attributes["MessageGroupId"] == "g"


def test_the_clock_moves_delays_visibility_and_retention(aws: SimulatedAws) -> None:
    """A delayed message arrives, a hidden one comes back, and an old one is gone, when the clock says so."""
    sqs = aws.client("sqs")
    url = queue(aws, "orders", VisibilityTimeout="600", MessageRetentionPeriod="3600")
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=900)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)

    aws.clock.advance(900)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "later"
    assert "Messages" not in sqs.receive_message(QueueUrl=url)

    aws.clock.advance(601)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "later"

    aws.clock.advance(2200)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    assert aws.messages("orders") == []


def test_a_long_poll_sees_the_clock_move(aws: SimulatedAws) -> None:
    """A receive that waits gets the message that a move of the clock makes visible."""
    from concurrent.futures import ThreadPoolExecutor

    sqs = aws.client("sqs")
    url = queue(aws, "orders")
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=60)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
        aws.clock.advance(61)
        # Either the poll was under way, or it begins now; both find the message long before 20 seconds are over.
        assert waiting.result(timeout=10)["Messages"][0]["Body"] == "later"


@pytest.mark.parametrize("delay", [901, 100_000])
def test_a_long_delay_is_refused(aws: SimulatedAws, delay: int) -> None:
    """DelaySeconds is at most 900, alone and in a batch."""
    sqs = aws.client("sqs")
    url = queue(aws, "orders")
    with pytest.raises(ClientError) as refusal:
        sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=delay)
    assert code_of(refusal.value) == "InvalidParameterValue"

    entries = [{"Id": "long", "MessageBody": "x", "DelaySeconds": delay}, {"Id": "good", "MessageBody": "x"}]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [failed["Id"] for failed in answer["Failed"]] == ["long"]
    assert [done["Id"] for done in answer["Successful"]] == ["good"]


def test_sizes_count_attributes(aws: SimulatedAws) -> None:
    """One MiB is the limit of a message and of a batch, attributes included."""
    sqs = aws.client("sqs")
    url = queue(aws, "orders")
    attribute = {"a": {"DataType": "String", "StringValue": "b"}}  # 1 + 6 + 1 bytes
    sqs.send_message(QueueUrl=url, MessageBody="x" * (1_048_576 - 8), MessageAttributes=attribute)
    with pytest.raises(ClientError, match="shorter than 1048576"):
        sqs.send_message(QueueUrl=url, MessageBody="x" * (1_048_576 - 7), MessageAttributes=attribute)
    half = "x" * 524_288
    with pytest.raises(ClientError, match="You have sent 1048577 bytes"):
        sqs.send_message_batch(
            QueueUrl=url, Entries=[{"Id": "a", "MessageBody": half}, {"Id": "b", "MessageBody": half + "x"}]
        )


def test_eleven_attributes_are_refused(aws: SimulatedAws) -> None:
    """A message carries at most ten attributes."""
    sqs = aws.client("sqs")
    url = queue(aws, "orders")
    attributes = {f"a{number}": {"DataType": "String", "StringValue": "1"} for number in range(11)}
    with pytest.raises(ClientError, match="exceeds the allowed maximum"):
        sqs.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)


def test_an_old_handle_deletes_nothing_and_is_no_error(aws: SimulatedAws) -> None:
    """On a standard queue only the newest handle deletes; an older one is accepted without effect, as is a repeat."""
    sqs = aws.client("sqs")
    url = queue(aws, "orders", VisibilityTimeout="30")
    sqs.send_message(QueueUrl=url, MessageBody="x")
    old = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    aws.clock.advance(31)
    new = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]

    sqs.delete_message(QueueUrl=url, ReceiptHandle=old)
    assert len(aws.messages("orders")) == 1
    for _ in range(2):
        answer = sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": new}])
        assert answer["Successful"] == [{"Id": "a"}]
        assert "Failed" not in answer  # AWS leaves empty lists out
    assert aws.messages("orders") == []


def test_a_strange_handle_is_refused(aws: SimulatedAws) -> None:
    """A handle that this queue never gave is an error, alone and in a batch."""
    sqs = aws.client("sqs")
    url, other = queue(aws, "orders"), queue(aws, "other")
    sqs.send_message(QueueUrl=other, MessageBody="x")
    strange = [
        "nonsense",
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        sqs.receive_message(QueueUrl=other)["Messages"][0]["ReceiptHandle"],
    ]
    for handle in strange:
        with pytest.raises(ClientError) as refusal:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
        assert code_of(refusal.value) == "ReceiptHandleIsInvalid"
    entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(strange)]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Failed"]) == len(strange)


def test_an_expired_handle_of_a_fifo_queue_is_refused(aws: SimulatedAws) -> None:
    """FIFO queues say that a handle has expired; the message stays."""
    sqs = aws.client("sqs")
    url = queue(aws, "orders.fifo", VisibilityTimeout="30")
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="1")
    handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    aws.clock.advance(31)
    with pytest.raises(ClientError, match="The receipt handle has expired"):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert len(aws.messages("orders.fifo")) == 1


def test_hiding_ends_twelve_hours_after_the_receive(aws: SimulatedAws) -> None:
    """A message can be hidden for 12 hours in all, counted from the receive, however often that is asked for."""
    sqs = aws.client("sqs")
    url = queue(aws, "orders", VisibilityTimeout="300")
    sqs.send_message(QueueUrl=url, MessageBody="x")
    handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    aws.clock.advance(60)
    with pytest.raises(ClientError, match="beyond the limit"):
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43_200)
    entries = [{"Id": "a", "ReceiptHandle": handle, "VisibilityTimeout": 43_000}]
    assert sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)["Successful"] == [{"Id": "a"}]
    aws.clock.advance(42_999)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    aws.clock.advance(2)
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1


def test_a_deleted_message_cannot_be_hidden(aws: SimulatedAws) -> None:
    """Changing the visibility of a message that is gone is refused."""
    sqs = aws.client("sqs")
    url = queue(aws, "orders")
    sqs.send_message(QueueUrl=url, MessageBody="x")
    handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    with pytest.raises(ClientError, match="does not exist or is not available"):
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=10)


def test_a_group_is_locked_while_one_of_it_is_in_flight(aws: SimulatedAws) -> None:
    """While a message of a FIFO group is in flight, no other of that group is handed out; other groups are."""
    sqs = aws.client("sqs")
    url = queue(aws, "orders.fifo")
    for number, group in enumerate(["a", "a", "b"]):
        sqs.send_message(
            QueueUrl=url, MessageBody=str(number), MessageGroupId=group, MessageDeduplicationId=str(number)
        )
    first = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)["Messages"]
    second = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in first + second] == ["0", "2"]


def test_messages_are_seen_without_receiving_them(aws: SimulatedAws) -> None:
    """A look into a queue counts as nothing."""
    sqs = aws.client("sqs")
    url = queue(aws, "orders")
    sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=10)
    [seen] = aws.messages("orders")
    assert (seen["body"], seen["receives"], seen["in_flight"]) == ("x", 0, False)
    assert 9 < seen["visible_in"] <= 10
    with pytest.raises(ValueError, match="nowhere"):
        aws.messages("nowhere")
