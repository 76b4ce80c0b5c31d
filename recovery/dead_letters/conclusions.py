"""Conclusions of earlier runs: the log lines of a message that stays in its queue are read once, not in each sweep."""

from __future__ import annotations

from recovery.dead_letters.actions import Action
from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.searched import Concluded, Search, SearchMemory
from recovery.dead_letters.work import Work
from recovery.errors import RepriseError
from recovery.failures import Diagnosis, Evidence, group_of


def remember_logs(work: Work, batch: Batch, mark: int) -> None:
    """Write down which logs were searched, and the conclusions about messages that the policy leaves."""
    if not any(item.log_group for item in batch.items):
        return
    memory = work.searches.get(batch.queue.arn)
    for item in batch.items if memory is not None else ():
        if item.read_until and item.diagnosis is not None and _is_left(batch.policy, item.diagnosis, item.error):
            assert memory is not None
            concluded = Concluded(item.diagnosis, item.error, item.by_time, mark)
            memory.note(item.log_group, item.message.message_id, Search(item.read_until, True, concluded))
    _save(work, batch.queue.name, memory)


def _is_left(policy: DeadLetterPolicy, diagnosis: Diagnosis, error: str) -> bool:
    """True when the policy leaves such a message in its queue; whatever else it does needs the evidence itself."""
    group = group_of(diagnosis, error)
    action, _ = policy.action_for(diagnosis.kind, diagnosis.rule, group, diagnosis.action, diagnosis.kind_action)
    return action is Action.LEAVE


def earlier_search(
    memory: SearchMemory | None, group: str, item: MessageWork, policy: DeadLetterPolicy, mark: int
) -> Search:
    """The search of earlier runs, unless its conclusion does not hold any more: then there was none."""
    search = memory.of(group, item.message.message_id) if memory else Search()
    concluded = search.concluded
    if concluded is None:
        return search
    holds = concluded.mark == mark and (policy.match_by_time or not concluded.by_time)
    return search if holds and _is_left(policy, concluded.diagnosis, concluded.error) else Search()


def conclude(item: MessageWork, concluded: Concluded) -> None:
    """Give a message what an earlier run concluded from its log."""
    item.evidence = Evidence(error=concluded.error, body=item.message.body, source="logs, as an earlier run read them")
    item.diagnosis = concluded.diagnosis
    item.error = concluded.error
    item.by_time = concluded.by_time


def memory_of(work: Work, queue: Queue) -> SearchMemory | None:
    """Return the searches of earlier runs; None when the ledger cannot say, and then it is searched again."""
    if queue.arn not in work.searches:
        try:
            work.searches[queue.arn] = SearchMemory(work.ledger, queue.arn)
        except RepriseError as error:
            work.warnings.append(f"queue {queue.name}: it is not known which logs were searched: {error}")
            work.searches[queue.arn] = None
    return work.searches[queue.arn]


def _save(work: Work, queue: str, memory: SearchMemory | None) -> None:
    if memory is None or work.dry_run:
        return
    try:
        memory.save(work.now())
    except RepriseError as error:
        work.warnings.append(f"queue {queue}: which logs were searched could not be written down: {error}")
