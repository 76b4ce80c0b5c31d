"""Groups of FIFO dead-letter queues with a hidden first message: a comeback behind it cannot be received yet.

SQS hands out nothing of a group while one of its messages is hidden. A group without a hidden message gives all that it
has, so once such a queue handed out nothing more, only the groups that are known here can still hold something. That
holds while no message is hidden that nobody here knows of (another run's, or a person's).

Items of the ledger: pk `hidden#<queue ARN>`  sk `<until>#<run>#<n>`, groups with the time and number of what is hidden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from recovery.dead_letters.messages import Queue
from recovery.dead_letters.verdicts import Hide
from recovery.errors import RepriseError
from recovery.fields import Fields
from recovery.ledger_writes import put
from recovery.records import DamagedRecord, Record, record_item

if TYPE_CHECKING:
    from recovery.dead_letters.batch import Batch
    from recovery.dead_letters.settling import Settling
    from recovery.dead_letters.work import Work

_PART = 200
"""Groups in one item."""


@dataclass
class Hidden:
    """Messages of one queue that a run keeps there.

    Attributes:
        waiting: by group, until when messages of it stay hidden after this run, and how many.
        staying: by group, messages that are hidden while this run lasts.
        is_exhausted: SQS handed out nothing more, asked again and again.
    """

    waiting: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    staying: Counter[str] = field(default_factory=Counter)
    is_exhausted: bool = False


def note(work: Work, batch: Batch) -> None:
    """Remember which groups have messages that stay."""
    if not batch.queue.fifo:
        return
    here = work.groups[batch.queue.arn]
    for item in batch.items:
        if item.removed:
            continue
        verdict, group = item.verdict, item.message.group_id
        if isinstance(verdict, Hide) and verdict.hidden and item.failure is None and not work.dry_run:
            until, count = here.waiting.get(group, (verdict.until, 0))
            here.waiting[group] = (max(until, verdict.until), count + 1)
            continue
        here.staying[group] += 1


def keep_hidden(work: Work, queues: Sequence[Queue]) -> None:
    """Write down what stays hidden after this run, so that later runs know of it."""
    for queue in queues:
        if queue.fifo and work.groups[queue.arn].waiting and not work.dry_run:
            try:
                _keep(work, queue)
            except RepriseError as error:
                work.warn(f"queue {queue.name}: what was sent counts later: the ledger did not take a note: {error}")


class Unread:
    """True for sends of which a comeback may lie unread in the dead-letter queue.

    Messages that this run received are hidden by now. All that can still be had lies behind a limit, and any of it may
    be one that came back; or, in a FIFO queue, behind the hidden first message of its group.
    """

    def __init__(self, work: Work, queue: Queue) -> None:
        self._work = work
        self._queue = queue
        self._groups: set[str] | None = None
        self._is_asked = False
        self.visible = 0

    def __call__(self, sends: Settling) -> bool:
        if not self._is_asked:
            self._ask()
        return bool(self.visible) and (self._groups is None or not sends.group or sends.group in self._groups)

    def _ask(self) -> None:
        """Ask once in a run, for all that was sent from a queue."""
        work, queue = self._work, self._queue
        if queue.arn not in work.unread:
            work.unread[queue.arn] = work.sqs.visible(queue)
        self.visible = work.unread[queue.arn]
        if self.visible and queue.fifo:
            self._groups = _hiding(work, queue, self.visible)
        self._is_asked = True


def _keep(work: Work, queue: Queue) -> None:
    """Write down what stays hidden after this run.

    Raises:
        Transient: it is not certain to stand there. Later runs then see more hidden than they know of, and wait.
    """
    waiting = sorted(work.groups[queue.arn].waiting.items())
    writes = []
    for n in range(0, len(waiting), _PART):
        part = waiting[n : n + _PART]
        last = max(until for _, (until, _) in part)
        data = {"groups": [[group, until.isoformat(), count] for group, (until, count) in part]}
        writes.append(put(record_item(Record(_pk(queue), f"{last.isoformat()}#{work.owner}#{n}", data, 0), last)))
    work.ledger.write_items(writes)


def _hiding(work: Work, queue: Queue, visible: int) -> set[str] | None:
    """Return the groups in which something may be that no run can receive now; None: any group may have such.

    Args:
        work: the run, which has received all that it would.
        queue: a FIFO dead-letter queue.
        visible: messages in it that are not hidden themselves.

    Raises:
        Transient, Refused: SQS or the ledger could not be asked.
    """
    here = work.groups[queue.arn]
    if not here.is_exhausted:
        return None
    now = work.now()
    found: Counter[str] = Counter(here.staying)
    damaged: list[DamagedRecord] = []
    records = {record.sk: record.data for record in work.ledger.query(_pk(queue), damaged=damaged)}
    try:
        for data in records.values():
            for one in Fields(data, "groups").many("groups"):
                group, until, count = _understood(one)
                if until > now:
                    found[group] += count
    except ValueError:
        return None
    if damaged or work.sqs.inspect(queue.url).held - visible > found.total():
        return None
    return set(found)


def _understood(one: object) -> tuple[str, datetime, int]:
    match one:
        case [str(group), str(until), int(count)]:
            return group, Fields({"until": until}).required_time("until"), count
    raise ValueError("groups")


def _pk(queue: Queue) -> str:
    return f"hidden#{queue.arn}"
