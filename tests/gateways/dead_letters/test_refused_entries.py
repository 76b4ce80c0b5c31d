"""Entries of a batch that SQS refuses: for their content, for the sake of key or queue, or since they are too many."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from flows.dead_letters import recover_dead_letters
from proof.plain_prefect import play
from recovery.dead_letters.gateway import Sqs
from recovery.dead_letters.outcomes import NotSent, outcomes_of
from recovery.errors import Refused
from tests.dead_letters_world import TIMEOUT, DeadLettersWorld

TOO_LONG = "AWS.SimpleQueueService.BatchRequestTooLong"


@pytest.mark.parametrize(
    "code",
    ["KMS.AccessDeniedException", "KMS.DisabledException", "AccessDenied", "UnsupportedOperation", "SomethingNew"],
)
def test_a_refusal_for_the_key_or_queue_parks_nothing(world: DeadLettersWorld, code: str) -> None:
    """The sender's fault, says SQS of each entry; but no message can be better than the key allows, so all stay."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 12)
    world.aws.fault(
        "partial", service="sqs", operation="SendMessageBatch", code=code, status=400, entries=range_of(10), times=None
    )
    report = world.recover(pair.dead)
    world.aws.lift_faults()
    assert (report.unsettled, len(world.bodies(pair.dead)), world.archived(pair.dead)) == (12, 12, [])
    assert any(code in line for line in report.problems)
    assert world.open_intents(pair.dead) == 0, "what was refused uses up no try"
    assert world.recover(pair.dead).by_action == {"heal": 12}


def test_a_refusal_for_the_content_parks_its_message_only(world: DeadLettersWorld) -> None:
    """The queue will never take this one as it is."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 3)
    world.aws.fault(
        "partial", service="sqs", operation="SendMessageBatch", code="InvalidMessageContents", status=400, entries=[1]
    )
    report = world.recover(pair.dead)
    assert (report.by_action, report.unsettled) == ({"heal": 2, "alert": 1}, 0)
    assert len(world.archived(pair.dead)) == 1


@pytest.mark.parametrize("most", [40_000, 130_000, 600_000])
def test_a_batch_that_is_too_long_is_halved(world: DeadLettersWorld, most: int) -> None:
    """Somewhere a batch may hold less: halves of it, down to single messages, arrive each once."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 10, MessageBody="x" * 30_000 + " {n}")
    sizes: list[int] = []

    def narrow(sqs: Sqs) -> Any:
        client = sqs._sender

        def send(**request: Any) -> Any:
            sizes.append(sum(len(entry["MessageBody"]) for entry in request["Entries"]))
            if sizes[-1] > most:
                refusal: Any = {"Error": {"Code": TOO_LONG}, "ResponseMetadata": {"HTTPStatusCode": 400}}
                raise client.exceptions.ClientError(refusal, "SendMessageBatch")
            return original(**request)

        original = client.send_message_batch
        return mock.patch.object(client, "send_message_batch", send)

    request = world.request(pair.dead)
    with world.at_work(request) as work, narrow(work.sqs):
        report = play(recover_dead_letters, request, work)
    assert (report.by_action, report.unsettled) == ({"heal": 10}, 0)
    assert sorted(world.bodies(pair.source)) == sorted("x" * 30_000 + f" {n}" for n in range(10))
    assert max(size for size in sizes if size <= most) > most / 4, "no smaller than it must be"


def test_a_message_that_is_too_long_by_itself_is_its_own_fault(world: DeadLettersWorld) -> None:
    """Halving ends at one message: a person must know, and its neighbours went."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 4, MessageBody="message {n}")
    fault: dict[str, Any] = {"service": "sqs", "operation": "SendMessageBatch", "code": TOO_LONG, "status": 400}
    world.aws.fault("error", containing="message 2", times=None, **fault)
    report = world.recover(pair.dead)
    world.aws.lift_faults()
    assert (report.by_action, report.unsettled) == ({"heal": 3, "alert": 1}, 0)
    assert [record["body"] for record in world.archived(pair.dead)] == ["message 2"]


def test_a_name_that_may_not_be_looked_up_is_asked_for_once(world: DeadLettersWorld) -> None:
    """Fifty messages of a source that names its dead-letter queue no more: one refusal is enough, and is reported."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 50)
    world.sqs.set_queue_attributes(QueueUrl=world.url(pair.source), Attributes={"RedrivePolicy": ""})
    fault: dict[str, Any] = {"service": "sqs", "operation": "GetQueueUrl", "code": "AccessDenied", "status": 403}
    world.aws.fault("error", containing=f'"{pair.source}"', times=None, **fault)
    world.aws.clear_requests()
    report = world.recover(pair.dead)
    asked = world.aws.request_counts()["sqs:GetQueueUrl"]
    world.aws.lift_faults()
    assert asked == 2, "the dead-letter queue's own, and the source's"
    assert report.unsettled == 50
    assert [line for line in report.problems if "sqs:GetQueueUrl" in line]
    assert len(world.bodies(pair.dead)) == 50


def test_a_name_that_is_unknown_is_asked_for_once(world: DeadLettersWorld) -> None:
    """A source that is gone is no refusal: a person decides, and the queue is not asked for message by message."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 20)
    world.sqs.delete_queue(QueueUrl=world.url(pair.source))
    world.aws.clear_requests()
    report = world.recover(pair.dead)
    assert report.by_action == {"alert": 20}
    assert world.aws.request_counts()["sqs:GetQueueUrl"] == 2


def range_of(count: int) -> list[int]:
    """The positions of a whole batch."""
    return list(range(count))


def test_an_unknown_code_is_read_as_a_refusal() -> None:
    """The gateway says that the entry was certainly not carried out, and not that it is to blame."""
    [outcome] = outcomes_of(["0"], {}, [{"Id": "0", "Code": "SomethingNew", "SenderFault": True}], "sqs:SendMessage")
    assert isinstance(outcome, NotSent)
    assert isinstance(outcome.error, Refused)
    assert not outcome.its_own_fault
