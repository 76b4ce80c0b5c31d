"""The rules as a table: what is known, and the verdict that follows. The ids are those beside the rules."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recovery.backoff import Backoff
from recovery.cases import State
from recovery.dead_letters import rules
from recovery.dead_letters.actions import Action, WithoutEvidence
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.rules import MOST_HIDDEN, decide
from recovery.dead_letters.situation import Gate, Known, Unconfirmed
from recovery.dead_letters.verdicts import AlertVerdict, ArchiveVerdict, Finish, Heal, Hide, Leave, Verdict
from recovery.failures import Kind, Origin
from tests.unit.dead_letters.samples import (
    GROUP,
    NOW,
    SOURCE_URL,
    case,
    diagnosis,
    fifo_queue,
    known,
    message,
    queue,
    seconds,
)

DAY = timedelta(days=1)
FIFO_URL = SOURCE_URL + ".fifo"
SENT_UNKNOWN = Unconfirmed(attempt=2, tries=1, sent=False, same_message=True)


@dataclass(frozen=True)
class Row:
    """One line of the table: with these facts, that verdict, with those of its fields."""

    rule: str
    what: str
    facts: Known
    verdict: type[Verdict]
    says: dict[str, Any] = field(default_factory=dict)
    policy: DeadLetterPolicy = field(default_factory=lambda: DeadLetterPolicy())
    jitter: float = 1.0
    spread: timedelta = timedelta(0)


def waiting(due_in: float, **changes: Any) -> Any:
    """A case whose next attempt (the second) is due in so many seconds."""
    return case(State.BACKOFF, attempts=1, due=NOW + seconds(due_in), **changes)


def policy(**fields: Any) -> DeadLetterPolicy:
    return DeadLetterPolicy(**fields)


def held(left: float, **changes: Any) -> Any:
    return message(lease_until=NOW + seconds(left), **changes)


def texts(**values: str) -> dict[str, dict[str, str]]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def from_scheduler(**values: str) -> Any:
    return message(origin=Origin.SCHEDULER, attributes=texts(**values))


ALARM = Gate(rule="alarm", reason="the alarm orders-down is in ALARM", again=NOW + seconds(900))
SHUT = Gate(rule="circuit", reason="the circuit of its group is open", again=NOW + seconds(1800), mark="g/2")
PROBE = replace(SHUT, passes=True)


TABLE = [
    # -- lease: nothing is done when this run's hold on the message is about to end
    Row("lease", "29 s are left", known(message=held(29)), Leave),
    Row("lease", "30 s are left: it goes on", known(message=held(30)), Heal),
    Row(
        "lease",
        "not even completing what was begun",
        known(message=held(0), unconfirmed=Unconfirmed(1, 1, sent=True, same_message=True)),
        Leave,
    ),
    # -- cut, target-gone: the message came from EventBridge or Scheduler, and its own target failed
    Row(
        "cut",
        "Scheduler cut its payload, whatever the failure was",
        known(message=from_scheduler(IS_PAYLOAD_TRUNCATED="TRUE"), destination=""),
        AlertVerdict,
        {"state": State.PARKED, "rule": "cut"},
    ),
    Row(
        "cut",
        "a whole payload is triaged as any other",
        known(message=from_scheduler(IS_PAYLOAD_TRUNCATED="false")),
        AlertVerdict,
        {"rule": "other-target"},
    ),
    Row(
        "target-gone",
        "a schedule's queue",
        known(
            message=from_scheduler(ERROR_CODE="AWS.SimpleQueueService.NonExistentQueue"),
            diagnosis=diagnosis(Kind.VALIDATION_ERROR),
        ),
        AlertVerdict,
        {"state": State.WAITING, "rule": "target-gone"},
    ),
    Row(
        "target-gone",
        "a rule's target",
        known(
            message=message(origin=Origin.EVENTBRIDGE, attributes=texts(ERROR_CODE="NO_RESOURCE")),
            diagnosis=diagnosis(Kind.VALIDATION_ERROR),
        ),
        AlertVerdict,
        {"state": State.WAITING, "rule": "target-gone"},
    ),
    Row(
        "target-gone",
        "words of a consumer's own attribute say nothing of a target",
        known(message=message(attributes=texts(ERROR_CODE="NO_RESOURCE")), diagnosis=diagnosis(Kind.VALIDATION_ERROR)),
        ArchiveVerdict,
        {"rule": "action-archive"},
    ),
    # -- finish: what an interrupted run began
    Row(
        "finish",
        "sent and recorded",
        known(unconfirmed=Unconfirmed(1, 1, sent=True, same_message=True)),
        Finish,
        {"archived": False},
    ),
    Row(
        "finish",
        "archived and recorded",
        known(own=case(State.PARKED, detail={"archive": {"key": "k", "line": 0}, "id": "m-1"})),
        Finish,
        {"archived": True},
    ),
    Row(
        "finish",
        "archived, and replayed since",
        known(own=case(State.REPLAYED, detail={"archive": {"key": "k", "line": 0}, "id": "m-1"})),
        Finish,
        {"archived": True},
    ),
    Row(
        "finish",
        "another message of the same business id was archived, not this one",
        known(history=case(State.SUPERSEDED, detail={"archive": {"key": "k", "line": 0}, "id": "m-0"})),
        Heal,
        {"attempt": 2},
    ),
    Row("finish", "removed by this run, and handed out again", known(removed=True), Finish, {"archived": True}),
    Row(
        "backlog",
        "left, and later runs reach it too late",
        known(diagnosis=None, reach=DAY * 13 + seconds(86_400)),
        ArchiveVerdict,
        {"state": State.STALE},
    ),
    Row("backlog", "left, and reached in time", known(diagnosis=None, reach=DAY), Leave),
    Row("backlog", "sent all the same", known(reach=DAY * 14), Heal),
    Row(
        "finish",
        "even when it would expire: the copy is safe",
        known(message=message(age=14 * DAY), unconfirmed=Unconfirmed(1, 1, sent=True, same_message=True)),
        Finish,
    ),
    # -- damaged-case
    Row("damaged-case", "what was tried before is not known", known(damaged="the item"), Leave),
    Row("damaged-case", "whatever it is", known(damaged="x", message=message(origin=Origin.S3_TEST_EVENT)), Leave),
    Row("damaged-case", "without evidence", known(damaged="the item", diagnosis=None), Leave),
    Row("damaged-case", "however old", known(damaged="the item"), Leave, policy=policy(max_age_seconds=60)),
    Row("damaged-case", "a try may be under way", known(damaged="the item", unconfirmed=SENT_UNKNOWN), Leave),
    Row(
        "damaged-case",
        "sent already: only the original is left",
        known(damaged="the item", unconfirmed=Unconfirmed(1, 1, sent=True, same_message=True)),
        Finish,
    ),
    Row(
        "damaged-case",
        "it lives just long enough",
        known(damaged="the item", message=message(age=14 * DAY - seconds(630))),
        Leave,
    ),
    Row(
        "damaged-case",
        "before its queue drops it, it is rescued",
        known(damaged="the item", message=message(age=14 * DAY - seconds(629))),
        ArchiveVerdict,
        {"state": State.STALE},
    ),
    # -- damaged-intent
    Row("damaged-intent", "what was being sent is not known", known(unreadable="the item"), Leave),
    Row("damaged-intent", "a copy of it may be on its way", known(unreadable="x", unconfirmed=SENT_UNKNOWN), Leave),
    Row(
        "damaged-intent",
        "another send intent says that it was sent",
        known(unreadable="the item", unconfirmed=Unconfirmed(1, 1, sent=True, same_message=True)),
        Finish,
    ),
    Row(
        "damaged-intent",
        "before its queue drops it, it is rescued",
        known(unreadable="the item", message=message(age=14 * DAY - seconds(629))),
        ArchiveVerdict,
        {"state": State.STALE},
    ),
    # -- no-failure
    Row("no-failure", "an S3 test event", known(message=message(origin=Origin.S3_TEST_EVENT)), ArchiveVerdict),
    Row("no-failure", "a record of a success", known(message=message(origin=Origin.SUCCESS_RECORD)), ArchiveVerdict),
    Row(
        "no-failure",
        "whatever its text was taken for",
        known(message=message(origin=Origin.S3_TEST_EVENT), diagnosis=diagnosis(Kind.AUTH_FAILURE)),
        ArchiveVerdict,
        {"state": State.ARCHIVED},
    ),
    # -- rescue: two sweeps of 300 s and the margin of 30 s
    Row(
        "rescue",
        "it expires a second too early",
        known(message=message(age=14 * DAY - seconds(629))),
        ArchiveVerdict,
        {"state": State.STALE},
    ),
    Row("rescue", "it lives just long enough", known(message=message(age=14 * DAY - seconds(630))), Heal),
    Row(
        "rescue",
        "without any evidence, too",
        known(message=message(age=14 * DAY - seconds(60)), diagnosis=None),
        ArchiveVerdict,
        {"state": State.STALE},
    ),
    Row(
        "rescue",
        "while it waits for its next attempt",
        known(message=message(age=14 * DAY - seconds(60)), history=waiting(3600)),
        ArchiveVerdict,
        {"state": State.STALE},
    ),
    Row(
        "rescue",
        "sweeps further apart rescue earlier",
        known(message=message(age=13 * DAY + timedelta(hours=22, minutes=1))),
        ArchiveVerdict,
        {"state": State.STALE},
        policy=policy(sweep_seconds=3600),
    ),
    # -- stale
    Row(
        "stale",
        "older than max_age",
        known(message=message(age=seconds(3601))),
        ArchiveVerdict,
        {"state": State.STALE},
        policy=policy(max_age_seconds=3600),
    ),
    Row(
        "stale", "exactly max_age", known(message=message(age=seconds(3600))), Heal, policy=policy(max_age_seconds=3600)
    ),
    Row("stale", "no max_age, any age", known(message=message(age=13 * DAY)), Heal),
    # -- early
    Row(
        "early",
        "it shows up before its time",
        known(history=waiting(1)),
        Hide,
        {"due": NOW + seconds(1), "until": NOW + seconds(1), "attempt": 2, "hidden": True},
    ),
    Row(
        "early",
        "even when nothing speaks of its failure any more",
        known(history=waiting(600), diagnosis=None, group=""),
        Hide,
        {"due": NOW + seconds(600)},
    ),
    Row(
        "early",
        "due in 12 hours: hidden for 11 of them",
        known(history=waiting(12 * 3600)),
        Hide,
        {"due": NOW + timedelta(hours=12), "until": NOW + timedelta(hours=11)},
    ),
    Row(
        "early",
        "its queue counts every receive: it waits visibly",
        known(history=waiting(600), queue=queue(has_redrive=True)),
        Hide,
        {"hidden": False},
    ),
    # -- no-evidence
    Row("no-evidence", "nothing is known: it stays", known(diagnosis=None, group=""), Leave),
    Row(
        "no-evidence",
        "the policy archives such messages",
        known(diagnosis=None, group=""),
        ArchiveVerdict,
        {"state": State.ARCHIVED},
        policy=policy(without_evidence=WithoutEvidence.ARCHIVE),
    ),
    Row(
        "no-evidence",
        "the log could not be read yet: it stays, whatever the policy",
        known(diagnosis=None, group="", evidence_pending="the log is not there yet"),
        Leave,
        {"reason": "the log is not there yet"},
        policy=policy(without_evidence=WithoutEvidence.ARCHIVE),
    ),
    Row(
        "no-evidence",
        "a message of Lambda without evidence stays as well",
        known(diagnosis=None, message=message(origin=Origin.LAMBDA_ASYNC)),
        Leave,
    ),
    # -- action-leave, action-archive, action-alert
    Row(
        "action-leave", "the policy leaves a kind", known(), Leave, policy=policy(actions={Kind.TIMEOUT: Action.LEAVE})
    ),
    Row("action-archive", "validation", known(diagnosis=diagnosis(Kind.VALIDATION_ERROR)), ArchiveVerdict),
    Row("action-archive", "payload", known(diagnosis=diagnosis(Kind.BAD_PAYLOAD)), ArchiveVerdict),
    Row(
        "action-archive",
        "unknown, for review",
        known(diagnosis=diagnosis(Kind.UNKNOWN, rule="none")),
        ArchiveVerdict,
        {"state": State.ARCHIVED},
    ),
    Row(
        "action-archive",
        "a critical queue notifies of what it archives",
        known(diagnosis=diagnosis(Kind.VALIDATION_ERROR)),
        AlertVerdict,
        {"state": State.ARCHIVED},
        policy=policy(notify=True),
    ),
    Row(
        "action-alert",
        "authentication",
        known(diagnosis=diagnosis(Kind.AUTH_FAILURE)),
        AlertVerdict,
        {"state": State.PARKED},
    ),
    Row("action-alert", "a bug", known(diagnosis=diagnosis(Kind.CODE_BUG)), AlertVerdict, {"state": State.PARKED}),
    Row(
        "action-alert",
        "an alert holds for other origins, too",
        known(diagnosis=diagnosis(Kind.AUTH_FAILURE), message=message(origin=Origin.EVENTBRIDGE)),
        AlertVerdict,
        {"state": State.PARKED},
    ),
    Row(
        "action-archive",
        "the group speaks before rule and kind",
        known(),
        ArchiveVerdict,
        policy=policy(
            group_actions={GROUP: Action.ARCHIVE},
            rule_actions={"http.504": Action.ALERT},
            actions={Kind.TIMEOUT: Action.LEAVE},
        ),
    ),
    Row(
        "action-alert",
        "the rule speaks before the rule file and the kind",
        known(diagnosis=diagnosis(action="heal")),
        AlertVerdict,
        policy=policy(rule_actions={"http.504": Action.ALERT}, actions={Kind.TIMEOUT: Action.LEAVE}),
    ),
    Row(
        "action-archive",
        "the rule file speaks before the kind",
        known(diagnosis=diagnosis(action="archive")),
        ArchiveVerdict,
        policy=policy(actions={Kind.TIMEOUT: Action.LEAVE}),
    ),
    Row(
        "action-leave",
        "a waiting message follows a policy that changed",
        known(history=waiting(-1)),
        Leave,
        policy=policy(group_actions={GROUP: Action.LEAVE}),
    ),
    # -- heal-off
    Row(
        "heal-off",
        "not safe to process twice",
        known(),
        AlertVerdict,
        {"state": State.PARKED},
        policy=policy(heal=False),
    ),
    Row(
        "heal-off",
        "switched off while a message waits",
        known(history=waiting(-1)),
        AlertVerdict,
        {"state": State.PARKED},
        policy=policy(heal=False),
    ),
    Row(
        "heal-off",
        "archiving goes on",
        known(diagnosis=diagnosis(Kind.BAD_PAYLOAD)),
        ArchiveVerdict,
        policy=policy(heal=False),
    ),
    # -- other-target
    *[
        Row(
            "other-target",
            f"transient, from {origin.value}",
            known(message=message(origin=origin), destination=SOURCE_URL),
            AlertVerdict,
            {"state": State.WAITING},
        )
        for origin in (
            Origin.LAMBDA_ASYNC,
            Origin.LAMBDA_DESTINATION,
            Origin.LAMBDA_ESM,
            Origin.EVENTBRIDGE,
            Origin.SCHEDULER,
            Origin.PIPES,
            Origin.SNS,
        )
    ],
    # -- no-destination
    Row("no-destination", "nowhere to go", known(destination=""), AlertVerdict, {"state": State.PARKED}),
    Row(
        "no-destination",
        "not even when only one queue feeds this one",
        known(
            destination="",
            message=message(origin=Origin.UNKNOWN, system={"DeadLetterQueueSourceArn": ""}),
            queue=queue(sources={"arn:aws:sqs:eu-west-1:123456789012:orders": SOURCE_URL}),
        ),
        AlertVerdict,
        {"state": State.PARKED},
    ),
    Row(
        "no-destination",
        "its queue went away while it waited",
        known(destination="", history=waiting(-1)),
        AlertVerdict,
        {"state": State.PARKED},
    ),
    # -- unconfirmed: three sends of one attempt
    Row(
        "unconfirmed",
        "two tries: a third",
        known(unconfirmed=Unconfirmed(1, 2, sent=False, same_message=True)),
        Heal,
        {"attempt": 1, "tries": 3},
    ),
    Row(
        "unconfirmed",
        "three tries: a person",
        known(unconfirmed=Unconfirmed(1, 3, sent=False, same_message=True)),
        AlertVerdict,
        {"state": State.EXHAUSTED},
    ),
    Row(
        "unconfirmed",
        "three tries of a message that waits",
        known(history=waiting(-1), unconfirmed=Unconfirmed(2, 3, sent=False, same_message=True)),
        AlertVerdict,
        {"state": State.EXHAUSTED},
    ),
    Row(
        "unconfirmed",
        "a copy whose send was not confirmed has had that attempt",
        known(unconfirmed=Unconfirmed(3, 2, sent=False, same_message=False)),
        Heal,
        {"attempt": 4, "tries": 1},
        policy=policy(backoff=Backoff(base_seconds=60, cap_seconds=60)),
    ),
    # -- exhausted
    Row("exhausted", "the last of four attempts", known(history=case(attempts=3)), Hide, {"attempt": 4}),
    Row("exhausted", "after four attempts", known(history=case(attempts=4)), AlertVerdict, {"state": State.EXHAUSTED}),
    Row(
        "exhausted",
        "a copy of the last attempt",
        known(unconfirmed=Unconfirmed(4, 1, sent=False, same_message=False)),
        AlertVerdict,
        {"state": State.EXHAUSTED},
    ),
    Row(
        "exhausted",
        "max_attempts was lowered while it waited",
        known(history=waiting(-1)),
        AlertVerdict,
        {"state": State.EXHAUSTED},
        policy=policy(max_attempts=1),
    ),
    # -- due
    Row(
        "due",
        "its wait is over: no new jitter",
        known(history=waiting(0)),
        Heal,
        {"attempt": 2, "tries": 1, "delay": seconds(0)},
    ),
    Row("due", "its evidence is gone", known(history=waiting(-1), diagnosis=None, group=""), Heal, {"attempt": 2}),
    Row(
        "due",
        "as one of many: its place in the rate",
        known(history=waiting(-1)),
        Heal,
        {"delay": seconds(7)},
        spread=seconds(7),
    ),
    Row(
        "due",
        "too many for SQS's delay: it waits on, without new jitter",
        known(history=waiting(-1)),
        Hide,
        {"due": NOW + seconds(901), "attempt": 2},
        spread=seconds(901),
    ),
    Row(
        "due",
        "the send of this attempt was not confirmed",
        known(history=waiting(-1), unconfirmed=SENT_UNKNOWN),
        Heal,
        {"attempt": 2, "tries": 2},
    ),
    # -- follows
    Row(
        "follows",
        "its group goes now",
        known(queue=fifo_queue(), destination=FIFO_URL, follows=True),
        Heal,
        {"delay": seconds(0), "attempt": 1},
    ),
    Row(
        "follows",
        "but not past its attempts",
        known(queue=fifo_queue(), destination=FIFO_URL, follows=True, history=case(attempts=4)),
        AlertVerdict,
        {"state": State.EXHAUSTED},
    ),
    # -- delay
    Row("delay", "the first attempt, all of the wait", known(), Heal, {"delay": seconds(60), "attempt": 1, "tries": 1}),
    Row("delay", "the first attempt, half of it", known(), Heal, {"delay": seconds(30)}, jitter=0.0),
    Row("delay", "the second attempt", known(history=case(attempts=1)), Heal, {"delay": seconds(600), "attempt": 2}),
    Row(
        "delay",
        "exactly SQS's longest delay",
        known(),
        Heal,
        {"delay": seconds(900)},
        policy=policy(backoff=Backoff(base_seconds=900)),
    ),
    Row(
        "delay",
        "a second more is spent hidden",
        known(),
        Hide,
        {"due": NOW + seconds(901), "attempt": 1, "hidden": True},
        policy=policy(backoff=Backoff(base_seconds=900)),
        spread=seconds(1),
    ),
    Row(
        "delay",
        "FIFO takes no delay: hidden",
        known(queue=fifo_queue(), destination=FIFO_URL),
        Hide,
        {"due": NOW + seconds(60), "hidden": True},
    ),
    Row(
        "delay",
        "a FIFO destination takes none either",
        known(destination=FIFO_URL, message=message(origin=Origin.UNKNOWN)),
        Hide,
        {"due": NOW + seconds(60)},
    ),
    Row(
        "delay",
        "FIFO, and a wait of less than a second",
        known(queue=fifo_queue(), destination=FIFO_URL),
        Heal,
        {"attempt": 1},
        policy=policy(backoff=Backoff(base_seconds=1)),
        jitter=0.5,
    ),
    Row(
        "delay",
        "the fourth attempt: 6 hours",
        known(history=case(attempts=3)),
        Hide,
        {"due": NOW + timedelta(hours=6), "until": NOW + timedelta(hours=6)},
    ),
    Row(
        "delay",
        "the queue cannot hide: SQS's longest delay",
        known(history=case(attempts=3), queue=queue(has_redrive=True)),
        Heal,
        {"delay": seconds(900), "attempt": 4},
    ),
    Row(
        "delay",
        "as many are hidden as may be: it keeps its wait, visibly",
        known(history=case(attempts=3), hidden=MOST_HIDDEN),
        Hide,
        {"hidden": False, "due": NOW + timedelta(hours=6), "attempt": 4},
    ),
    Row("delay", "one less is hidden", known(history=case(attempts=3), hidden=MOST_HIDDEN - 1), Hide, {"hidden": True}),
    Row(
        "delay",
        "it would not outlive the wait by two sweeps",
        known(history=case(attempts=3), message=message(age=14 * DAY - timedelta(hours=6) - seconds(600))),
        Heal,
        {"delay": seconds(900)},
    ),
    Row(
        "delay",
        "it outlives the wait by a second more",
        known(history=case(attempts=3), message=message(age=14 * DAY - timedelta(hours=6) - seconds(601))),
        Hide,
        {"hidden": True},
    ),
    Row(
        "delay",
        "FIFO that cannot hide: it waits visibly",
        known(queue=fifo_queue(has_redrive=True), destination=FIFO_URL),
        Hide,
        {"hidden": False, "due": NOW + seconds(60)},
    ),
    Row(
        "delay",
        "a FIFO attempt that was begun has waited",
        known(queue=fifo_queue(), destination=FIFO_URL, unconfirmed=Unconfirmed(1, 1, sent=False, same_message=True)),
        Heal,
        {"attempt": 1, "tries": 2},
    ),
    # -- alarm, probe, circuit: what would be sent now passes its gate, or waits there
    Row(
        "alarm",
        "an alarm holds everything back",
        known(gate=ALARM),
        Hide,
        {"until": NOW + seconds(900), "attempt": 1, "gated": True, "hidden": True},
    ),
    Row(
        "alarm",
        "a send that was begun waits too",
        known(gate=ALARM, unconfirmed=Unconfirmed(1, 1, sent=False, same_message=True)),
        Hide,
    ),
    Row(
        "alarm",
        "the queue cannot hide it: visibly",
        known(gate=ALARM, queue=queue(has_redrive=True)),
        Hide,
        {"hidden": False},
    ),
    Row("probe", "there is room", known(gate=PROBE), Heal, {"probe": "g/2", "attempt": 1, "delay": seconds(60)}),
    Row(
        "circuit",
        "there is none: no attempt is used",
        known(gate=SHUT, history=case(attempts=1)),
        Hide,
        {"until": NOW + seconds(1800), "attempt": 2, "hidden": True, "gated": True},
    ),
    Row("circuit", "no room to hide", known(gate=SHUT, hidden=MOST_HIDDEN), Hide, {"hidden": False}),
    Row(
        "circuit",
        "its circuit is asked again before what was foreseen",
        known(gate=SHUT, history=waiting(60, detail={"circuit": "g"})),
        Hide,
    ),
    Row(
        "due",
        "its circuit has closed before what was foreseen",
        known(history=waiting(60, detail={"circuit": "g"})),
        Heal,
        {"attempt": 2, "delay": timedelta(0)},
    ),
    Row(
        "circuit",
        "it expires before its circuit is asked: until the rescue",
        known(gate=SHUT, message=message(age=14 * DAY - seconds(1200))),
        Hide,
        {"until": NOW + seconds(600)},
    ),
    Row("early", "its own wait comes first", known(gate=PROBE, history=waiting(60)), Hide),
    Row(
        "exhausted", "a circuit keeps no message from its end", known(gate=SHUT, history=case(attempts=4)), AlertVerdict
    ),
    Row(
        "delay",
        "a send that was begun belongs to the round",
        known(gate=SHUT, unconfirmed=Unconfirmed(1, 1, sent=False, same_message=True)),
        Heal,
        {"tries": 2, "probe": "g/2"},
    ),
    Row("delay", "where every receive counts nothing waits", known(gate=SHUT, queue=queue(has_redrive=True)), Heal),
    Row(
        "backlog",
        "what waits is archived when later runs reach it too late",
        known(gate=SHUT, message=message(age=13 * DAY), reach=2 * DAY),
        ArchiveVerdict,
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=[f"{n:02d} {row.rule}: {row.what}" for n, row in enumerate(TABLE)])
def test_rule(row: Row) -> None:
    """The verdict is the one of the table, and it gives a reason."""
    verdict = decide(row.facts, row.policy, NOW, row.jitter, row.spread)
    assert type(verdict) is row.verdict, verdict
    assert {name: getattr(verdict, name) for name in row.says} == row.says
    assert verdict.reason


def test_every_rule_is_in_the_table_and_on_the_page() -> None:
    """The ids beside the rules, in the table and in the page's sentences are the same; the page keeps the order."""
    code = Path(rules.__file__).read_text(encoding="utf-8")
    page = (Path(rules.__file__).parents[2] / "docs/paths/dead_letters.md").read_text(encoding="utf-8")
    beside = re.findall(r":  # ([a-z-]+)$", code, re.MULTILINE)
    sentences = re.findall(r"^\d+\. \*\*([a-z-]+)\*\*", page, re.MULTILINE)
    assert beside == sentences
    assert {row.rule for row in TABLE} == set(beside)
    decided = {decide(row.facts, row.policy, NOW, row.jitter, row.spread).rule for row in TABLE}
    assert decided == set(beside), "the ids that a report can show"


@pytest.mark.parametrize("kind", Kind)
def test_what_a_person_reads(kind: Kind) -> None:
    """Whatever is parked says what to do next."""
    verdict = decide(known(diagnosis=diagnosis(kind)), DeadLetterPolicy(heal=False), NOW, 0.5, timedelta(0))
    assert isinstance(verdict, AlertVerdict | ArchiveVerdict)
    assert verdict.next_step


def test_a_group_of_one_kind_is_distinguished() -> None:
    """A policy for one group says nothing of another."""
    other = replace(known(), group="fedcba9876543210")
    narrow = DeadLetterPolicy(group_actions={GROUP: Action.ARCHIVE})
    assert isinstance(decide(other, narrow, NOW, 0.5, timedelta(0)), Heal)


def test_a_policy_may_heal_messages_about_which_nothing_is_known() -> None:
    """Only when it says so, never before the log has spoken, and within the attempts."""
    policy = DeadLetterPolicy(without_evidence=WithoutEvidence.HEAL)
    mute = known(diagnosis=None, searched="no line of log group /g names it")
    first = decide(mute, policy, NOW, 0.5, timedelta(0))
    assert isinstance(first, Heal)
    assert (first.attempt, first.tries) == (1, 1)
    assert "nothing says why it failed" in first.reason
    waits = known(diagnosis=None, evidence_pending="lines may be late")
    assert isinstance(decide(waits, policy, NOW, 0.5, timedelta(0)), Leave)
    back = known(diagnosis=None, history=case(kind="", attempts=4))
    spent = decide(back, policy, NOW, 0.5, timedelta(0))
    assert isinstance(spent, AlertVerdict)
    assert spent.state is State.EXHAUSTED
    assert isinstance(decide(known(diagnosis=None, destination=""), policy, NOW, 0.5, timedelta(0)), AlertVerdict)
    assert isinstance(decide(mute, DeadLetterPolicy(), NOW, 0.5, timedelta(0)), Leave)
