"""The table's stream: new rows without a status are put in line as soon as they are written. Plain functions.

The first reader begins at the end of the stream: `find_lost` finds what was written before. Whoever takes over goes on
where the last one stood, if that was written down (`place`, `resumed`) and is not longer ago than a stream keeps its
records (24 hours). At most two readers should share a shard (AWS throttles a third), so whoever calls this holds a
lease on the stream.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from recovery.aws import calling, require_field
from recovery.errors import RepriseError, Transient
from recovery.outbox_records import changes
from recovery.outbox_records.gateway import OutboxTable
from recovery.outbox_records.models import lines, row_id
from recovery.outbox_records.policy import OutboxRequest

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

ACTIONS = {
    "follow": ("dynamodb:DescribeStream", "dynamodb:GetShardIterator"),
    "read": ("dynamodb:GetRecords", "dynamodb:GetShardIterator"),
    "enlist": ("dynamodb:PartiQLUpdate",),
    "earliest_due": ("dynamodb:Query",),
}
"""IAM actions of each function; the shipped policy is exactly the sum of these tables."""

Record = Mapping[str, Any]
PLACES = 2_000
"""Shards in a place, at most: some 200 KiB, written every half minute. Tables with more begin at the end."""
_SEQUENCE_NUMBER = re.compile(r"[0-9]{21,40}")
_LOST_PLACE = frozenset({"ExpiredIteratorException", "TrimmedDataAccessException"})


@dataclass(slots=True)
class Positions:
    """Position of a reader in a stream.

    Attributes:
        arn: the stream.
        iterators: of the shards being read, by shard.
        last: the last sequence number read, by shard, from which a lost iterator is made anew.
        done: shards that were read to their end; their children are read after them.
        began: when the first reader began, at the end of the stream.
        is_new: it has not been followed yet, and nobody stood in it before.
        resume: shards that an earlier reader was reading, and that have no iterator yet.
        whole: of these, the ones of which nothing had been read: they are read from their beginning, without the
            records that are older than the first reader.
        parents: the parent of each shard that the stream lists.
    """

    arn: str
    iterators: dict[str, str] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    began: datetime | None = None
    is_new: bool = True
    resume: frozenset[str] = frozenset()
    whole: set[str] = field(default_factory=set)
    parents: dict[str, str] = field(default_factory=dict)


def place(positions: Positions) -> Mapping[str, Any] | None:
    """Return the position as JSON; None when there is nothing to go on from, or too much to write down.

    A shard is read after its parent, so that the ended ancestors of a shard in the place need not stand in it: a busy
    table has some six of them a day for each that is open.
    """
    done = positions.done - _ancestors(positions.parents, {*positions.iterators, *positions.done})
    if positions.is_new or len(positions.iterators) + len(done) > PLACES:
        return None
    return {
        "began": positions.began.isoformat() if positions.began else "",
        "shards": {shard: positions.last.get(shard, "") for shard in positions.iterators},
        "done": sorted(done),
    }


def _ancestors(parents: Mapping[str, str], shards: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for shard in shards:
        parent = parents.get(shard, "")
        while parent and parent not in found:
            found.add(parent)
            parent = parents.get(parent, "")
    return found


def resumed(arn: str, stood: Mapping[str, Any]) -> Positions:
    """The positions of a reader who goes on where another stood.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: that is no place.
    """
    last = {str(shard): str(number) for shard, number in stood["shards"].items()}
    if not all(number == "" or _SEQUENCE_NUMBER.fullmatch(number) for number in last.values()):
        raise ValueError("shards")
    began = datetime.fromisoformat(stood["began"]) if stood["began"] else None
    if began is not None and began.tzinfo is None:
        raise ValueError("began")
    return Positions(
        arn,
        last={shard: number for shard, number in last.items() if number},
        done=set(map(str, stood["done"])),
        began=began,
        is_new=False,
        resume=frozenset(last),
    )


@dataclass(frozen=True, slots=True)
class Enlisted:
    """Outcome of a batch of stream records.

    Attributes:
        inserted: INSERTs of rows, whoever put them in line: reason enough to trigger.
        put_in_line: those that had no status and were put in line now.
        others: INSERTs that are not outbox rows (no message attribute).
        refused: error codes of rows that AWS refuses to put in line, by number of rows.
    """

    inserted: int
    put_in_line: int
    others: int
    refused: Mapping[str, int] = field(default_factory=dict)


def follow(client: DynamoDBStreamsClient, positions: Positions) -> None:
    """Find shards that are not read yet. A new reader begins at the end, one who goes on after the last record that was
    read; a shard whose parent it has read, at its beginning. Call it at the start, whenever a shard ends, and every
    minute or so.

    Raises:
        Transient, Refused: the stream could not be described.
    """
    shards: list[Any] = []
    start: dict[str, str] = {}
    while True:
        with calling("dynamodb:DescribeStream"):
            answer = client.describe_stream(StreamArn=positions.arn, **start)  # type: ignore[arg-type]
        described = require_field(answer, "StreamDescription", "dynamodb:DescribeStream")
        shards += require_field(described, "Shards", "dynamodb:DescribeStream")
        if "LastEvaluatedShardId" not in described:
            break
        start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}
    present = {shard["ShardId"] for shard in shards}
    positions.parents = {shard["ShardId"]: shard.get("ParentShardId", "") for shard in shards}
    if positions.resume:
        positions.done |= _ancestors(positions.parents, {*positions.resume, *positions.done})
    positions.done &= present  # a shard is listed for a day; what is gone need not be remembered
    for shard in shards:
        name, parent = shard["ShardId"], shard.get("ParentShardId", "")
        if name in positions.iterators or name in positions.done:
            continue
        if name in positions.resume:
            positions.iterators[name] = _resumed_iterator(client, positions, name)
        elif positions.is_new and "EndingSequenceNumber" in shard["SequenceNumberRange"]:
            positions.done.add(name)  # closed before we came
        elif parent in present and parent not in positions.done:
            continue  # the parent's records come first
        else:
            start_at = "LATEST" if positions.is_new else "TRIM_HORIZON"
            positions.iterators[name] = _iterator(client, positions, name, start_at)
    positions.is_new, positions.resume = False, frozenset()


def read(client: DynamoDBStreamsClient, positions: Positions, most: int = 1_000) -> list[Record]:
    """The next records of every shard that is being read, and where to go on. An iterator that was lost is made anew.

    What was read is never thrown away for a shard that could not be read: that shard is asked again next time.

    Raises:
        Transient, Refused: some shards could not be read, and the others had nothing.
    """
    found: list[Record] = []
    trouble: RepriseError | None = None
    for shard in list(positions.iterators):
        try:
            with calling("dynamodb:GetRecords"):
                answer = client.get_records(ShardIterator=positions.iterators[shard], Limit=most)
                records = require_field(answer, "Records", "dynamodb:GetRecords")
        except RepriseError as error:
            try:
                _find_place_again(client, positions, shard, error)
            except RepriseError as trouble_here:
                trouble = trouble_here
            continue
        began = positions.began if shard in positions.whole else None
        found += [record for record in records if began is None or _written(record, began) >= began]
        if records:
            positions.last[shard] = records[-1]["dynamodb"]["SequenceNumber"]
        following = answer.get("NextShardIterator")
        if following:
            positions.iterators[shard] = following
        else:
            del positions.iterators[shard]
            positions.last.pop(shard, None)
            positions.done.add(shard)
    if trouble and not found:
        raise trouble
    return found


def _find_place_again(client: DynamoDBStreamsClient, positions: Positions, shard: str, error: RepriseError) -> None:
    if error.code not in _LOST_PLACE:
        raise error
    trimmed = error.code.startswith("Trimmed") or shard not in positions.last
    kind = "TRIM_HORIZON" if trimmed else "AFTER_SEQUENCE_NUMBER"
    positions.iterators[shard] = _iterator(client, positions, shard, kind)


def _written(record: Record, unknown: datetime) -> datetime:
    written: datetime = record["dynamodb"].get("ApproximateCreationDateTime", unknown)
    return written


def _resumed_iterator(client: DynamoDBStreamsClient, positions: Positions, shard: str) -> str:
    if shard in positions.last:
        try:
            return _iterator(client, positions, shard, "AFTER_SEQUENCE_NUMBER")
        except RepriseError as error:
            if error.code not in _LOST_PLACE:
                raise
            del positions.last[shard]  # all that the stream still has of it came later
    else:
        positions.whole.add(shard)
    return _iterator(client, positions, shard, "TRIM_HORIZON")


def _iterator(client: DynamoDBStreamsClient, positions: Positions, shard: str, kind: str) -> str:
    place: Any = {"ShardIteratorType": kind}
    if kind == "AFTER_SEQUENCE_NUMBER":
        place["SequenceNumber"] = positions.last[shard]
    with calling("dynamodb:GetShardIterator"):
        answer = client.get_shard_iterator(StreamArn=positions.arn, ShardId=shard, **place)
    return str(require_field(answer, "ShardIterator", "dynamodb:GetShardIterator"))


def enlist(table: OutboxTable, request: OutboxRequest, records: Sequence[Record], now: datetime) -> Enlisted:
    """Put new rows without a status in line, by a condition that no status stands there yet. Repeating it is safe.

    Args:
        table: described already.
        request: names, shards, and the grace of a service that publishes by itself: it delays the first attempt.
        records: stream records as GetRecords gives them, with their new images.
        now: aware, UTC.

    Raises:
        Transient, Refused: some rows were not put in line, and may be when this is repeated. A row that AWS refuses for
            what it is does not stand in the way of the others: it is `refused`.
    """
    names = request.names
    inserted = others = 0
    wanted: dict[str, changes.Change] = {}
    for record in records:
        if record.get("eventName") != "INSERT":
            continue
        image = record["dynamodb"].get("NewImage", {})
        if names.message not in image:
            others += 1
            continue
        inserted += 1
        if names.status in image:
            continue
        key = record["dynamodb"]["Keys"]
        identity = row_id(key, table.key_names)
        group = image.get(names.group, {}) if names.group else {}
        wanted[identity] = changes.enlisted(
            table.key_of(key),
            names,
            identity=identity,
            shards=request.shards,
            due=now + timedelta(seconds=request.policy.grace_seconds),
            group=str(group["S"]) if "S" in group else "",
        )
    results = table.change(list(wanted.values()))
    left = sum(result.again for result in results)
    if left:
        raise Transient(
            f"dynamodb:PartiQLUpdate: {left} new row(s) could not be put in line", operation="dynamodb:PartiQLUpdate"
        )
    refused = Counter(result.problem.partition(":")[0] for result in results if result.problem)
    return Enlisted(inserted, sum(result.done for result in results), others, refused)


def earliest_due(table: OutboxTable, request: OutboxRequest) -> datetime | None:
    """Return the time at which a row falls due next (or its lease ends), by the index; None when nothing is unfinished.

    Raises:
        Transient, Refused: the index could not be read.
    """
    moments = [table.due(line, None, 1, None).first_due for line in lines(request.shards)]
    # A clock far in the future is no time; `find_lost` fixes such a row.
    known = [each for each in moments if each is not None and each < 1e11]
    return datetime.fromtimestamp(min(known), UTC) if known else None
