"""Sending archived messages back: chosen through the ledger, a hundred at a time, written ahead like a heal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any
from uuid import uuid4

from recovery.archive import Pointer
from recovery.cases import Case, DamagedCase, State, case_item
from recovery.dead_letters.gateway import NotSent, Outcome
from recovery.dead_letters.messages import Message, batches, content_hash, entry, from_record, size
from recovery.dead_letters.names import name_of
from recovery.dead_letters.policy import ReplayRequest
from recovery.dead_letters.remembered import describe_damaged, remembered, waiting
from recovery.dead_letters.rules import LEASE_MARGIN, LONGEST_DELAY, TRIES, Unconfirmed
from recovery.dead_letters.send_intents import SIZE, PendingSend, SendIntent
from recovery.dead_letters.work import Work
from recovery.errors import Conflict, OutcomeUnknown, Refused, RepriseError
from recovery.failures import Origin
from recovery.ledger import LedgerWrite, put
from recovery.report import Entry

REPLAYABLE = frozenset({State.PARKED, State.ARCHIVED, State.EXHAUSTED, State.WAITING, State.STALE, State.REPLAYING})
LEASE = timedelta(minutes=10)
"""How long the messages of one part are claimed: it is looked at before each batch of sends."""
KEEP = timedelta(days=30)


class Chosen:
    """One archived message on its way back."""

    __slots__ = ("case", "claimed", "confirmed", "delay", "destination", "failure", "message", "new_id", "tries")

    def __init__(self, case: Case) -> None:
        self.case = case
        self.claimed: Case | None = None
        self.confirmed: Unconfirmed | None = None  # a replay that died had sent it
        self.message: Message | None = None
        self.destination = ""
        self.delay = timedelta(0)
        self.new_id = ""
        self.tries = 1
        self.failure: RepriseError | None = None


class Part:
    """Messages of one dead-letter queue that are claimed, fetched and sent together.

    Attributes:
        source: name of the queue.
        queue: its ARN.
        lease: end of the claim.
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        self.chosen = [Chosen(case) for case in cases]
        self.source = cases[0].source
        self.queue = _arn(cases[0])
        self.lease: datetime | None = None

    @property
    def count(self) -> int:
        """Messages in it, for task run names."""
        return len(self.chosen)

    @property
    def name(self) -> str:
        """The queue's name, for task run names."""
        return self.source

    def ready(self) -> list[Chosen]:
        """Those that nothing has failed for so far, and that are to be sent."""
        return [one for one in self.chosen if one.failure is None and not one.new_id]


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
    cases.sort(key=lambda case: (case.source, _arn(case), *_place(case)))
    same = [list(part) for _, part in groupby(cases, key=lambda case: (case.source, _arn(case)))]
    return [Part(part[start : start + SIZE]) for part in same for start in range(0, len(part), SIZE)]


def replay_part(work: Work, part: Part) -> None:
    """Claim, fetch and send one part; what cannot be done is kept beside each message."""
    if work.time_is_up or work.unrecorded:
        why = work.unrecorded or "the run's time was up; nothing was sent"
        for one in part.ready():
            one.failure = Conflict(why)
        return
    if not work.dry_run:
        _claim(work, part)
    _fetch(work, part)
    if work.dry_run:
        return
    try:
        _send(work, part)
    except RepriseError as error:
        # What was sent of it is not written down: the claims run out by themselves, and the try is counted.
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
        where = name_of(one.destination) if one.destination else "nowhere"
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
    if case.state not in REPLAYABLE or not case.detail.get("archive"):
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


def _claim(work: Work, part: Part) -> None:
    """Claim each case, so that two replays never send the same message; the claim ends by itself."""
    now = work.now()
    part.lease = now + LEASE
    if any(one.case.state is State.REPLAYING for one in part.chosen):
        # A claim that ran out belonged to a replay that died: its send may have gone through, and be confirmed.
        sent = work.intents.open_of(part.queue, fifo=part.source.endswith(".fifo")).by_message
        for one in part.chosen:
            known = sent.get(one.case.key)
            one.confirmed = known if known is not None and known.sent and known.attempt == 0 else None

    def claim_one(one: Chosen) -> None:
        detail = {**one.case.detail, "owner": work.owner, "lease": (now + LEASE).isoformat()}
        detail["tries"] = int(one.case.detail.get("tries", 0)) + 1
        one.tries = detail["tries"]
        if one.tries > TRIES and one.confirmed is None:
            one.failure = Refused(f"{TRIES} replays of it were interrupted; check whether it was received")
            return
        claimed = replace(one.case, state=State.REPLAYING, changed=now, detail=detail, stored="")
        try:
            work.ledger.change_case(claimed, expected=one.case)
        except Conflict:
            one.failure = Conflict("another run replays it right now")
        except RepriseError as error:
            one.failure = error
        else:
            one.claimed = claimed

    work.each(claim_one, part.ready())


def _fetch(work: Work, part: Part) -> None:
    """Read the messages from the archive, each object once, and find where each goes."""
    by_object: dict[str, list[tuple[Chosen, int]]] = defaultdict(list)
    for one in part.ready():
        pointer = Pointer.from_json(one.case.detail["archive"])
        by_object[pointer.key].append((one, pointer.line))
    for key, wanted in by_object.items():
        try:
            lines = _lines(work, key)
        except RepriseError as error:
            for one, _ in wanted:
                one.failure = error
            continue
        for one, line in wanted:
            if line >= len(lines) or lines[line].get("message_id") != one.case.key:
                one.failure = Refused(f"archive object {key} does not hold this message at line {line}")
                continue
            try:
                one.message = from_record(lines[line], part.lease or work.now())
            except ValueError as error:
                one.failure = Refused(f"archive object {key}, line {line}: not as this archive keeps messages: {error}")
                continue
            _address(work, one, part)
    _give_back(work, [one for one in part.chosen if one.failure is not None], None)


def _lines(work: Work, key: str) -> list[dict[str, Any]]:
    """Return the records of an object; the last one read is kept, since parts that follow often need it, too."""
    if key not in work.last_object:
        work.last_object = {key: work.archive.read_bundle(key)}
    return work.last_object[key]


def _address(work: Work, one: Chosen, part: Part) -> None:
    message, request = _message(one), work.request
    if message.is_cut:
        one.failure = Refused("Scheduler cut its payload: take the whole input from the schedule, and send that")
        return
    try:
        if message.source_arn:
            one.destination = work.url_of(message.source_arn, part.queue)
        if not one.destination and request.destination:
            one.destination = work.url_of(request.destination, part.queue)
    except RepriseError as error:
        one.failure = error
        return
    if not one.destination:
        one.failure = Refused("nothing says which queue it came from: name the destination in the request")


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
        tuple(PendingSend(_message(one).message_id, _content(one), 0, one.tries) for one in ones),
    )
    if ones:
        try:
            work.intents.open([intent], now)
        except RepriseError as error:
            _give_back(work, ones, error)
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
    # What is unknown keeps its claim, which runs out by itself: the next replay counts one more try.
    _give_back(work, [one for one in ones if not one.new_id and one not in unknown], None)
    if ones and not unknown:
        work.ledger.write_items(work.intents.closing(intent.id, intent.queue))


def _send_to(work: Work, part: Part, url: str, bound: Sequence[Chosen]) -> None:
    fifo = url.endswith(".fifo")
    groups = [[bound[index] for index in group] for group in batches([size(_message(one)) for one in bound])]
    stuck: set[str] = set()
    for group in groups if not fifo else [[one] for one in bound]:
        if part.lease is None or part.lease - work.now() < LEASE_MARGIN:
            for one in group:
                one.failure = Conflict("the time for which this run claimed it ran out; nothing was sent")
        elif fifo and _message(group[0]).group_id in stuck:
            group[0].failure = Conflict("an earlier message of its group was not sent, and order is kept")
        else:
            _send_batch(work, group, url, fifo=fifo)
        stuck |= {_message(one).group_id for one in group if one.failure is not None}


def _send_batch(work: Work, ones: Sequence[Chosen], url: str, *, fifo: bool) -> None:
    sends = []
    for index, one in enumerate(ones):
        if not fifo:
            one.delay = min(LONGEST_DELAY, timedelta(seconds=work.sent_to[url] / work.request.max_per_second))
        work.sent_to[url] += 1
        # The deduplication id must differ from every attempt of a heal, and be the same for every try of this replay.
        sends.append(entry(_message(one), index, one.delay, fifo=fifo, attempt=-1))
    outcomes: list[Outcome] = work.sqs.send(url, sends, fifo=fifo)
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
        detail={"earlier": [*case.detail.get("earlier", []), case.key][-20:], "replay": True},
    )
    done = replace(case, state=State.REPLAYED, changed=now, detail={**case.detail, "next": sent.key})
    return [sent, done]


def _new_key(one: Chosen) -> str:
    """Return the key under which the next run looks for the case of what was sent: comebacks are counted by it."""
    if _message(one).origin is Origin.SQS_REDRIVE:
        return one.new_id
    identity = str(one.case.detail.get("identity", ""))
    return one.new_id if identity in ("", one.case.key) else identity


def _content(one: Chosen) -> str:
    return str(one.case.detail.get("content", "")) or content_hash(_message(one))


def _give_back(work: Work, ones: Sequence[Chosen], error: RepriseError | None) -> None:
    """Nothing was sent of these: their cases are as before, at once."""
    for one in ones:
        if error is not None:
            one.failure = error
        if one.claimed is not None:
            try:
                work.ledger.change_case(replace(one.case, stored=""), expected=one.claimed)
            except RepriseError:
                continue  # the claim runs out by itself
            one.claimed = None


def _message(one: Chosen) -> Message:
    assert one.message is not None
    return one.message


def _arn(case: Case) -> str:
    return str(case.detail.get("arn", ""))


def _place(case: Case) -> tuple[str, int]:
    pointer = Pointer.from_json(case.detail["archive"])
    return pointer.key, pointer.line
