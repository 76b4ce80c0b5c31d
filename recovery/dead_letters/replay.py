"""Sending archived messages back: chosen through the ledger, a hundred at a time, written ahead like a heal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import groupby
from uuid import uuid4

from recovery.archive import Pointer
from recovery.cases import Case, DamagedCase, State, case_item
from recovery.dead_letters.claims import Chosen, Part, arn_of, claim, fetch, give_back, message_of
from recovery.dead_letters.destinations import Destination, Outgoing
from recovery.dead_letters.messages import content_hash
from recovery.dead_letters.names import is_queue, name_of, short_name
from recovery.dead_letters.outcomes import NotSent, Outcome
from recovery.dead_letters.remembered import describe_damaged, remembered, waiting
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.dead_letters.rules import LEASE_MARGIN, LONGEST_DELAY
from recovery.dead_letters.send_intents import SIZE, PendingSend, SendIntent
from recovery.dead_letters.work import Work
from recovery.errors import Conflict, OutcomeUnknown, RepriseError
from recovery.failures import Origin
from recovery.ledger_writes import LedgerWrite, put
from recovery.report import Entry

REPLAYABLE = frozenset({State.PARKED, State.ARCHIVED, State.EXHAUSTED, State.WAITING, State.STALE, State.REPLAYING})
KEEP = timedelta(days=30)


def choose(work: Work) -> Sequence[Part]:
    """Return the archived messages that the request names, at most its limit, in the order in which they were archived.

    A message whose case cannot be read stays in the archive. It is a problem of the report where a request names ids or
    groups, else a warning: nobody knows whether it is in scope.

    Raises:
        Transient: the ledger could not be read.
    """
    request = work.request
    assert isinstance(request, ReplayRequest)
    if request.is_empty:
        return []
    damaged: list[DamagedCase] = []
    if request.message_ids:
        found = iter(remembered(work.ledger, request.message_ids, damaged).values())
    else:
        found = _by_group(work, request, damaged)
    cases: list[Case] = []
    for case in found:
        # The time only after an answer: before the first one, this machine's clock is all there is.
        if _wanted(case, request, work.now()):
            cases.append(case)
        if len(cases) >= request.limit:
            break
        if work.time_is_up:
            work.warn("the time limit ended the search for archived messages: the next replay finds the others")
            break
    if damaged:
        line = f"not replayed: {describe_damaged(damaged, work.ledger.table)}"
        (work.complain if request.message_ids or request.groups else work.warn)(line)
    # Objects hold the messages of a FIFO group in their order, and each object is read for as few parts as possible.
    cases.sort(key=lambda case: (case.source, arn_of(case), *_place(case)))
    same = [list(part) for _, part in groupby(cases, key=lambda case: (case.source, arn_of(case)))]
    return [Part(part[start : start + SIZE]) for part in same for start in range(0, len(part), SIZE)]


def replay_part(work: Work, part: Part, prepare: Callable[[Part], None] | None = None) -> None:
    """Claim, fetch and send one part; what cannot be done is kept beside each message.

    Args:
        part: the messages.
        prepare: checks and changes them once they are fetched; gives back what may not be sent.
    """
    if work.time_is_up or work.unrecorded:
        why = work.unrecorded or "the run's time was up; nothing was sent"
        for one in part.ready():
            one.failure = Conflict(why)
        return
    if not work.dry_run:
        claim(work, part)
    fetch(work, part)
    if work.dry_run:
        return
    if prepare is not None:
        prepare(part)
    try:
        _send(work, part)
    except RepriseError as error:
        # Its sends are not written down: the claims run out by themselves, and the try is counted.
        work.unrecorded = f"the ledger does not take what was sent ({error}): this run sends nothing more"
        work.complain(work.unrecorded)
        for one in part.chosen:
            one.failure = one.failure or error


def note(work: Work, part: Part) -> None:
    """Count what was replayed, and let go of the bodies."""
    work.note(_entries(part, work.dry_run))
    work.taken += part.count
    part.chosen.clear()


def _entries(part: Part, dry_run: bool) -> Iterator[Entry]:
    for one in part.chosen:
        where = short_name(one.destination) if one.destination else "nowhere"
        done = f"would go back to {where}" if dry_run else f"sent back to {where} with all attempts again"
        yield Entry(
            key=one.case.key,
            source=one.case.source,
            action="replay",
            reason=done if one.failure is None else f"not replayed: {one.failure}",
            kind=one.case.kind,
            diagnosis=one.case.rule,
            rule=one.case.rule,
            group=one.case.group,
            error=str(one.case.detail.get("error", "")),
            settled=one.failure is None,
        )


def _by_group(work: Work, request: ReplayRequest, damaged: list[DamagedCase]) -> Iterator[Case]:
    patterns = [name_of(queue) for queue in request.queues]

    def in_scope(source: str) -> bool:
        return not patterns or any(fnmatchcase(source, pattern) for pattern in patterns)

    for group in request.groups or ("",):
        yield from waiting(work.ledger, group, damaged, in_scope)


def _wanted(case: Case, request: ReplayRequest, now: datetime) -> bool:
    if case.state not in REPLAYABLE or case.is_closed or not case.detail.get("archive"):
        return False
    if case.state is State.REPLAYING and datetime.fromisoformat(case.detail["lease"]) > now:
        return False
    first, last = _utc(request.first_seen_from), _utc(request.first_seen_until)
    return (
        (not request.queues or any(fnmatchcase(case.source, name_of(queue)) for queue in request.queues))
        and (not request.kinds or case.kind in request.kinds)
        and (not request.groups or case.group in request.groups)
        and (first is None or case.first_seen >= first)
        and (last is None or case.first_seen < last)
    )


def _utc(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment


def _send(work: Work, part: Part) -> None:
    """Write ahead, send, confirm, and write the cases: the new one with all attempts again, the old one as replayed."""
    now = work.now()
    for one in part.ready():
        if one.confirmed is not None:
            one.new_id = one.confirmed.new_id
    done_before = [one for one in part.chosen if one.new_id]
    ones = part.ready()
    intent = SendIntent(
        uuid4().hex,
        part.queue,
        tuple(PendingSend(message_of(one).message_id, _content(one), 0, one.tries) for one in ones),
    )
    if ones:
        try:
            work.intents.open([intent], now)
        except RepriseError as error:
            give_back(work, ones, error)
            ones = []
    by_destination: dict[str, list[Chosen]] = defaultdict(list)
    for one in ones:
        by_destination[one.destination].append(one)
    for url, bound in by_destination.items():
        _send_to(work, part, url, bound)
    unknown = [one for one in ones if not one.new_id and isinstance(one.failure, OutcomeUnknown)]
    if ones:
        became = [one.new_id or (None if one in unknown else "") for one in ones]
        writes = [work.intents.confirmation(intent, became, now)]
        for url, bound in by_destination.items():
            sent = [one for one in bound if one.new_id]
            if sent:
                arrived = work.now() + max(one.delay for one in sent)
                settle = max(timedelta(seconds=work.request.settle_seconds), work.comeback_time(url))
                keys = [_new_key(one) for one in sent]
                writes += work.unproven.writes(intent.id, part.queue, url, keys, arrived, settle)
        work.ledger.write_items(writes)
    cases: list[LedgerWrite] = [
        put(case_item(case)) for one in (*done_before, *ones) if one.new_id for case in _settled(one, now)
    ]
    work.ledger.write_items(cases)
    # A send of unknown outcome keeps its claim, which runs out by itself: the next replay counts one more try.
    give_back(work, [one for one in ones if not one.new_id and one not in unknown], None)
    if ones and not unknown:
        work.ledger.write_items(work.intents.closing(intent.id, intent.queue))


def _send_to(work: Work, part: Part, url: str, bound: Sequence[Chosen]) -> None:
    place = work.destination(url)
    fifo = place.fifo
    groups = [[bound[index] for index in group] for group in place.parts([message_of(one) for one in bound])]
    stuck: set[str] = set()
    for group in groups if not fifo else [[one] for one in bound]:
        if part.lease is None or part.lease - work.now() < LEASE_MARGIN:
            for one in group:
                one.failure = Conflict("the time for which this run claimed it ran out; nothing was sent")
        elif fifo and message_of(group[0]).group_id in stuck:
            group[0].failure = Conflict("an earlier message of its group was not sent, and order is kept")
        else:
            _send_batch(work, group, url, place)
        stuck |= {message_of(one).group_id for one in group if one.failure is not None}


def _send_batch(work: Work, ones: Sequence[Chosen], url: str, place: Destination) -> None:
    sends = []
    for one in ones:
        if not place.fifo and is_queue(url):
            one.delay = min(LONGEST_DELAY, timedelta(seconds=work.sent_to[url] / work.request.max_per_second))
        work.sent_to[url] += 1
        # The deduplication id must differ from every attempt of a heal, and be the same for every try of this replay.
        attempt = -2 if one.is_changed else -1
        sends.append(Outgoing(message_of(one), one.delay, attempt))
    outcomes: list[Outcome] = place.send(sends)
    for one, outcome in zip(ones, outcomes, strict=True):
        if isinstance(outcome, NotSent):
            one.failure = outcome.error
        else:
            one.new_id = outcome.message_id


def _settled(one: Chosen, now: datetime) -> list[Case]:
    case = one.case
    sent = replace(
        case,
        key=_new_key(one),
        state=State.SENT,
        attempts=0,
        tries=1,
        changed=now + one.delay,
        due=None,
        expires=now + KEEP,
        reason="replayed from the archive",
        detail={"earlier": [*case.detail.get("earlier", []), case.key][-20:], "replay": True, **one.mark},
    )
    done = replace(case, state=State.REPLAYED, changed=now, detail={**case.detail, "next": sent.key, **one.mark})
    return [sent, done]


def _new_key(one: Chosen) -> str:
    """Return the key under which the next run looks for the case of what was sent: comebacks are counted by it."""
    if message_of(one).origin is not Origin.UNKNOWN:
        return one.new_id
    identity = str(one.case.detail.get("identity", ""))
    if one.is_changed and identity == f"{message_of(one).queue}:content:{one.case.detail.get('content', '')}":
        return f"{message_of(one).queue}:content:{content_hash(message_of(one))}"  # as it is known when it comes back
    return one.new_id if identity in ("", one.case.key) else identity


def _content(one: Chosen) -> str:
    known = "" if one.is_changed else str(one.case.detail.get("content", ""))
    return known or content_hash(message_of(one))


def _place(case: Case) -> tuple[str, int]:
    pointer = Pointer.from_json(case.detail["archive"])
    return pointer.key, pointer.line
