"""Recovery of what earlier runs sent: proven once its consumer took it and it stayed away for its time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from recovery.cases import Case, DamagedCase, State
from recovery.dead_letters import circuits, notices
from recovery.dead_letters.hidden_groups import Unread, keep_hidden
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.names import is_queue, parsed, short_name
from recovery.dead_letters.remembered import describe_damaged, remembered, waiting
from recovery.dead_letters.settling import Awaited, Settling, Taken
from recovery.dead_letters.work import PATH, Work
from recovery.errors import RepriseError
from recovery.events.outward import CONSUMER_SILENT, of_queue
from recovery.records import DamagedRecord

MOST = 500
"""Send intents that one run counts at most: 50,000 messages. The rest is counted by the next run."""
UNDER_WAY = timedelta(minutes=10)
"""Time for which sends that a run took to count them may be under way."""


@dataclass
class Found:
    """Counts of one run for one pair of queue and destination."""

    done: list[Settling] = field(default_factory=list)
    cases: list[tuple[Case, datetime]] = field(default_factory=list)  # with the time at which it was proven
    damaged: list[DamagedCase] = field(default_factory=list)
    counted: datetime | None = None
    unproven: list[Settling] = field(default_factory=list)
    unread: int = 0  # messages of the dead-letter queue that were not received, about: comebacks may be among them
    is_taking: bool = False  # the consumer gets ahead, though not yet past all that was sent
    uncounted: int = 0  # cases that a run took to count them, and then died
    is_under_way: bool = False  # another run counts some of them
    heard: list[Case] = field(default_factory=list)  # stayed away so far, which is enough for circuits
    waits_for: str = ""  # the proof that is missing although the consumer gets ahead
    spoken: list[Case] = field(default_factory=list)  # among `cases`: circuits do not know of these yet
    earliest: datetime | None = None  # arrival of the first that is not counted for unread messages


def count_recovered(work: Work, queues: Sequence[Queue]) -> int:
    """Count messages of queues that are proven to have worked; return how many.

    A message is proven once its destination was seen empty after it had arrived there, or its oldest message is
    younger, and the time in which it could come back has passed. A message that came back has a case that says so; one
    whose case cannot be read is a warning, and not counted. Of several runs one counts a send intent: it says so in the
    ledger first, so that a message is counted once, or, if that run dies before its report, not at all: a later run
    reports that.

    Raises:
        Transient: the ledger could not be read, or not all send intents could be counted; asking again counts the
            others.
    """
    by_arn = {queue.arn: queue for queue in queues}
    if not by_arn:
        return 0
    keep_hidden(work, queues)
    unreadable: list[DamagedRecord] = []
    pairs, taken = work.unproven.awaited(unreadable)
    counted_before = dict(taken)
    failed: list[RepriseError] = []
    total = 0
    back: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for pair in (pair for pair in pairs if pair.queue in by_arn):
        proof = _inspect(work, pair, taken.get(pair.destination, Taken()))
        queue = by_arn[pair.queue]
        found = Found()
        try:
            _count(work, queue, pair, proof, found, unreadable)
        except RepriseError as error:
            failed.append(error)
        total += _report(work, queue, pair, found)
        for case, _ in found.cases:
            back[queue.home, case.group][queue.name] += 1
        if not work.dry_run:
            _let_speak(work, queue, found)
            work.unproven.forget(pair, found.done)
            if found.counted and (proof.counted is None or found.counted > proof.counted):
                proof = replace(proof, counted=found.counted)
            if proof != taken.get(pair.destination, Taken()):
                work.unproven.prove(pair.destination, proof, work.now())
            if not (failed or found.unproven or found.is_under_way or found.unread) and work.now() > pair.due:
                work.unproven.close(pair, work.now())
        taken[pair.destination] = proof
    _correct(work, counted_before)
    if not work.dry_run:
        for (home, group), counts in back.items():
            _announce_recovery(work, home, group, counts)
    if unreadable:
        work.warn(
            f"what has recovered is not known of {len(unreadable)} damaged item(s) of the ledger. Delete"
            f" {unreadable[0].place}: only the count of recovered messages needs it"
        )
    if failed:
        raise failed[0]
    return total


def _inspect(work: Work, pair: Awaited, taken: Taken) -> Taken:
    """Return what is proven of a destination's consumer now."""
    now = work.now()
    name = short_name(pair.destination)
    if pair.arrived > now or taken.proven_at(pair.arrived) is not None:
        return taken
    if not is_queue(pair.destination):
        return taken.with_proof(now, now)  # Lambda brings each event to the function; only its failures come back
    try:
        there = work.sqs.inspect(pair.destination)
        taken = replace(taken, receives=there.receives, visibility=there.visibility)
        if not there.held:
            return taken.with_proof(now, now)
        if "cloudwatch" in work.silent:
            return taken
        if parsed(pair.destination).account not in ("", pair.queue.split(":")[4]):
            return taken  # CloudWatch would speak of a queue of the same name in this account
        until = work.ages.taken_until(name, now, deleting=taken.looks != 1)
    except RepriseError as error:
        if not work.stop_asking("cloudwatch", error, is_needed=False):
            work.warn(f"queue {name}: not known whether its consumer takes what was sent back: {error}")
        return taken
    return taken.with_proof(now, until) if until is not None else taken


def _count(
    work: Work, queue: Queue, pair: Awaited, proof: Taken, found: Found, unreadable: list[DamagedRecord]
) -> None:
    open_sends: list[tuple[Settling, datetime]] = []
    behind: list[Settling] = []
    is_unread = Unread(work, queue)
    # While messages fail in a queue, its oldest lags behind by the time that they take to die: that is no standstill.
    found.is_taking = any(until > work.now() - (pair.due - pair.arrived) for _, until in proof.proofs)
    for sends in work.unproven.settled(pair, work.now(), unreadable):
        if sends.taken:
            is_ours = sends.by == work.owner and sends.sk in work.counted
            if not is_ours and sends.since is not None and work.now() - sends.since < UNDER_WAY:
                found.is_under_way = True
                continue
            found.done.append(sends)
            found.uncounted += 0 if is_ours else sends.count
            continue
        proven = proof.proven_at(sends.arrived)
        if proven is None:
            found.unproven.append(sends)
            if proof.seen_at(sends.arrived) is not None and (queue.fifo or not is_unread(sends)):
                behind.append(sends)
        elif is_unread(sends):
            behind += [sends] if queue.fifo else []
            found.unread = is_unread.visible
            found.earliest = found.earliest or sends.arrived
        elif len(open_sends) < MOST:
            open_sends.append((sends, proven))
    if found.unproven and found.is_taking and work.now() - found.unproven[0].arrived > 2 * (pair.due - pair.arrived):
        looks = f", or its consumer gets ahead {proof.looks} times in a row" if proof.looks > 1 else ""
        found.waits_for = f"it is seen empty{looks}"
    failed: list[RepriseError] = []
    if behind and not work.dry_run:
        # A circuit is no promise, and a FIFO group is read only once it closes: it hears of what stayed away so far.
        failed += _hear(work, pair, behind, found)

    def take(one: tuple[Settling, datetime]) -> None:
        sends, proven = one
        unread: list[DamagedCase] = []
        try:
            cases = remembered(work.ledger, sends.keys, unread)
            if not (work.dry_run or work.unproven.take(pair, sends, work.owner, work.now())):
                return
        except RepriseError as error:
            failed.append(error)
            return
        work.counted.add(sends.sk)
        found.done.append(sends)
        found.damaged.extend(unread)
        if found.earliest is None or sends.arrived < found.earliest:
            found.counted = max(sends.arrived, found.counted or sends.arrived)
        stayed = _stayed(cases, sends)
        found.cases.extend((case, proven) for case in stayed)
        found.spoken.extend(() if sends.heard else stayed)

    work.each(take, open_sends)
    if failed:
        raise failed[0]


def _hear(work: Work, pair: Awaited, behind: Sequence[Settling], found: Found) -> list[RepriseError]:
    failed: list[RepriseError] = []

    def hear(sends: Settling) -> None:
        try:
            cases = remembered(work.ledger, sends.keys, [])
            if work.unproven.hear(pair, sends, work.now()):
                found.heard.extend(_stayed(cases, sends))
        except RepriseError as error:
            failed.append(error)

    work.each(hear, [sends for sends in behind if not sends.heard][:MOST])
    return failed


def _stayed(cases: Mapping[str, Case], sends: Settling) -> list[Case]:
    return [case for case in cases.values() if case.state is State.SENT and case.changed <= sends.arrived]


def _report(work: Work, queue: Queue, pair: Awaited, found: Found) -> int:
    for case, proven in found.cases:
        work.recovered += 1
        work.seconds_to_recover += max(0.0, (proven - case.first_seen).total_seconds())
    if found.damaged:
        which = describe_damaged(found.damaged, work.ledger.table)
        work.warn(f"queue {queue.name}: not known whether recovered: {which}")
    if found.unread:
        end = "its FIFO group behind the hidden first message" if queue.fifo else "the queue to its end"
        work.warn(
            f"queue {queue.name}: about {found.unread} message(s) were not reached, and any may be one that came back:"
            f" what was sent counts as sent only until a run has read {end}"
        )
    if found.uncounted:
        work.warn(
            f"queue {queue.name}: a run was interrupted while it counted what has recovered: up to {found.uncounted}"
            " message(s) are in no run's count"
        )
    if found.waits_for:
        count = sum(len(sends.keys) for sends in found.unproven)
        work.warn(
            f"queue {short_name(pair.destination)}: {count} message(s) that were sent back to it count as sent only"
            f" until {found.waits_for}: CloudWatch no longer shows a message that was received three times"
        )
    if found.unproven and not found.is_taking:
        minutes = (work.now() - found.unproven[0].arrived).total_seconds() / 60
        count = sum(len(sends.keys) for sends in found.unproven)
        source = short_name(pair.destination)
        line = (
            f"queue {source}: its consumer has not taken all that was sent back to it"
            f" {minutes:.0f} minutes ago: look after it. Until it has, {count} message(s) count as sent only"
        )
        work.warn(line)
        work.events.append(of_queue(CONSUMER_SILENT, source, work.now(), line, count=count, minutes=int(minutes)))
    return len(found.cases)


def _let_speak(work: Work, queue: Queue, found: Found) -> None:
    """Let what is proven speak to its circuits. One that is not reached goes on when its probes should be known."""
    try:
        circuits.count_proofs(work, queue, [*found.spoken, *found.heard])
    except RepriseError as error:
        work.warn(f"queue {queue.name}: its circuits do not know yet what is proven: {error}")


def _correct(work: Work, taken: dict[str, Taken]) -> None:
    """Take back what an earlier run counted as recovered and came back all the same."""
    wrong = 0
    for (destination, arrived), count in work.comebacks.items():
        counted = taken.get(destination, Taken()).counted
        if counted is not None and arrived <= counted:
            wrong += count
    work.comebacks.clear()
    if wrong:
        work.recovered -= wrong
        work.warn(
            f"{wrong} message(s) that had been counted as recovered came back: they are taken off the count. A longer"
            " settle_seconds waits longer"
        )


def _announce_recovery(work: Work, home: str, group: str, counts: Counter[str]) -> None:
    """Send one notice when a group that people were notified of has recovered and nothing of it waits any more."""
    if "sns" in work.silent:
        return
    try:
        if not work.alerts.is_announced(PATH, home, group):
            return
        damaged: list[DamagedCase] = []
        # A case that cannot be read may be of these queues, and wait.
        if any(_is_of(case, home) for case in waiting(work.ledger, group, damaged)) or damaged:
            return
        work.alerts.announce_recovery(notices.recovery(home, group, counts), work.now())
    except RepriseError as error:
        work.stop_asking("sns", error, is_needed=False)
        work.warn(f"the notice that group {group} of {notices.named(counts)} has recovered was not sent: {error}")


def _is_of(case: Case, home: str) -> bool:
    """True for a case of these queues, or of which that is not known."""
    arn = str(case.detail.get("arn", ""))
    return not arn or arn.rpartition(":")[0] == home
