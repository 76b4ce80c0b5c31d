"""Whether what happened to the demo's letters in AWS is what should have happened, place by place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set

from demo.letters_expected import CARRIED_OUT, LEFT, Destiny, order_id
from demo.letters_in_aws import LettersInAws

TOLD = frozenset({"parked", "waiting", "exhausted", "replayed"})
"""States of cases about which a person must have been told."""

Expected = Mapping[str, Destiny]
"""By the letter's key (`LettersInAws.key`)."""


def differences(expected: Expected, letters: LettersInAws, carried_out: Set[str]) -> list[str]:
    """What is not as it should be, each a line for a person.

    Args:
        expected: every letter that there was.
        letters: reads AWS.
        carried_out: ids of the orders that the shop's service carried out.
    """
    return [
        *_queues(expected, letters),
        *_orders(expected, carried_out),
        *_archive(expected, letters),
        *_ledger(expected, letters),
        *_alerts(expected, letters),
    ]


def _queues(expected: Expected, letters: LettersInAws) -> Iterator[str]:
    for letter in letters.with_consumer():
        yield f"{expected[letter.key].name} still lies in {letter.queue}"
    there = Counter(letter.key for letter in letters.dead())
    wanted = Counter(key for key, destiny in expected.items() if destiny.place == LEFT)
    yield from (f"{expected[key].name} still lies in a dead-letter queue" for key in (there - wanted).elements())
    yield from (f"{expected[key].name} was not left where it was" for key in (wanted - there).elements())


def _orders(expected: Expected, carried_out: Set[str]) -> Iterator[str]:
    wanted = {order_id(key) for key, destiny in expected.items() if destiny.place == CARRIED_OUT}
    yield from (f"{order} was not carried out" for order in sorted(wanted - carried_out))
    yield from (f"{order} was carried out, and should not have been" for order in sorted(carried_out - wanted))


def _archive(expected: Expected, letters: LettersInAws) -> Iterator[str]:
    cases = letters.cases()
    kept: dict[str, list[tuple[str, str]]] = {key: [] for key in expected}
    for copy in letters.archived():
        if copy.letter not in kept:
            yield f"{copy.key} line {copy.line} holds a letter that was never sent"
            continue
        name, case = expected[copy.letter].name, cases.get(copy.record["message_id"])
        if case is None:
            yield f"{name} is in the archive and not in the ledger"
            continue
        kept[copy.letter].append((case.state, case.kind))
        if case.detail.get("archive") != {"key": copy.key, "line": copy.line}:
            yield f"{name}: the ledger does not point at its copy, {copy.key} line {copy.line}"
    for key, destiny in expected.items():
        if sorted(kept[key]) != sorted(destiny.kept):
            yield f"{destiny.name} is in the archive as {_copies(kept[key])}, and should be as {_copies(destiny.kept)}"


def _ledger(expected: Expected, letters: LettersInAws) -> Iterator[str]:
    sent = sum(case.state == "sent" for case in letters.cases().values())
    back = sum(destiny.how in ("after a heal", "after a replay") for destiny in expected.values())
    if sent != back:
        yield f"the ledger has {sent} letters that were sent back and stayed away, and there should be {back}"
    yield from (f"the ledger has an open flight, {flight}" for flight in letters.open_flights())


def _alerts(expected: Expected, letters: LettersInAws) -> Iterator[str]:
    mails = letters.mails()
    asked = Counter((mail.source, mail.group) for mail in mails if not mail.is_recovery)
    for (queue, group), times in asked.items():
        if times > 1:
            yield f"{times} alerts about the group {group} of {queue}, and there should be one"
    waiting = {(case.source, case.kind) for case in letters.cases().values() if case.state in TOLD}
    told = {(mail.source, mail.kind) for mail in mails if not mail.is_recovery}
    yield from (f"nobody was told of {kind} in {queue}" for queue, kind in sorted(waiting - told))
    yield from (f"somebody was told of {kind} in {queue} without need" for queue, kind in sorted(told - waiting))
    values = {value for key in expected for value in (key, order_id(key)) if value}
    for mail in mails:
        if any(value in mail.text for value in values if value.startswith(("order-", "{"))):
            yield f"the alert {mail.subject!r} holds a value of a letter"


def _copies(kept: object) -> str:
    return str(kept) if kept else "no copy"
