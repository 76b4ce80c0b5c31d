"""Finding the replications that need something, with what the ledger knows of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from zlib import crc32

from recovery.cases import DamagedCase, State
from recovery.errors import BadInput, Refused
from recovery.replication_tasks.memory import Memory
from recovery.replication_tasks.models import PATH, RUNNING, Facts, Migration
from recovery.replication_tasks.policy import asks_for_tags, matches
from recovery.replication_tasks.situation import Met, Obstacle, has_failed
from recovery.replication_tasks.work import OPEN, Batch, ReplicationRun, ReplicationWork
from recovery.scope import StartedBy

WAITING = 1_000
"""Cases that wait for a person, and that a sweep compares with what DMS lists."""
SWEEP_SECONDS, TURNS = 600, 6
"""Replications that run well are inspected in one of so many sweeps: their statistics cost little then."""
FEW = 25
"""Running replications whose statistics are read in each sweep; reading so many costs little."""
GONE_AT_ONCE = 50
"""Deleted replications that one sweep closes."""


def find(run: ReplicationRun) -> Batch:
    """The replications that failed or are being watched, within the request's scope, and not seen in this run yet.

    One whose case in the ledger is damaged keeps the reason in `failure`, and is left alone.

    Raises:
        Transient, Refused: DMS or the ledger could not be asked at all.
    """
    began = run.seconds
    everything = [*run.dms.tasks(), *run.dms.replications()]
    # Counted back from now: the clock agrees with AWS only once AWS has answered.
    asked = run.now() - timedelta(seconds=run.seconds - began)
    _name_the_unreadable(run)
    items = _with_cases(run, [facts for facts in everything if facts.arn not in run.seen])
    for item in items:
        item.in_turn = _is_in_turn(run, item.facts)
        item.runs_well = item.failure is None and not has_failed(item.facts) and not _is_open(item)
    few = sum(_may_have_findings(run, item.facts) for item in items) <= FEW
    wanted = [
        item for item in items if not item.runs_well or item.in_turn or (few and _may_have_findings(run, item.facts))
    ]
    _read_tags(run, wanted)
    within = _gone(run, {facts.arn for facts in everything})
    for item in wanted:
        item.asked = asked
        if matches(item.facts, run.request.tasks):
            within.append(item)
        elif has_failed(item.facts):
            run.outside[item.facts.arn] = item.facts.name
    # Replications that wait for a person must not take the room of later failures, sweep after sweep.
    within.sort(key=_urgency)
    room = run.room
    if len(within) > room:
        run.warnings.append(f"{len(within) - room} more replications than `limit` were not looked at in this run")
    batch = Batch(within[:room])
    run.taken += len(batch)
    run.seen.update(item.facts.arn for item in batch.items)
    return batch


def _gone(run: ReplicationRun, listed: set[str]) -> list[ReplicationWork]:
    """Replications that wait for a person, and that DMS does not know any more: nobody need act on them."""
    # The index of what waits takes a request for each of its shards: one sweep in six is soon enough.
    if run.request.started_by is not StartedBy.SWEEP or not run.request.tasks or _turn(run) != TURNS // 2:
        return []
    listed |= {facts.arn for facts in run.dms.unreadable} | run.seen
    found: list[ReplicationWork] = []
    for case in run.ledger.waiting(PATH, limit=WAITING, damaged=[]):
        facts = Facts(
            case.key,
            str(case.detail.get("name") or case.key),
            Migration.CDC,
            status="deleted",
            serverless=":replication-config:" in case.key,
            tables=(),
        )
        if case.key in listed or len(found) >= GONE_AT_ONCE or run.dms.read(facts) is not None:
            continue
        item = ReplicationWork(facts, case)
        try:
            item.memory = Memory.from_json(case.detail)
        except ValueError:
            continue
        item.met = Met(Obstacle.GONE)
        found.append(item)
    return found


def _name_the_unreadable(run: ReplicationRun) -> None:
    """Those within the request are a problem; what is not named is nobody's business."""
    items = [ReplicationWork(facts, None) for facts in run.dms.unreadable]
    run.dms.unreadable.clear()
    _read_tags(run, [item for item in items if item.facts.arn])
    names = sorted({item.facts.name for item in items if matches(item.facts, run.request.tasks)})
    if names:
        run.complain(f"replications that could not be understood, and were left alone: {', '.join(names)}")


def _is_in_turn(run: ReplicationRun, facts: Facts) -> bool:
    """True for one that runs, in about every sixth sweep: CloudWatch is asked about it once an hour."""
    return _may_have_findings(run, facts) and crc32(facts.arn.encode()) % TURNS == _turn(run)


def _may_have_findings(run: ReplicationRun, facts: Facts) -> bool:
    return run.policy.findings and run.request.started_by is StartedBy.SWEEP and facts.status == RUNNING


def _turn(run: ReplicationRun) -> int:
    return int(run.started.timestamp()) // SWEEP_SECONDS % TURNS


def _urgency(item: ReplicationWork) -> int:
    """New failures come first, also ahead of restarts that are watched: statistics of many tables take their time."""
    if item.runs_well:
        return 3
    if item.case is not None and item.case.state is State.ESCALATED:
        return 2
    return 0 if has_failed(item.facts) or item.met else 1


def _is_open(item: ReplicationWork) -> bool:
    return item.case is not None and item.case.state in OPEN


def _with_cases(run: ReplicationRun, found: Sequence[Facts]) -> list[ReplicationWork]:
    """The replications with their cases; one whose case cannot be read is set aside with what to do about it."""
    damaged: list[DamagedCase] = []
    cases = run.ledger.read_cases(PATH, [facts.arn for facts in found], damaged=damaged)
    damages = {case.key: case for case in damaged}
    items = []
    for facts in found:
        case = cases.get(facts.arn)
        item = ReplicationWork(facts, case)
        try:
            item.memory = Memory.from_json(case.detail) if case else Memory()
        except ValueError as error:
            damages[facts.arn] = DamagedCase(PATH, facts.arn, str(error), {})
        if facts.arn in damages:
            _set_aside(run, item, damages[facts.arn])
        items.append(item)
    return items


def _set_aside(run: ReplicationRun, item: ReplicationWork, case: DamagedCase) -> None:
    item.case = None  # and nothing is ever written over it: without a case, a write must find none
    item.failure = BadInput(f"the ledger's case of it is damaged ({case.damage})")
    item.met = Met(Obstacle.DAMAGED, case.place(run.ledger.table))


def _read_tags(run: ReplicationRun, items: list[ReplicationWork]) -> None:
    if not items or not asks_for_tags([*run.request.tasks, *run.policy.allow_reload]):
        return
    try:
        tags = run.dms.tags(item.facts.arn for item in items)
    except Refused as refusal:
        # Without tags nothing is in scope by a tag: nothing is touched that should not be.
        run.complain(f"tags could not be read, so no replication is chosen by tag: {refusal}")
        return
    for item in items:
        item.facts = replace(item.facts, tags=tags.get(item.facts.arn, frozenset()))
