"""Beginning and end of a run: is the request sound, how old is the oldest row, the numbers, the report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recovery.errors import BadInput, RepriseError
from recovery.outbox_records.lost import keep_expiring
from recovery.outbox_records.models import Row, lines, read_row, written_at
from recovery.outbox_records.policy import Mode, OutboxRequest
from recovery.outbox_records.work import PATH, Work
from recovery.report import Number, RecoveryReport

_LOOK = 10
"""Keys of each partition that are looked at for the oldest row: one BatchGetItem for up to ten partitions."""


def check(request: OutboxRequest, region: str) -> None:
    """Refuse a request that cannot be meant.

    Args:
        region: where this run works.

    Raises:
        BadInput: a table without a topic, or the topic is somewhere else.
    """
    if not request.table:
        return  # nothing named, nothing touched: a schedule of a deployment that nobody has filled in stays quiet
    if not request.topic_arn:
        raise BadInput(f"topic_arn: no topic is named for the table {request.table!r}, so nothing is touched")
    where = request.topic_arn.split(":")[3]
    if region and where != region:
        raise BadInput(
            f"topic_arn: the topic is in {where}, and this run works in {region}: name a topic of this region, or an"
            f" estate whose credentials name {where}"
        )


def begin(work: Work) -> None:
    """Learn what the table is like, and begin to count the run's time by AWS's clock.

    Raises:
        BadInput: the table, its key or an index is not as the request says.
        Transient, Refused: it could not be described.
    """
    work.table.describe()
    work.started = work.now()  # until the first answer the clock was this machine's own


def look_at_oldest(work: Work) -> None:
    """Find the oldest unfinished row among the first in line, and keep TTL from deleting rows that stand there; both
    cost one Query a partition.

    Raises:
        Transient, Refused: the table could not be read.
    """
    pages = work.each(lambda line: work.table.due(line, None, _LOOK, None), lines(work.request.shards))
    keys = [key for page in pages for key in page.items]
    for start in range(0, len(keys), 100):
        for item in work.table.read(keys[start : start + 100]):
            moment = _since(work, read_row(item, work.names, work.table.key_names))
            if moment and (work.oldest is None or moment < work.oldest):
                work.oldest = moment
    keep_expiring(work)


def _since(work: Work, row: Row) -> datetime | None:
    """Since when a row waits: when it was written, else when it was or is due."""
    written = written_at(row.item.get(work.names.created)) if work.names.created else None
    if written is not None and written <= work.now():
        return written
    return datetime.fromtimestamp(row.due, UTC) if row.due is not None and 0 <= row.due < 1e11 else None


def finish(work: Work, run: str) -> RecoveryReport:
    """The report of the run. Its list is stored first; where that fails it is only a warning."""
    work.note(work.waiting)
    work.waiting = []
    seconds = max((work.now() - work.started).total_seconds(), 0.0)
    _tell_facts(work, seconds)
    return RecoveryReport(
        path=PATH,
        run=run,
        started=work.started,
        seconds=seconds,
        dry_run=work.dry_run,
        found=work.tally.found,
        by_kind=dict(work.tally.by_kind),
        by_action=dict(work.tally.by_action),
        unsettled=work.tally.unsettled,
        missed_events=work.lost,
        groups=work.tally.groups(),
        problems=tuple(work.problems),
        warnings=tuple(work.warnings),
        facts=tuple(work.facts),
        full_list=_store_list(work, run),
        requests=work.requests(),
        numbers=numbers(work),
    )


def _tell_facts(work: Work, seconds: float) -> None:
    if work.sent and seconds > 0:
        work.facts.append(f"{work.sent} rows published, {work.sent / seconds:,.0f} a second")
    if work.oldest is not None:
        age = work.now() - work.oldest
        if age > timedelta(0):
            work.facts.append(
                f"the oldest unfinished row among the first in line has waited {age.total_seconds():,.0f} s,"
                f" since {work.oldest:%Y-%m-%d %H:%M:%S} UTC"
            )
    for note, rows in sorted(work.notes.items()):
        work.warn(f"{rows} row(s) with {note}")
    if work.without_id:
        work.warn(
            f"{work.without_id} messages had ten attributes or more and carry no row id, since raw delivery would"
            " discard a message with eleven; their subscribers cannot tell a duplicate by it"
        )


def numbers(work: Work) -> tuple[Number, ...]:
    """What this run counted of its table, for metrics."""
    if not work.table.name:
        return ()
    told: dict[str, float] = {}
    if work.request.mode is Mode.DELIVER:
        told = {
            "OutboxPublished": work.sent,
            "OutboxFailed": work.failed,
            "OutboxExhausted": work.exhausted,
            "OutboxCircuitOpen": work.circuit_open,
        }
    elif work.request.mode is Mode.FIND_LOST:
        told = {"OutboxLost": work.lost}
    counted = [Number(name=name, value=value, source=work.table.name) for name, value in told.items()]
    if work.request.mode is Mode.DELIVER:
        age = max((work.now() - work.oldest).total_seconds(), 0.0) if work.oldest else 0.0
        counted.append(
            Number(name="OutboxOldestUnfinished", value=age, unit="Seconds", source=work.table.name, is_worst=True)
        )
    return tuple(counted)


def _store_list(work: Work, run: str) -> str:
    lines_ = work.full_list()
    if lines_ is None or work.dry_run:
        return ""
    plain = "".join(char if char.isalnum() or char in "-_." else "-" for char in run)[:100]
    key = f"reports/path={PATH}/date={work.started:%Y-%m-%d}/{work.started:%H%M%S}-{plain}.ndjson.gz"
    try:
        return work.archive.put_report(key, lines_)
    except RepriseError as error:
        work.warn(f"the full list of this run could not be stored: {error}")
        return ""
