"""Records of messages: ledger cases, archive records, alerts and report entries. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from recovery.cases import CLOSING, Case, State, case_item
from recovery.closing.marks import by_policy
from recovery.dead_letters.archived import to_record
from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.log_links import log_link
from recovery.dead_letters.messages import is_by_content
from recovery.dead_letters.notices import kind_of, pages
from recovery.dead_letters.situation import Unconfirmed
from recovery.dead_letters.verdicts import AlertVerdict, ArchiveVerdict, Finish, Heal, Hide, Leave
from recovery.dead_letters.work import PATH
from recovery.failures import BodyShape, Origin
from recovery.ledger_writes import LedgerWrite, put
from recovery.report import Entry

KEEP_SENT = timedelta(days=30)
"""A sent message may come back until SQS's longest retention (14 days) and the longest wait are over."""


def cases(item: MessageWork, batch: Batch, now: datetime, archive_keep: timedelta) -> Iterator[Case]:
    """The cases to write for one message: for its action, if that went through so far; else only that it is back."""
    verdict = item.verdict
    if item.failure is not None or isinstance(verdict, Leave):
        # Without this a message that lies here would count as recovered once its settle time is over.
        if item.history is not None and item.history.state is State.SENT and item.message.lease_until > now:
            yield _back(item, batch, now)
        return
    if isinstance(verdict, Finish):
        if not verdict.archived and item.unconfirmed is not None:
            yield from _case_of_confirmed(item, batch, item.unconfirmed, now)
        return
    if isinstance(verdict, Heal) and item.new_id:
        key = new_key(item)
        yield _case(
            item,
            batch,
            key,
            State.SENT,
            now + verdict.delay,
            now + KEEP_SENT,
            attempts=verdict.attempt,
            tries=verdict.tries,
            reason=verdict.reason,
            detail={**_history(item, key), **({"probe": verdict.probe} if verdict.probe else {})},
        )
        if item.history is not None and key != item.identity:
            yield replace(item.history, state=State.SUPERSEDED, changed=now, detail={"next": key})
    elif isinstance(verdict, Hide):
        if _waits_on(item, verdict):
            return
        yield _case(
            item,
            batch,
            item.identity,
            State.BACKOFF,
            now,
            now + KEEP_SENT,
            attempts=verdict.attempt - 1,
            due=verdict.due,
            reason=verdict.reason,
            detail={**_history(item, item.identity), **({"circuit": item.circuit} if verdict.gated else {})},
        )
    elif isinstance(verdict, ArchiveVerdict | AlertVerdict) and item.pointer is not None:
        # A business id may stand on many messages, but each archived message needs a case of its own.
        detail = {
            **_history(item, item.message.message_id),
            "archive": item.pointer.as_json(),
            "id": item.message.message_id,
            "origin": item.message.origin.value,
            "identity": item.identity,
            "content": item.content,
            "arn": batch.queue.arn,
            "alert": isinstance(verdict, AlertVerdict),
            "error": item.error,
            "step": verdict.next_step,
        }
        quiet = isinstance(verdict, ArchiveVerdict) and not batch.policy.archived_waits
        if verdict.state is State.ARCHIVED and quiet:
            detail[CLOSING] = by_policy(now)
        yield _case(
            item,
            batch,
            item.message.message_id,
            verdict.state,
            now,
            now + archive_keep,
            attempts=_attempts(item),
            reason=verdict.reason,
            detail=detail,
        )
        if item.history is not None and item.identity != item.message.message_id:
            yield replace(item.history, state=State.SUPERSEDED, changed=now, detail={"next": item.message.message_id})


def _back(item: MessageWork, batch: Batch, now: datetime) -> Case:
    """The case of a message that came back and stays; it keeps its probe until its circuit has counted it."""
    assert item.history is not None
    waits = item.spoke_to and item.spoke_to in batch.circuit_changes
    detail = item.history.detail if waits else {**item.history.detail, "counted": True}
    return replace(item.history, state=State.BACK, changed=now, detail=detail)


def _case_of_confirmed(item: MessageWork, batch: Batch, sent: Unconfirmed, now: datetime) -> Iterator[Case]:
    """Yield the case of a send that an interrupted run confirmed and did not get to record."""
    key = item.identity if item.message.origin is Origin.UNKNOWN else sent.new_id
    if item.history is not None and item.history.key == key and item.history.attempts >= sent.attempt:
        return
    yield _case(
        item,
        batch,
        key,
        State.SENT,
        # Not now: a case that changed after its copy had arrived would speak of a later send.
        min(now, batch.begun.get(sent.intent, now)),
        now + KEEP_SENT,
        attempts=sent.attempt,
        tries=sent.tries,
        reason="sent by an earlier run that was interrupted",
        detail=_history(item, key),
    )
    if item.history is not None and key != item.identity:
        yield replace(item.history, state=State.SUPERSEDED, changed=now, detail={"next": key})


def write(case: Case) -> LedgerWrite:
    """A case as a write for the ledger."""
    return put(case_item(case))


def new_key(item: MessageWork) -> str:
    """The key under which a message that is sent now will be found when it comes back."""
    by_work = item.message.origin is Origin.UNKNOWN or is_by_content(item.identity)
    return item.identity if by_work else item.new_id


def archive_record(item: MessageWork, batch: Batch, now: datetime) -> dict[str, Any]:
    """One line of a bundle: the message unchanged, and everything that is known about its failure."""
    diagnosis = item.diagnosis
    record = {
        "path": PATH,
        "archived_at": now.isoformat(),
        **to_record(item.message),
        "first_seen": (item.history.first_seen if item.history else now).isoformat(),
        "attempts": _attempts(item),
        "verdict": {"action": item.verdict.action, "reason": item.verdict.reason},
        "evidence": {
            "source": item.evidence.source,
            "error": item.evidence.error,
            "attributes": dict(item.evidence.attributes),
        },
        "diagnosis": None
        if diagnosis is None
        else {
            "kind": diagnosis.kind.value,
            "rule": diagnosis.rule,
            "reason": diagnosis.reason,
            "quote": diagnosis.quote,
            "group": item.group,
            "normalised": item.error,
        },
    }
    if item.damaged is not None:  # the case of this copy may take its place
        record["damaged_case"] = json.dumps(dict(item.damaged.kept), default=str)
    if link := log_link(item.message, item.log_group or batch.policy.log_group or "", batch.queue.region):
        record["log"] = link
    if payload_of(item) is not None:
        record["payload_copy"] = payload_copy_key(item)
    return record


def payload_of(item: MessageWork) -> tuple[str, str] | None:
    """Bucket and key that an extended-client pointer names, or None.

    Source: both spellings of the pointer's class name, aws-facts on the SQS extended client.
    """
    if item.message.shape is not BodyShape.EXTENDED_POINTER:
        return None
    pointer = json.loads(item.message.body)[1]
    bucket, key = pointer.get("s3BucketName"), pointer.get("s3Key")
    return (bucket, key) if isinstance(bucket, str) and isinstance(key, str) and bucket and key else None


def payload_copy_key(item: MessageWork) -> str:
    """Return the archive's key for the copy of a pointer's payload."""
    return f"payloads/path={PATH}/{item.message.message_id}"


def entry(item: MessageWork, batch: Batch) -> Entry:
    """Return the report's entry of one message."""
    verdict = item.verdict
    settled = item.failure is None
    attempt = verdict.attempt if isinstance(verdict, Heal | Hide) else _attempts(item)
    next_step = verdict.next_step if isinstance(verdict, ArchiveVerdict | AlertVerdict | Leave) else ""
    return Entry(
        key=item.message.message_id,
        source=batch.queue.name,
        action=verdict.action,
        reason=verdict.reason if item.failure is None else f"{verdict.reason}; did not go through: {item.failure}",
        kind=kind_of(item),
        diagnosis=item.diagnosis.rule if item.diagnosis else (item.history.rule if item.history else ""),
        rule=verdict.rule,
        group=item.group or (item.history.group if item.history else ""),
        error=item.error,
        attempt=attempt,
        max_attempts=batch.policy.max_attempts,
        settled=settled,
        next_step=next_step,
        exhausted=isinstance(verdict, ArchiveVerdict | AlertVerdict) and verdict.state is State.EXHAUSTED,
        became=new_key(item) if isinstance(verdict, Heal) and item.new_id else "",
        pages=pages(item, batch.queue) if next_step or not settled else (),
    )


def _case(
    item: MessageWork, batch: Batch, key: str, state: State, changed: datetime, expires: datetime, **more: Any
) -> Case:
    history = item.history
    return Case(
        path=PATH,
        key=key,
        source=batch.queue.name,
        state=state,
        kind=kind_of(item),
        rule=item.diagnosis.rule if item.diagnosis else (history.rule if history else ""),
        group=item.group or (history.group if history else ""),
        first_seen=history.first_seen if history else min(changed, item.message.first_received_at),
        changed=changed,
        expires=expires,
        **more,
    )


def _waits_on(item: MessageWork, verdict: Hide) -> bool:
    """True when it waits for the same circuit already: its case need not be written again each time it is met."""
    history = item.history
    return (
        verdict.gated
        and history is not None
        and history.state is State.BACKOFF
        and history.detail.get("circuit") == item.circuit
        and history.attempts == verdict.attempt - 1
    )


def _attempts(item: MessageWork) -> int:
    return item.history.attempts if item.history else 0


def _history(item: MessageWork, key: str) -> dict[str, Any]:
    """Earlier ids of the same message, so that its story can be shown from any of them, bounded; and a mark on evidence
    that was matched by time."""
    history = item.history
    before = [*history.detail.get("earlier", []), history.key] if history is not None else []
    earlier = [known for known in dict.fromkeys([*before, item.message.message_id]) if known != key]
    kept: dict[str, Any] = {"earlier": earlier[-20:]} if earlier else {}
    if item.by_time:
        kept["evidence"] = "time"
    return kept
