"""Compare the ends of the demo's messages in AWS with the expected ones, place by place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set

from demo.messages_expected import CARRIED_OUT, LEFT, Destiny, order_id
from demo.messages_in_aws import MessagesInAws

NOTIFIED = frozenset({"parked", "waiting", "exhausted", "replayed"})
"""States of cases about which a person must have been notified."""

Expected = Mapping[str, Destiny]
"""By the message's key (`MessagesInAws.key`)."""


def differences(expected: Expected, messages: MessagesInAws, carried_out: Set[str]) -> list[str]:
    """Return the differences, each as a line for a person.

    Args:
        expected: every message that there was.
        messages: reads AWS.
        carried_out: ids of the orders that the shop's service carried out.
    """
    return [
        *_queues(expected, messages),
        *_orders(expected, carried_out),
        *_archive(expected, messages),
        *_ledger(expected, messages),
        *_alerts(expected, messages),
    ]


def _queues(expected: Expected, messages: MessagesInAws) -> Iterator[str]:
    for message in messages.with_consumer():
        yield f"{expected[message.key].name} still lies in {message.queue}"
    there = Counter(message.key for message in messages.dead())
    wanted = Counter(key for key, destiny in expected.items() if destiny.place == LEFT)
    yield from (f"{expected[key].name} still lies in a dead-letter queue" for key in (there - wanted).elements())
    yield from (f"{expected[key].name} was not left where it was" for key in (wanted - there).elements())


def _orders(expected: Expected, carried_out: Set[str]) -> Iterator[str]:
    wanted = {order_id(key) for key, destiny in expected.items() if destiny.place == CARRIED_OUT}
    yield from (f"{order} was not carried out" for order in sorted(wanted - carried_out))
    yield from (f"{order} was carried out, and should not have been" for order in sorted(carried_out - wanted))


def _archive(expected: Expected, messages: MessagesInAws) -> Iterator[str]:
    cases = messages.cases()
    kept: dict[str, list[tuple[str, str]]] = {key: [] for key in expected}
    for copy in messages.archived():
        if copy.message not in kept:
            yield f"{copy.key} line {copy.line} holds a message that was never sent"
            continue
        name, case = expected[copy.message].name, cases.get(copy.record["message_id"])
        if case is None:
            yield f"{name} is in the archive and not in the ledger"
            continue
        kept[copy.message].append((case.state, case.kind))
        if case.detail.get("archive") != {"key": copy.key, "line": copy.line}:
            yield f"{name}: the ledger does not point at its copy, {copy.key} line {copy.line}"
    for key, destiny in expected.items():
        if sorted(kept[key]) not in (sorted(destiny.kept), sorted(destiny.kept + destiny.tried)):
            yield f"{destiny.name} is in the archive as {_copies(kept[key])}, and should be as {_copies(destiny.kept)}"


def _ledger(expected: Expected, messages: MessagesInAws) -> Iterator[str]:
    sent = sum(case.state == "sent" for case in messages.cases().values())
    back = sum(destiny.how not in ("", "at once") for destiny in expected.values())
    if sent != back:
        yield f"the ledger has {sent} messages that were sent back and stayed away, and there should be {back}"
    yield from (f"the ledger has an open send intent, {intent}" for intent in messages.open_intents())


def _alerts(expected: Expected, messages: MessagesInAws) -> Iterator[str]:
    mails = messages.mails()
    about = [one for mail in mails if not mail.is_recovery for one in mail.about]
    asked = Counter((queue, group) for queue, _, group in about)
    for (queue, group), times in asked.items():
        if times > 1:
            yield f"{times} alerts about the group {group} of {queue}, and there should be one"
    waiting = {(case.source, case.kind) for case in messages.cases().values() if case.state in NOTIFIED}
    # One cause is one alert, whatever queues it is in: people know of the kind, and of one of its queues.
    notified = {(queue, kind) for queue, kind, _ in about}
    for queue, kind in sorted(waiting):
        if kind not in {known for _, known in notified}:
            yield f"nobody was notified of {kind} in {queue}"
    for queue, kind in sorted(notified):
        if kind not in {known for _, known in waiting}:
            yield f"somebody was notified of {kind} in {queue} in vain"
    values = {value for key in expected for value in (key, order_id(key)) if value}
    for mail in mails:
        if any(value in mail.text for value in values if value.startswith(("order-", "{"))):
            yield f"the alert {mail.subject!r} holds a value of a message"


def _copies(kept: object) -> str:
    return str(kept) if kept else "no copy"
