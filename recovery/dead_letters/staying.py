"""Messages that stay in their queue: hidden while the run goes on, then visible again, or out of the way of others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from recovery.dead_letters import records
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.hidden_groups import note
from recovery.dead_letters.messages import BATCH
from recovery.dead_letters.outcomes import NotSent, paired
from recovery.dead_letters.rules import LEASE_MARGIN, LONGEST_HIDE
from recovery.dead_letters.verdicts import Hide, Leave
from recovery.dead_letters.work import LEASE, Staying, Work

MOST_ASIDE = 60_000
"""Messages of a queue in flight at which no more are put aside, of the 120,000 that SQS allows."""
_IN_TURN = frozenset({"order", "lease"})
"""Rules by which a message only waits for another one or for the next run: aside, it would keep its FIFO group back."""


def close_round(work: Work, batch: Batch) -> None:
    """Remember what stays in the queue: it is made visible again at the end of the run, not before, so that this run
    does not receive it twice."""
    for item in batch.items:
        failed = item.failure is not None and not item.removed
        left = isinstance(item.verdict, Leave)
        waits = item.verdict.rule in _IN_TURN
        if work.dry_run or failed or left or (isinstance(item.verdict, Hide) and not item.verdict.hidden):
            may_go_aside = left and not (failed or waits or work.dry_run or batch.queue.has_redrive)
            aside = batch.aside if may_go_aside else timedelta(0)
            work.to_release.append(Staying(batch.queue, item.message.receipt, item.message.lease_until, aside))
    note(work, batch)
    work.note(records.entry(item, batch) for item in batch.items)
    _extend(work)


def release(work: Work) -> int:
    """Let go of everything that was only inspected, or could not be settled; return how many messages.

    They are visible again at once. Where the run did not reach all of their queue, those that it leaves are put aside
    for as long as later runs need to go through the rest: else each run would be given the same ones again.
    """
    now = work.now()
    for batch in work.postponed:
        work.to_release += [
            Staying(batch.queue, item.message.receipt, item.message.lease_until) for item in batch.items
        ]
    work.postponed.clear()
    # A late message shows up by itself, or another run holds it already.
    staying = [one for one in (*work.to_release, *work.arriving) if one.until - now >= LEASE_MARGIN]
    work.to_release.clear()
    work.arriving.clear()
    room: Counter[str] = Counter()
    by_time: dict[timedelta, list[Staying]] = defaultdict(list)
    for one in staying:
        queue = one.queue
        fits = queue.in_flight + work.hidden[queue.arn] + room[queue.arn] < MOST_ASIDE
        aside = min(one.aside, LONGEST_HIDE) if queue.arn in work.unreached and fits else timedelta(0)
        room[queue.arn] += bool(aside)
        by_time[aside].append(one)
    # A message that could not be made visible now shows up by itself when its lease ends.
    return sum(sum(_change_visibility(work, some, aside)) for aside, some in by_time.items())


def _extend(work: Work) -> None:
    """Keep what stays hidden for the rest of a long run, a few minutes at a time."""
    now = work.now()
    soon = [one for one in work.to_release if LEASE_MARGIN <= one.until - now < LEASE / 2]
    others = [one for one in work.to_release if one.until - now >= LEASE / 2]
    waiting = [(batch.queue, item) for batch in work.postponed for item in batch.items]
    waiting = [one for one in waiting if LEASE_MARGIN <= one[1].message.lease_until - now < LEASE / 2]
    all_soon = soon + [Staying(queue, item.message.receipt, item.message.lease_until) for queue, item in waiting]
    if not all_soon:
        return
    extended = _change_visibility(work, all_soon, LEASE)
    again = [replace(one, until=now + LEASE) for one, done in zip(soon, extended, strict=False) if done]
    work.to_release = [*others, *again]
    for (_, item), done in zip(waiting, extended[len(soon) :], strict=True):
        if done:
            item.message = replace(item.message, lease_until=now + LEASE)


def _change_visibility(work: Work, staying: Sequence[Staying], hidden: timedelta) -> list[bool]:
    """Hide messages for so long from now; return which were changed."""
    by_queue: dict[str, list[Staying]] = defaultdict(list)
    for one in staying:
        by_queue[one.queue.url].append(one)
    parts = [same[start : start + BATCH] for same in by_queue.values() for start in range(0, len(same), BATCH)]
    seconds = int(hidden.total_seconds())
    outcomes = work.each(lambda part: work.sqs.hide(part[0].queue, [(one.receipt, seconds) for one in part]), parts)
    changed = {one.receipt: not isinstance(outcome, NotSent) for one, outcome in paired(parts, outcomes)}
    return [changed[one.receipt] for one in staying]
