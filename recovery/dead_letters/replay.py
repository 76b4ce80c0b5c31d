"""Sending archived messages back: chosen through the ledger, written ahead like a heal, with all attempts again."""

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
from recovery.dead_letters.gateway import NotSent, Outcome, name_of
from recovery.dead_letters.messages import Message, batches, content_hash, entry, from_record, size
from recovery.dead_letters.policy import ReplayRequest
from recovery.dead_letters.remembered import describe_damaged, remembered, waiting
from recovery.dead_letters.rules import LONGEST_DELAY, TRIES
from recovery.dead_letters.send_intents import SIZE, PendingSend, SendIntent
from recovery.dead_letters.work import Work
from recovery.errors import Conflict, OutcomeUnknown, Refused, RepriseError
from recovery.failures import Origin
from recovery.ledger import LedgerWrite, put
from recovery.report import Entry

REPLAYABLE = frozenset({State.PARKED, State.ARCHIVED, State.EXHAUSTED, State.WAITING, State.STALE, State.REPLAYING})
LEASE = timedelta(minutes=10)
KEEP = timedelta(days=30)


class Chosen:
    """One archived message on its way back."""

    __slots__ = ("case", "claimed", "delay", "destination", "failure", "message", "new_id", "tries")

    def __init__(self, case: Case) -> None:
        self.case = case
        self.claimed: Case | None = None
        self.message: Message | None = None
        self.destination = ""
        self.delay = timedelta(0)
        self.new_id = ""
        self.tries = 1
        self.failure: RepriseError | None = None


class Selection:
    """The messages of one replay."""

    def __init__(self, chosen: Sequence[Chosen]) -> None:
        self.chosen = list(chosen)

    @property
    def count(self) -> int:
        """Messages chosen, for task run names."""
        return len(self.chosen)

    def ready(self) -> list[Chosen]:
        """Those that nothing has failed for so far."""
        return [one for one in self.chosen if one.failure is None]


def choose(work: Work, request: ReplayRequest) -> Selection:
    """The archived messages that a request names, the groups in order, at most its limit.

    A message whose case cannot be read stays in the archive. It is a problem of the report where a request names ids or
    groups, else a warning: nobody knows whether it was meant.

    Raises:
        Transient: the ledger could not be read.
    """
    if request.is_empty:
        return Selection([])
    damaged: list[DamagedCase] = []
    if request.message_ids:
        found = iter(remembered(work.ledger, request.message_ids, damaged).values())
    else:
        found = _by_group(work, request.groups, damaged)
    chosen: list[Chosen] = []
    for case in found:
        if len(chosen) >= request.limit:
            break
        # The time only after an answer: before the first one, this machine's clock is all there is.
        if _wanted(case, request, work.now()):
            chosen.append(Chosen(case))
    if damaged:
        said = work.problems if request.message_ids or request.groups else work.warnings
        said.append(f"not replayed: {describe_damaged(damaged, work.ledger.table)}")
    return Selection(chosen)


def fetch(work: Work, selection: Selection, request: ReplayRequest) -> None:
    """Read the messages from the archive, each object once, and find where each goes."""
    by_object: dict[str, list[tuple[Chosen, int]]] = defaultdict(list)
    for one in selection.ready():
        pointer = Pointer.from_json(one.case.detail["archive"])
        by_object[pointer.key].append((one, pointer.line))
    lease = work.now() + LEASE
    for key, wanted in by_object.items():
        try:
            lines: list[dict[str, Any]] = work.archive.read_bundle(key)
        except RepriseError as error:
            for one, _ in wanted:
                one.failure = error
            continue
        for one, line in wanted:
            if line >= len(lines) or lines[line].get("message_id") != one.case.key:
                one.failure = Refused(f"archive object {key} does not hold this message at line {line}")
                continue
            try:
                one.message = from_record(lines[line], lease)
            except ValueError as error:
                one.failure = Refused(
                    f"archive object {key}, line {line}: not as this archive keeps a message: {error}"
                )
                continue
            _address(work, one, request)


def claim(work: Work, selection: Selection) -> None:
    """Claim each case, so that two replays never send the same message; the claim ends by itself."""
    now = work.now()

    def claim_one(one: Chosen) -> None:
        detail = {**one.case.detail, "owner": work.owner, "lease": (now + LEASE).isoformat()}
        # A claim that ran out belonged to a replay that died: its send may have gone through.
        detail["tries"] = int(one.case.detail.get("tries", 0)) + 1
        one.tries = detail["tries"]
        if one.tries > TRIES:
            one.failure = Refused(f"{TRIES} replays of it were interrupted; check whether it was received")
            return
        claimed = replace(one.case, state=State.REPLAYING, changed=now, detail=detail)
        try:
            work.ledger.change_case(claimed, expected=one.case)
        except Conflict:
            one.failure = Conflict("another run replays it right now")
        except RepriseError as error:
            one.failure = error
        else:
            one.claimed = claimed

    work.each(claim_one, selection.ready())


def send_back(work: Work, selection: Selection, request: ReplayRequest) -> None:
    """Write send intents, send, and write the cases: the new one with all attempts again, the old one as replayed."""
    # Send intents and settling are kept by queue; the order of a FIFO group is the order in which its messages died.
    ready = sorted(selection.ready(), key=lambda one: (one.case.source, _message(one).sequence))
    parts = [list(ones) for _, ones in groupby(ready, key=lambda one: one.case.source)]
    for intent in [part[start : start + SIZE] for part in parts for start in range(0, len(part), SIZE)]:
        if work.time_is_up:
            _give_back(work, intent, Conflict("the run's time was up; nothing was sent"))
            continue
        try:
            _send_intent(work, intent, request)
        except RepriseError as error:
            # What was sent of it is not written down: the claims run out by themselves, and the try is counted.
            for one in intent:
                one.failure = one.failure or error


def entries(selection: Selection, dry_run: bool) -> Iterator[Entry]:
    """What the report says of each message."""
    for one in selection.chosen:
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


def _by_group(work: Work, groups: Sequence[str], damaged: list[DamagedCase]) -> Iterator[Case]:
    for group in groups or ("",):
        yield from waiting(work.ledger, group, damaged)


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


def _address(work: Work, one: Chosen, request: ReplayRequest) -> None:
    message = one.message
    assert message is not None
    try:
        if message.source_arn:
            one.destination = work.url_of(message.source_arn.rsplit(":", 1)[1])
        if not one.destination and request.destination:
            one.destination = work.url_of(name_of(request.destination))
    except RepriseError as error:
        one.failure = error
        return
    if not one.destination:
        one.failure = Refused("nothing says which queue it came from: name the destination in the request")


def _send_intent(work: Work, ones: Sequence[Chosen], request: ReplayRequest) -> None:
    now = work.now()
    queue = ones[0].case.source
    pending = tuple(PendingSend(_message(one).message_id, content_hash(_message(one)), 0, one.tries) for one in ones)
    intent = SendIntent(uuid4().hex, queue, pending)
    try:
        work.intents.open([intent], now)
    except RepriseError as error:
        _give_back(work, ones, error)
        return
    by_destination: dict[str, list[Chosen]] = defaultdict(list)
    for one in ones:
        by_destination[one.destination].append(one)
    for url, bound in by_destination.items():
        fifo = url.endswith(".fifo")
        parts = [[bound[index] for index in part] for part in batches([size(_message(one)) for one in bound])]
        stuck: set[str] = set()
        for part in parts if not fifo else [[one] for one in bound]:
            if fifo and _message(part[0]).group_id in stuck:
                part[0].failure = Conflict("an earlier message of its group was not sent, and order is kept")
                continue
            _send_part(work, part, url, fifo=fifo, per_second=request.max_per_second)
            stuck |= {_message(one).group_id for one in part if one.failure is not None}
    writes: list[LedgerWrite] = []
    unknown = []
    for one in ones:
        if one.new_id:
            writes += [put(case_item(case)) for case in _settled(one, now)]
        elif isinstance(one.failure, OutcomeUnknown):
            unknown.append(one)  # its claim runs out by itself, and the next replay counts one more try
    settle = timedelta(seconds=request.settle_seconds)
    keys = [_new_key(one) for one in ones if one.new_id]
    writes += work.intents.settling(intent, keys, work.now() + max(one.delay for one in ones), settle)
    work.ledger.write_items(writes)
    _give_back(work, [one for one in ones if not one.new_id and one not in unknown], None)
    if not unknown:
        work.ledger.write_items(work.intents.closing(intent))


def _send_part(work: Work, part: Sequence[Chosen], url: str, *, fifo: bool, per_second: float) -> None:
    sends = []
    for index, one in enumerate(part):
        if not fifo:
            one.delay = min(LONGEST_DELAY, timedelta(seconds=work.sent_to[url] / per_second))
        work.sent_to[url] += 1
        # The deduplication id must differ from every attempt of a heal, and be the same for every try of this replay.
        sends.append(entry(_message(one), index, one.delay, fifo=fifo, attempt=-1))
    outcomes: list[Outcome] = work.sqs.send(url, sends, fifo=fifo)
    for one, outcome in zip(part, outcomes, strict=True):
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
    """Where the next run looks for the case of the message that was sent: what a comeback is counted by."""
    if _message(one).origin is Origin.SQS_REDRIVE:
        return one.new_id
    identity = str(one.case.detail.get("identity", ""))
    return one.new_id if identity in ("", one.case.key) else identity


def _give_back(work: Work, ones: Sequence[Chosen], error: RepriseError | None) -> None:
    """Nothing was sent of these: their cases are as before, at once."""
    for one in ones:
        if error is not None:
            one.failure = error
        if one.claimed is not None:
            try:
                work.ledger.change_case(one.case, expected=one.claimed)
            except RepriseError:
                continue  # the claim runs out by itself
            one.claimed = None


def _message(one: Chosen) -> Message:
    assert one.message is not None
    return one.message
