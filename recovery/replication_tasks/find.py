"""Finding the replications that need something, with what the ledger knows of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from recovery.cases import DamagedCase, State
from recovery.errors import BadInput, Refused
from recovery.replication_tasks.memory import Memory
from recovery.replication_tasks.models import FAILED, PATH, RUNNING, STOPPED, Facts
from recovery.replication_tasks.policy import asks_for_tags, matches
from recovery.replication_tasks.verdicts import Escalate
from recovery.replication_tasks.work import Batch, Item, Work

OPEN = frozenset({State.SENT, State.BACKOFF, State.ESCALATED})
"""States of a case whose incident is not over."""


def find(work: Work) -> Batch:
    """The replications that failed or are being watched, within the request's scope, and not seen in this run yet.

    One whose case in the ledger is damaged keeps the reason in `failure`, and is left alone.

    Raises:
        Transient, Refused: DMS or the ledger could not be asked at all.
    """
    began = work.seconds
    everything = [*work.dms.tasks(), *work.dms.replications()]
    # Counted back from now: the clock agrees with AWS only once AWS has answered.
    asked = work.now() - timedelta(seconds=work.seconds - began)
    _name_the_unreadable(work)
    items = _with_cases(work, [facts for facts in everything if facts.arn not in work.seen])
    wanted = [item for item in items if item.failure is not None or has_failed(item.facts) or _is_open(item)]
    _read_tags(work, wanted)
    within = []
    for item in wanted:
        item.asked = asked
        if matches(item.facts, work.request.tasks):
            within.append(item)
        elif has_failed(item.facts):
            work.outside[item.facts.arn] = item.facts.name
    # What waits for a person already must not take the room of what failed since, sweep after sweep.
    within.sort(key=lambda item: item.case is not None and item.case.state is State.ESCALATED)
    room = work.request.limit - len(work.seen)
    if len(within) > room:
        work.warnings.append(f"{len(within) - room} more replications than `limit` were not looked at in this run")
    batch = Batch(within[: max(0, room)])
    work.seen.update(item.facts.arn for item in batch.items)
    return batch


def _name_the_unreadable(work: Work) -> None:
    """Those within the request are a problem; what is not named is nobody's business."""
    items = [Item(facts, None) for facts in work.dms.unreadable]
    work.dms.unreadable.clear()
    _read_tags(work, [item for item in items if item.facts.arn])
    names = sorted({item.facts.name for item in items if matches(item.facts, work.request.tasks)})
    if names:
        _problem(work, f"replications that could not be understood, and were left alone: {', '.join(names)}")


def _problem(work: Work, line: str) -> None:
    if line not in work.problems:  # an event's run looks several times
        work.problems.append(line)


def has_failed(facts: Facts) -> bool:
    """Whether something is wrong with it, by what the list of replications tells. (DMS may give no failure text.)"""
    return bool(facts.failure) or facts.status in {FAILED, "failed-move"} or _has_errors(facts)


def _has_errors(facts: Facts) -> bool:
    # A load that ended with tables in error is "stopped" as one that ended well.
    return facts.errored > 0 and (facts.status == RUNNING or (facts.status == STOPPED and facts.migration.loads))


def _is_open(item: Item) -> bool:
    return item.case is not None and item.case.state in OPEN


def _with_cases(work: Work, found: Sequence[Facts]) -> list[Item]:
    """The replications with their cases; one whose case cannot be read is set aside with what to do about it."""
    damaged: list[DamagedCase] = []
    cases = work.ledger.read_cases(PATH, [facts.arn for facts in found], damaged=damaged)
    damages = {case.key: case for case in damaged}
    items = []
    for facts in found:
        case = cases.get(facts.arn)
        item = Item(facts, case)
        try:
            item.memory = Memory.from_json(case.detail) if case else Memory()
        except ValueError as error:
            damages[facts.arn] = DamagedCase(PATH, facts.arn, str(error), {})
        if facts.arn in damages:
            _set_aside(work, item, damages[facts.arn])
        items.append(item)
    return items


def _set_aside(work: Work, item: Item, case: DamagedCase) -> None:
    item.case = None  # and nothing is ever written over it: without a case, a write must find none
    item.failure = BadInput(f"the ledger's case of it is damaged ({case.damage})")
    item.decision = Escalate(
        rule="damaged-case",
        reason="what was done about it before is not known, so nothing is done",
        next_step=f"look at it in DMS, then delete {case.place(work.ledger.table)}: the next run begins anew with it,"
        " and its restarts count anew",
    )


def _read_tags(work: Work, items: list[Item]) -> None:
    if not items or not asks_for_tags([*work.request.tasks, *work.policy.allow_reload]):
        return
    try:
        tags = work.dms.tags(item.facts.arn for item in items)
    except Refused as refusal:
        # Without tags nothing is meant by a tag: nothing is touched that should not be.
        _problem(work, f"tags could not be read, so no replication is chosen by tag: {refusal}")
        return
    for item in items:
        item.facts = replace(item.facts, tags=tags.get(item.facts.arn, frozenset()))
