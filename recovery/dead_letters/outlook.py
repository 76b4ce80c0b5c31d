"""What earlier runs brought back: counted as recovered once it has stayed away for the settle time."""

from __future__ import annotations

from collections import Counter

from recovery.cases import State
from recovery.dead_letters import records
from recovery.dead_letters.letters import Queue
from recovery.dead_letters.work import PATH, Work
from recovery.errors import RepriseError

FLIGHTS = 500
"""Closed flights that one run counts at most: 50,000 letters. The rest is counted by the next run."""


def count_recovered(work: Work, queue: Queue) -> int:
    """Count letters of a queue whose settle time has passed without a comeback; returns how many.

    A letter that came back has a case that says so. Counting changes only the ledger's list of flights to look at.

    Raises:
        Transient: the ledger could not be read.
    """
    settled = list(work.flights.settled(queue.name, work.now(), FLIGHTS))
    groups: Counter[str] = Counter()
    read = work.each(lambda flight: work.ledger.read_cases(PATH, flight.keys), settled)
    for flight, cases in zip(settled, read, strict=True):
        for case in cases.values():
            if case.state is State.SENT and case.changed <= flight.arrived:
                groups[case.group] += 1
                work.recovered += 1
                work.seconds_to_recover += max(0.0, (case.changed - case.first_seen).total_seconds())
    if settled and not work.dry_run:
        work.flights.forget(queue.name, settled)
        for group, count in groups.items():
            _tell_recovery(work, queue, group, count)
    return sum(groups.values())


def _tell_recovery(work: Work, queue: Queue, group: str, count: int) -> None:
    """One notice when a group that people were told of has recovered and nothing of it waits any more."""
    try:
        if not work.alerts.is_announced(PATH, queue.name, group):
            return
        if any(case.source == queue.name for case in work.ledger.waiting(PATH, group)):
            return
        work.alerts.announce_recovery(records.recovery_notice(group, count, queue.name), work.now())
    except RepriseError as error:
        work.warnings.append(f"queue {queue.name}: the notice that group {group} has recovered was not sent: {error}")
