"""What earlier runs brought back: counted as recovered once it has stayed away for the settle time."""

from __future__ import annotations

from collections import Counter

from recovery.cases import Case, DamagedCase, State
from recovery.dead_letters import records
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.remembered import describe_damaged, remembered, waiting
from recovery.dead_letters.send_intents import Settling
from recovery.dead_letters.work import PATH, Work
from recovery.errors import RepriseError
from recovery.records import DamagedRecord

FLIGHTS = 500
"""Closed send intents that one run counts at most: 50,000 messages. The rest is counted by the next run."""


def count_recovered(work: Work, queue: Queue) -> int:
    """Count messages of a queue whose settle time has passed without a comeback; returns how many.

    A message that came back has a case that says so; one whose case cannot be read is a warning, and not counted.
    Counting changes only the ledger's list of send intents to look at. Of several runs one counts a send intent: it
    says so there first, so that a message is counted once, or, if that run dies before its report, not at all.

    Raises:
        Transient: the ledger could not be read, or not all send intents could be counted; asking again counts the
        others.
    """
    unreadable: list[DamagedRecord] = []
    settled = list(work.intents.settled(queue.name, work.now(), FLIGHTS, unreadable))
    damaged: list[DamagedCase] = []
    ours: list[list[Case]] = []
    done = [intent for intent in settled if intent.taken]
    failed: list[RepriseError] = []

    def take(intent: Settling) -> None:
        unread: list[DamagedCase] = []
        try:
            cases = remembered(work.ledger, intent.keys, unread)
            if not (work.dry_run or work.intents.take(queue.name, intent, work.owner, work.now())):
                return
        except RepriseError as error:
            failed.append(error)
            return
        done.append(intent)
        damaged.extend(unread)
        ours.append([c for c in cases.values() if c.state is State.SENT and c.changed <= intent.arrived])

    work.each(take, [intent for intent in settled if not intent.taken])
    groups: Counter[str] = Counter()
    for case in (case for cases in ours for case in cases):
        groups[case.group] += 1
        work.recovered += 1
        work.seconds_to_recover += max(0.0, (case.changed - case.first_seen).total_seconds())
    if unreadable:
        line = (
            f"queue {queue.name}: not known whether recovered: {len(unreadable)} damaged send intent(s). Delete"
            f" {unreadable[0].place}: only the count of recovered messages needs it"
        )
        if line not in work.warnings:  # the step may be repeated
            work.warnings.append(line)
    if damaged:
        work.warnings.append(
            f"queue {queue.name}: not known whether recovered: {describe_damaged(damaged, work.ledger.table)}"
        )
    if not work.dry_run:
        for group, count in groups.items():
            _tell_recovery(work, queue, group, count)
        work.intents.forget(queue.name, done)
    if failed:
        raise failed[0]
    return sum(groups.values())


def _tell_recovery(work: Work, queue: Queue, group: str, count: int) -> None:
    """One notice when a group that people were told of has recovered and nothing of it waits any more."""
    try:
        if not work.alerts.is_announced(PATH, queue.name, group):
            return
        damaged: list[DamagedCase] = []
        # A case that cannot be read may be of this queue, and wait.
        if any(case.source == queue.name for case in waiting(work.ledger, group, damaged)) or damaged:
            return
        work.alerts.announce_recovery(records.recovery_notice(group, count, queue.name), work.now())
    except RepriseError as error:
        work.warnings.append(f"queue {queue.name}: the notice that group {group} has recovered was not sent: {error}")
