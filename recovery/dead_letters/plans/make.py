"""Making a plan: choose archived messages, find where each goes and what is sent, and freeze that."""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from uuid import uuid4

import jsonschema
from pydantic import BaseModel, ConfigDict, Field

from recovery.archive import encode
from recovery.audit import Act, Audit
from recovery.cases import Case, DamagedCase
from recovery.dead_letters.archived import from_record
from recovery.dead_letters.messages import Message
from recovery.dead_letters.names import name_of, short_name
from recovery.dead_letters.own_targets import own_target
from recovery.dead_letters.plans.book import PlanBook
from recovery.dead_letters.plans.frozen import encoded, object_key, sha_of
from recovery.dead_letters.plans.patch import Slow, Unfit, apply, differences
from recovery.dead_letters.plans.plan import Plan
from recovery.dead_letters.plans.request import PlanRequest, utc
from recovery.dead_letters.plans.spool import Spool
from recovery.dead_letters.remembered import describe_damaged, remembered, waiting
from recovery.dead_letters.replay import REPLAYABLE
from recovery.dead_letters.work import Work
from recovery.errors import BadInput, Refused, RepriseError

SAMPLES = 3
MOST_SLOW = 20
"""Bodies on which a pattern may take too long before the plan is given up."""


class GroupOfPlan(BaseModel):
    """Alike messages of a plan."""

    model_config = ConfigDict(frozen=True)

    source: str
    kind: str
    group: str
    error: str
    count: int


class PlanReport(BaseModel):
    """A plan as people review it."""

    model_config = ConfigDict(frozen=True)

    plan_id: str
    digest: str
    count: int = Field(description="Messages that will be sent.")
    groups: tuple[GroupOfPlan, ...] = ()
    destinations: dict[str, int] = Field(default_factory=dict, description="Messages by queue they go to.")
    left_out: dict[str, int] = Field(default_factory=dict, description="Messages that cannot be sent, by reason.")
    changed: int = Field(0, description="Messages that the patch changes.")
    differences: tuple[str, ...] = Field((), description="Differences of samples, without values.")
    oldest: datetime | None = None
    youngest: datetime | None = None
    attempts: dict[int, int] = Field(default_factory=dict, description="Messages by attempts so far.")
    sent_before: int = Field(0, description="Messages that came back from an earlier send.")
    steps: tuple[int, ...] = ()
    share: float = 1.0
    settle_seconds: int = 0
    expires: datetime | None = None
    another_person: bool = False
    requests: dict[str, int] = Field(default_factory=dict, description="Estimate of the requests to AWS.")
    warnings: tuple[str, ...] = ()
    stored_at: str = ""

    @property
    def headline(self) -> str:
        """One sentence."""
        return f"plan {self.plan_id}: {self.count} message(s), {sum(self.left_out.values())} left out"


def make(work: Work, request: PlanRequest) -> PlanReport:
    """Choose the messages, freeze them as a plan, and return it for review. Nothing is sent.

    Raises:
        BadInput: no person, nothing named, or nothing found.
        Transient, Refused: the ledger or the archive could not be read or written: there is no plan.
    """
    request.check()
    with closing(Spool()) as spool:
        damaged: list[DamagedCase] = []
        _choose(work, request, spool, damaged)
        warnings = [describe_damaged(damaged, work.ledger.table)] if damaged else []
        if spool.count >= request.limit:
            warnings.append(f"there may be more: the plan ends after {request.limit} message(s) (limit)")
        if not spool.count:
            raise BadInput(f"queues: no archived message fits{'; ' + warnings[0] if warnings else ''}")
        samples = _resolve(work, request, spool)
        now = work.now()
        plan = _freeze(work, request, spool, now)
        subject = f"plan {plan.id} of {plan.count} message(s)"
        Audit(work.ledger).write(
            Act(now, request.operator, "plan", request.reason, subject, plan.count, request.identity)
        )
        PlanBook(work.ledger).write(plan, now)
        return _report(work, plan, spool, samples, warnings)


def fits(case: Case, request: PlanRequest, now: datetime) -> bool:
    """True for a message in the archive that the request names, that nobody has closed and no run is sending."""
    if case.state not in REPLAYABLE or case.is_closed or not case.detail.get("archive"):
        return False
    lease = case.detail.get("lease")
    if case.state.value == "replaying" and lease and datetime.fromisoformat(lease) > now:
        return False
    first, last = utc(request.first_seen_from), utc(request.first_seen_until)
    return (
        (not request.queues or any(fnmatchcase(case.source, name_of(queue)) for queue in request.queues))
        and (not request.kinds or case.kind in request.kinds)
        and (not request.groups or case.group in request.groups)
        and (not request.rules or case.rule in request.rules)
        and request.text.casefold() in str(case.detail.get("error", "")).casefold()
        and (first is None or case.first_seen >= first)
        and (last is None or case.first_seen < last)
    )


def _choose(work: Work, request: PlanRequest, spool: Spool, damaged: list[DamagedCase]) -> None:
    for case in _candidates(work, request, damaged):
        if fits(case, request, work.now()):
            spool.add(case)
        if spool.count >= request.limit:
            return


def _candidates(work: Work, request: PlanRequest, damaged: list[DamagedCase]) -> Iterator[Case]:
    if request.message_ids:
        yield from remembered(work.ledger, request.message_ids, damaged).values()
        return
    patterns = [name_of(queue) for queue in request.queues]

    def in_scope(source: str) -> bool:
        return not patterns or any(fnmatchcase(source, pattern) for pattern in patterns)

    for group in request.groups or ("",):
        yield from waiting(work.ledger, group, damaged, in_scope)


def _resolve(work: Work, request: PlanRequest, spool: Spool) -> list[str]:
    """Read each object once: find where its messages go, and what exactly is sent. Return differences of samples."""
    samples: list[str] = []
    slow = 0
    for arn, key, wanted in spool.objects():
        rows: list[tuple[str, str, str, int, str]] = []
        try:
            lines = work.archive.read_bundle(key)
        except RepriseError as error:
            spool.settle([("", "", f"its copy cannot be read: {error}", 0, one) for one, _, _ in wanted])
            continue
        for one, line, _ in wanted:
            try:
                message = _message(lines, one, line, work.now())
                url = destination_of(work, message, arn, request.destination)
                made = apply(request.patch, message)
                _keep_schema(request, made)
            except (Unfit, RepriseError) as error:
                rows.append(("", "", str(error), 0, one))
                slow += isinstance(error, Slow)
                if slow >= MOST_SLOW:
                    raise BadInput(f"patch.pattern: it takes too long on {slow} bodies; write a simpler one") from None
                continue
            if made is not message and len(samples) < SAMPLES * 10:
                samples += [f"{one}: {line}" for line in differences(message, made)]
            rows.append((url, sha_of(made), "", int(made is not message), one))
        spool.settle(rows)
    return samples


def _message(lines: list[dict[str, Any]], key: str, line: int, now: datetime) -> Message:
    if line >= len(lines) or lines[line].get("message_id") != key:
        raise Refused("the archive does not hold it at its place")
    try:
        return from_record(lines[line], now)
    except ValueError as error:
        raise Refused(f"its copy is not as this archive keeps messages: {error}") from None


def destination_of(work: Work, message: Message, dead: str, default: str | None) -> str:
    """Return the address that a message goes to: a queue, or its own target.

    Raises:
        Refused: nothing names it, it is gone, or the message was cut.
    """
    if message.is_cut:
        raise Refused("Scheduler cut its payload: take the whole input from the schedule, and send that")
    url = work.url_of(message.source_arn, dead) if message.source_arn else ""
    url = (
        url
        or (work.url_of(default, dead) if default else "")
        or own_target(work.callers, message, dead, url_of=work.url_of)
    )
    if not url:
        raise Refused("nothing names the queue it came from: name the destination in the request")
    return url


def _keep_schema(request: PlanRequest, message: Message) -> None:
    if request.body_schema is None:
        return
    try:
        jsonschema.validate(json.loads(message.body), request.body_schema)
    except jsonschema.SchemaError:
        raise BadInput("body_schema: it is no JSON Schema") from None
    except (ValueError, jsonschema.ValidationError):
        raise Unfit("the changed body does not keep the schema") from None


def _freeze(work: Work, request: PlanRequest, spool: Spool, now: datetime) -> Plan:
    plan_id = f"{now:%Y%m%d-%H%M%S}-{uuid4().hex[:6]}"
    head = {
        "plan": plan_id,
        "patch": request.patch.model_dump(mode="json"),
        "steps": list(request.steps),
        "share": request.share,
        "destination": request.destination or "",
        "max_per_second": request.max_per_second,
        "settle_seconds": request.settle_seconds,
    }
    digest, count = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as file:
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=5) as packed:
            raw = encode(head) + b"\n"
            digest.update(raw)
            packed.write(raw)
            for line in spool.lines(sum(request.steps)):
                raw = encoded(line) + b"\n"
                digest.update(raw)
                packed.write(raw)
                count += 1
        if not count:
            reasons = "; ".join(f"{n} {why}" for why, n in spool.by("refused", refused=True))
            raise BadInput(f"queues: none of {spool.count} message(s) can be sent: {reasons[:500]}")
        file.seek(0)
        key = object_key(plan_id)
        work.archive.put_report(key, file)
    return Plan(
        id=plan_id,
        digest=digest.hexdigest(),
        object=key,
        count=count,
        operator=request.operator,
        identity=request.identity,
        reason=request.reason,
        made=now,
        expires=now + timedelta(seconds=request.expires_seconds),
        steps=request.steps,
        share=request.share,
        destination=request.destination or "",
        max_per_second=request.max_per_second,
        settle_seconds=request.settle_seconds,
        destinations=tuple(url for url, _ in spool.by("dest", most=10_000)),
        another_person=request.another_person,
    )


def _report(work: Work, plan: Plan, spool: Spool, samples: list[str], warnings: list[str]) -> PlanReport:
    oldest, youngest, changed, before, objects = spool.numbers()
    return PlanReport(
        plan_id=plan.id,
        digest=plan.digest,
        count=plan.count,
        groups=tuple(
            GroupOfPlan(source=source, kind=kind, group=group, error=error, count=count)
            for source, kind, group, error, count in spool.by("source, kind, grp, error")
        ),
        destinations={short_name(url): count for url, count in spool.by("dest")},
        left_out=dict(spool.by("refused", refused=True)),
        changed=changed,
        differences=tuple(samples),
        oldest=_time(oldest, plan.made),
        youngest=_time(youngest, plan.made),
        attempts=dict(spool.by("attempts")),
        sent_before=before,
        steps=plan.steps,
        share=plan.share,
        settle_seconds=plan.settle_seconds,
        expires=plan.expires,
        another_person=plan.another_person,
        requests={
            "sqs": -(-plan.count // 10),
            "s3": objects + 2 * (len(plan.steps) + 1),
            "dynamodb": plan.count + 5 * -(-plan.count // 25),
        },
        warnings=tuple(warnings),
        stored_at=f"s3://{work.archive.bucket}/{plan.object}",
    )


def _time(seconds: int | None, like: datetime) -> datetime | None:
    return datetime.fromtimestamp(seconds, like.tzinfo) if seconds is not None else None
