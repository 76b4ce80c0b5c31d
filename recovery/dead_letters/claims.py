"""Archived messages on their way back: claimed through the ledger, and fetched from the archive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from recovery.archive import Pointer
from recovery.cases import Case, State
from recovery.dead_letters.archived import from_record
from recovery.dead_letters.messages import Message
from recovery.dead_letters.own_targets import own_target
from recovery.dead_letters.rules import TRIES
from recovery.dead_letters.situation import Unconfirmed
from recovery.dead_letters.work import Work
from recovery.errors import Conflict, Refused, RepriseError, Transient

LEASE = timedelta(minutes=10)
"""Length of the claim on the messages of one part; each batch of sends looks at its end first."""


class Chosen:
    """One archived message on its way back."""

    __slots__ = (
        *("case", "claimed", "confirmed", "delay", "destination", "failure", "is_changed", "mark", "message"),
        *("new_id", "tries"),
    )

    def __init__(self, case: Case) -> None:
        self.case = case
        self.claimed: Case | None = None
        self.confirmed: Unconfirmed | None = None  # a replay that died had sent it
        self.message: Message | None = None
        self.is_changed = False  # by a plan's patch
        self.mark: dict[str, Any] = {}  # for the detail of both of its cases
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
        self.queue = arn_of(cases[0])
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


def claim(work: Work, part: Part) -> None:
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


def fetch(work: Work, part: Part) -> None:
    """Read the messages from the archive, each object once, and find where each goes."""
    by_object: dict[str, list[tuple[Chosen, int]]] = defaultdict(list)
    for one in part.ready():
        pointer = Pointer.from_json(one.case.detail["archive"])
        by_object[pointer.key].append((one, pointer.line))
    for key, wanted in by_object.items():
        try:
            if "s3" in work.silent:
                raise Transient(work.silent["s3"])
            lines = _lines(work, key)
        except RepriseError as error:
            work.stop_asking("s3", error)
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
    give_back(work, [one for one in part.chosen if one.failure is not None], None)


def _lines(work: Work, key: str) -> list[dict[str, Any]]:
    """Return the records of an object; the last one read is kept, since parts that follow often need it, too."""
    if key not in work.last_object:
        work.last_object = {key: work.archive.read_bundle(key)}
    return work.last_object[key]


def _address(work: Work, one: Chosen, part: Part) -> None:
    message, request = message_of(one), work.request
    if message.is_cut:
        one.failure = Refused("Scheduler cut its payload: take the whole input from the schedule, and send that")
        return
    try:
        if message.source_arn:
            one.destination = work.url_of(message.source_arn, part.queue)
        if not one.destination and request.destination:
            one.destination = work.url_of(request.destination, part.queue)
        if not one.destination:
            one.destination = own_target(work.callers, message, part.queue, url_of=work.url_of)
    except RepriseError as error:
        one.failure = error
        return
    if not one.destination:
        one.failure = Refused("nothing says which queue it came from: name the destination in the request")


def give_back(work: Work, ones: Sequence[Chosen], error: RepriseError | None) -> None:
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


def message_of(one: Chosen) -> Message:
    """Return the message, which was fetched."""
    assert one.message is not None
    return one.message


def arn_of(case: Case) -> str:
    """Return the ARN of the queue that the message lay in."""
    return str(case.detail.get("arn", ""))
