"""Records of messages: cases, archive records, alerts and report entries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recovery.archive import Pointer
from recovery.cases import Case, State
from recovery.dead_letters import notices, records
from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.notices import Member
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.verdicts import AlertVerdict, ArchiveVerdict, Finish, Heal, Hide, Leave, Verdict
from recovery.errors import Refused, Transient
from recovery.failures import BodyShape, Evidence, Kind, Origin
from tests.unit.dead_letters.samples import GROUP, NOW, SOURCE_URL, case, diagnosis, message, queue, seconds

KEEP = timedelta(days=430)
HEAL = Heal(SOURCE_URL, seconds(60), attempt=2, tries=1, reason="it may pass", rule="delay")
HIDE = Hide(NOW + timedelta(hours=1), NOW + timedelta(hours=1), attempt=3, reason="later", rule="delay")
PARK = AlertVerdict(State.PARKED, "a person must fix it", "fix it, then replay", rule="action-alert")
KEPT = ArchiveVerdict(State.ARCHIVED, "for review", "look at it", rule="action-archive")


def one(verdict: Verdict, history: Case | None = None, **changes: Any) -> tuple[MessageWork, Batch]:
    batch = Batch(queue(), DeadLetterPolicy(), [message(**changes)])
    [item] = batch.items
    item.verdict, item.history = verdict, history
    item.evidence = Evidence(error="HTTP 504 from 10.0.0.7", source="logs")
    item.diagnosis, item.group, item.error = diagnosis(), GROUP, "HTTP 504 from <host>"
    return item, batch


def written(item: MessageWork, batch: Batch) -> Mapping[str, Case]:
    return {case.key: case for case in records.cases(item, batch, NOW, KEEP)}


# -- cases ---------------------------------------------------------------------------------------------------------


def test_a_sent_message_is_found_under_its_new_id() -> None:
    """The new case carries the attempt; the old one points at it, so that any id leads to the story."""
    item, batch = one(HEAL, case(attempts=1, detail={"earlier": ["m-0"]}))
    item.new_id = "n-1"
    cases = written(item, batch)
    assert set(cases) == {"n-1", "m-1"}
    sent, old = cases["n-1"], cases["m-1"]
    assert (sent.state, sent.attempts, sent.tries, sent.group) == (State.SENT, 2, 1, GROUP)
    assert sent.changed == NOW + seconds(60)
    assert sent.first_seen == case().first_seen
    assert sent.detail == {"earlier": ["m-0", "m-1"]}
    assert (old.state, old.detail) == (State.SUPERSEDED, {"next": "n-1"})


def test_a_message_sent_by_a_consumer_keeps_its_key() -> None:
    """Its comeback will have another message id, so its case stays under what makes it the same."""
    item, batch = one(HEAL, case(key="orders-dlq:id:7"), origin=Origin.UNKNOWN)
    item.identity, item.new_id = "orders-dlq:id:7", "n-1"
    cases = written(item, batch)
    assert set(cases) == {"orders-dlq:id:7"}
    assert cases["orders-dlq:id:7"].attempts == 2


def test_the_first_id_is_not_forgotten() -> None:
    """The id in the consumer's own log is the first one: the new case names it."""
    item, batch = one(HEAL)
    item.new_id = "n-1"
    assert written(item, batch)["n-1"].detail == {"earlier": ["m-1"]}
    kept, batch = one(KEPT, case(detail={"earlier": ["m-0"]}))
    kept.pointer = Pointer("k", 0)
    assert written(kept, batch)["m-1"].detail["earlier"] == ["m-0"]


def test_a_message_that_was_not_sent_gets_no_case() -> None:
    """Neither one whose send was not answered, nor one that failed in any way."""
    assert written(*one(HEAL)) == {}
    item, batch = one(HEAL)
    item.new_id, item.failure = "n-1", Transient("lost")
    assert written(item, batch) == {}


def test_a_message_that_came_back_and_could_not_be_helped_has_not_recovered() -> None:
    """Its case says that it is back; unless its lease is over, when another run may have written a newer one."""
    item, batch = one(HEAL, case(State.SENT))
    item.failure = Transient("throttled")
    assert [(found.key, found.state) for found in written(item, batch).values()] == [("m-1", State.BACK)]
    late, batch = one(HEAL, case(State.SENT), lease_until=NOW)
    late.failure = Transient("its lease is over")
    assert written(late, batch) == {}


def test_a_waiting_message_remembers_when_it_is_due() -> None:
    """The attempt that is waited for was not made yet."""
    item, batch = one(HIDE, case(attempts=2))
    [waiting] = written(item, batch).values()
    assert (waiting.key, waiting.state, waiting.attempts, waiting.due) == ("m-1", State.BACKOFF, 2, HIDE.due)


@pytest.mark.parametrize(("verdict", "alerts"), [(PARK, True), (KEPT, False)])
def test_an_archived_message_points_at_its_copy(verdict: AlertVerdict | ArchiveVerdict, alerts: bool) -> None:
    """The case says where the copy stands, what to do, and whether a person must know first; it outlives the copy."""
    item, batch = one(verdict, case(attempts=3))
    assert written(item, batch) == {}, "not before the copy is safe"
    item.pointer = Pointer("archive/x.ndjson.gz", 7)
    [archived] = written(item, batch).values()
    assert archived.state is verdict.state
    assert archived.attempts == 3
    assert archived.expires == NOW + KEEP
    assert archived.detail["archive"] == {"key": "archive/x.ndjson.gz", "line": 7}
    assert archived.detail["alert"] is alerts
    assert archived.detail["step"] == verdict.next_step
    assert archived.detail["error"] == "HTTP 504 from <host>"


def test_each_archived_message_of_one_business_id_has_a_case_of_its_own() -> None:
    """The copy is found by message id; the shared case is superseded and keeps the count."""
    item, batch = one(KEPT, case(key="orders-dlq:id:7", attempts=4), origin=Origin.UNKNOWN)
    item.identity, item.pointer = "orders-dlq:id:7", Pointer("k", 0)
    cases = written(item, batch)
    assert set(cases) == {"m-1", "orders-dlq:id:7"}
    assert cases["m-1"].detail["identity"] == "orders-dlq:id:7"
    assert (cases["orders-dlq:id:7"].state, cases["orders-dlq:id:7"].attempts) == (State.SUPERSEDED, 4)


def test_a_comeback_that_is_left_is_known_to_be_back() -> None:
    """Otherwise it would count as recovered. Finishing and leaving write nothing else."""
    item, batch = one(Leave("not now", rule="lease"), case(State.SENT))
    assert [found.state for found in written(item, batch).values()] == [State.BACK]
    assert written(*one(Leave("not now", rule="lease"))) == {}
    assert written(*one(Finish(archived=False, reason="done", rule="finish"), case())) == {}


def test_earlier_ids_are_bounded() -> None:
    """However often a message comes back, its case stays small."""
    item, batch = one(HEAL, case(detail={"earlier": [f"m-{n}" for n in range(30)]}))
    item.new_id = "n-1"
    assert len(written(item, batch)["n-1"].detail["earlier"]) == 20


# -- archive -------------------------------------------------------------------------------------------------------


def test_a_record_holds_the_message_and_all_that_is_known() -> None:
    """Body and attributes unchanged, evidence, diagnosis, verdict and times, as JSON."""
    binary = {"a": {"DataType": "Binary", "BinaryValue": b"\0"}}
    item, batch = one(PARK, case(attempts=2), body="{{ x }}", attributes=binary)
    record = json.loads(json.dumps(records.archive_record(item, batch, NOW)))
    assert record["body"] == "{{ x }}"
    assert record["attributes"] == {"a": {"DataType": "Binary", "BinaryValue": "AA=="}}
    assert record["evidence"] == {"source": "logs", "error": "HTTP 504 from 10.0.0.7", "attributes": {}}
    assert record["diagnosis"]["normalised"] == "HTTP 504 from <host>"
    assert record["verdict"] == {"action": "alert", "reason": "a person must fix it"}
    assert record["first_seen"] == case().first_seen.isoformat()
    assert record["attempts"] == 2


def test_a_message_without_a_diagnosis_is_recorded_as_such() -> None:
    """Rescued without evidence: there is nothing to say about its failure."""
    item, batch = one(KEPT)
    item.diagnosis = None
    assert records.archive_record(item, batch, NOW)["diagnosis"] is None


def test_a_record_leads_to_the_consumers_log() -> None:
    """If the policy names the log group, the record has the link to the lines about this message."""
    item, batch = one(KEPT)
    assert "log" not in records.archive_record(item, batch, NOW)
    batch.policy = DeadLetterPolicy(log_group="/aws/lambda/orders")
    assert "m-1" in records.archive_record(item, batch, NOW)["log"]


POINTER = '["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"big","s3Key":"k/1"}]'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (POINTER, ("big", "k/1")),
        ('["com.amazon.sqs.javamessaging.MessageS3Pointer",{"s3BucketName":"big","s3Key":"k"}]', ("big", "k")),
        ('["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"big"}]', None),
        ('["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":7,"s3Key":[]}]', None),
        ('["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"","s3Key":"k"}]', None),
    ],
)
def test_a_pointers_payload_is_copied_when_it_names_one(body: str, expected: tuple[str, str] | None) -> None:
    """Both spellings of the pointer; one that names no object is archived as it is."""
    item, batch = one(KEPT, body=body, shape=BodyShape.EXTENDED_POINTER)
    assert records.payload_of(item) == expected
    assert ("payload_copy" in records.archive_record(item, batch, NOW)) == (expected is not None)


def test_other_bodies_are_no_pointers() -> None:
    """Only what has the shape of a pointer is read as one."""
    item, _ = one(KEPT, body="not JSON")
    assert records.payload_of(item) is None


# -- alerts and the report -----------------------------------------------------------------------------------------


def test_an_alert_shows_what_a_person_needs() -> None:
    """Count, a few ids, reason, error, what to do and how to replay; no body, no attribute."""
    items = [one(PARK, message_id=f"m-{n}", body="canary-body")[0] for n in range(7)]
    for item in items:
        item.pointer = Pointer("k", 0)
    message = notices.alert(GROUP, [Member(queue(), item) for item in items])
    assert message.count == 7
    assert "7 message(s) of orders-dlq" in message.text
    assert "m-0, m-1, m-2, m-3, m-4 and 2 more" in message.text
    for stated in ("a person must fix it", "HTTP 504 from <host>", "fix it, then replay", f'groups ["{GROUP}"]'):
        assert stated in message.text
    assert "canary" not in message.text
    assert "10.0.0.7" not in message.text


def test_an_interrupted_alert_is_distinguished_from_the_ledger() -> None:
    """A message whose copy is archived but whose alert was not sent speaks through its case."""
    history = case(State.PARKED, kind=Kind.AUTH_FAILURE.value, detail={"archive": {}, "id": "m-1", "alert": True})
    item, batch = one(Finish(archived=True, reason="archived earlier", rule="finish"), history)
    item.own = history
    item.diagnosis, item.group, item.error = None, "", ""
    assert item.wants_alert
    assert notices.alert_group(Member(queue(), item)) == GROUP
    assert "AUTH_FAILURE" in notices.alert(GROUP, [Member(queue(), item)]).text
    assert records.entry(item, batch).kind == "AUTH_FAILURE"


def test_an_entry_says_attempt_n_of_m() -> None:
    """For what is sent or waits; a failure is reported in its reason, and the message counts as unsettled."""
    item, batch = one(HEAL)
    entry = records.entry(item, batch)
    assert (entry.action, entry.attempt, entry.max_attempts, entry.settled) == ("heal", 2, 4, True)
    item.failure = Refused("sqs:SendMessage: AccessDenied: no")
    entry = records.entry(item, batch)
    assert not entry.settled
    assert "did not go through: sqs:SendMessage: AccessDenied" in entry.reason


# -- what may be removed -------------------------------------------------------------------------------------------


def test_an_original_goes_only_when_its_copy_is_safe() -> None:
    """Sent and answered, or archived; never after a failure, and never what waits or is left."""
    item, _ = one(HEAL)
    assert not item.is_gone_for_good
    item.new_id = "n-1"
    assert not item.is_gone_for_good, "its case is not written"
    item.recorded = True
    assert item.is_gone_for_good
    item.failure = Transient("the case is not written")
    assert not item.is_gone_for_good
    parked, _ = one(PARK)
    assert not parked.is_gone_for_good
    parked.pointer, parked.recorded = Pointer("k", 0), True
    assert not parked.is_gone_for_good, "nobody knows of it"
    parked.announced = True
    assert parked.is_gone_for_good
    assert one(Finish(archived=True, reason="done", rule="finish"))[0].is_gone_for_good
    assert not one(Finish(archived=False, reason="done", rule="finish"))[0].is_gone_for_good, (
        "its case may not be written"
    )
    assert not one(HIDE)[0].is_gone_for_good
    assert not one(Leave("no", rule="lease"))[0].is_gone_for_good


def test_nothing_more_is_done_on_a_message_whose_lease_runs_out() -> None:
    """It keeps its verdict and gets a failure; what was done before stands in the ledger."""
    batch = Batch(queue(), DeadLetterPolicy(), [message(), message(message_id="m-2", lease_until=NOW + seconds(29))])
    batch.keep_to_leases(batch.items, NOW)
    kept, late = batch.items
    assert kept.failure is None
    assert isinstance(late.failure, Transient)


def test_giving_up_keeps_what_was_stated_first() -> None:
    """The first failure is the reason; what is removed cannot fail any more."""
    batch = Batch(queue(), DeadLetterPolicy(), [message(message_id=f"m-{n}") for n in range(3)])
    first, gone, other = batch.items
    first.failure, gone.removed = Refused("first"), True
    batch.give_up(Transient("later"))
    assert str(first.failure) == "first"
    assert gone.failure is None
    assert str(other.failure) == "later"


def test_a_batch_does_not_show_its_messages() -> None:
    """Prefect may print a task's arguments."""
    batch = Batch(queue(), DeadLetterPolicy(), [message(body="canary")])
    assert repr(batch) == "<1 messages of orders-dlq>"
    assert replace(message(), body="canary") == message(body="canary")
