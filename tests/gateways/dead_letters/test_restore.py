"""A ledger restored to an hour ago, in a new table, and an archive of which a copy was deleted: nothing is lost.

The steps are those of docs/operations.md, "Restoring". What such a ledger has forgotten may be done once more: each
test says what, and that it is no more than that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from blocks.connection import Connection
from deployments.rebuild import archived
from flows import dead_letters as flow
from proof.plain_prefect import play
from recovery.dead_letters import sending
from recovery.dead_letters.rebuilding import rebuild
from tasks import dead_letters as tasks
from tests.dead_letters_world import AUTH, INVALID, TIMEOUT, DeadLettersWorld, Pair

LATER = 3600


class Killed(BaseException):
    """The run ends in the middle of what it does."""


def restored(world: DeadLettersWorld) -> Callable[[], Connection]:
    """Restore the ledger as it is now into a new table; the answer connects a later run to that."""
    dynamodb = world.aws.client("dynamodb")
    table = f"{world.table}-restored"
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=world.table, TargetTableName=table, UseLatestRestorableTime=True
    )
    dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification={"AttributeName": "expires", "Enabled": True})
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    return lambda: replace(world.connection(), ledger_table=table)


def hour(world: DeadLettersWorld) -> None:
    """An hour passes: all leases end, and what was hidden is there again."""
    world.aws.clock.advance(LATER)


def everywhere(world: DeadLettersWorld, pair: Pair) -> Counter[str]:
    """Count the copies of each body: in the source, in the dead-letter queue and in the archive."""
    return Counter([*world.bodies(pair.source), *world.bodies(pair.dead)])


def test_what_recovered_in_the_forgotten_hour_is_not_sent_again(world: DeadLettersWorld) -> None:
    """A healed message is in no queue any more, so a ledger that does not know it does nothing about it."""
    pair = world.pair()
    old = restored(world)
    world.die(pair, [TIMEOUT] * 3)
    assert world.recover(pair.dead).by_action == {"heal": 3}
    hour(world)
    assert world.recover(pair.dead, connection=old()).by_action == {}
    assert sorted(everywhere(world, pair).values()) == [1, 1, 1]


def test_attempts_of_the_forgotten_hour_are_made_again(world: DeadLettersWorld) -> None:
    """A message that fails again gets its attempts anew, at most as many as the policy allows; it is not lost."""
    pair = world.pair()
    old = restored(world)
    world.die(pair, [TIMEOUT])
    world.recover(pair.dead)
    hour(world)
    world.fail(pair.source)
    report = world.recover(pair.dead, connection=old())
    assert report.by_action == {"heal": 1}
    assert list(everywhere(world, pair).values()) == [1]


def test_what_was_being_sent_in_the_forgotten_hour_is_sent_once_more(world: DeadLettersWorld) -> None:
    """The send intent is forgotten, and the message still lies in its dead-letter queue: two copies, and no third."""
    pair = world.pair()
    old = restored(world)
    world.die(pair, [TIMEOUT] * 3)
    request = world.request(pair.dead)
    send = sending.send_messages

    def killed(*args: Any) -> None:
        send(*args)
        raise Killed

    with (
        pytest.raises(Killed),
        mock.patch.object(tasks.send_messages, "fn", killed),
        world.at_work(request) as work,
    ):
        play(flow.recover_dead_letters, request, work)
    hour(world)
    assert world.recover(pair.dead, connection=old()).by_action == {"heal": 3}
    for _ in range(2):
        hour(world)
        world.recover(pair.dead, connection=old())
    assert sorted(everywhere(world, pair).values()) == [2, 2, 2]


def test_what_was_archived_in_the_forgotten_hour_is_rebuilt_and_replayed(world: DeadLettersWorld) -> None:
    """The archive knows what the ledger does not: `reprise rebuild` makes the cases, and a replay finds them."""
    pair = world.pair()
    world.die(pair, [AUTH])
    world.recover(pair.dead)
    old = restored(world)
    world.die(pair, [AUTH, INVALID])
    world.recover(pair.dead)
    hour(world)
    assert world.replay(connection=old(), queues=(pair.dead,), dry_run=True).found == 1
    assert rebuilt(old(), dry_run=True) == (3, 2, 0)
    assert rebuilt(old()) == (3, 2, 0)
    assert rebuilt(old()) == (3, 0, 0)
    report = world.replay(connection=old(), queues=(pair.dead,))
    assert (report.by_action, report.problems, report.unsettled) == ({"replay": 3}, (), 0)
    assert sum(everywhere(world, pair).values()) == 3
    assert world.replay(connection=old(), queues=(pair.dead,)).by_action == {}


def test_a_rebuilt_case_of_a_message_still_in_its_queue_ends_with_one_copy(world: DeadLettersWorld) -> None:
    """A run was killed between archive and record: the message lies in both, and the next sweep sees its copy safe."""
    pair = world.pair()
    old = restored(world)
    world.die(pair, [INVALID])

    def killed(*_: object) -> None:
        raise Killed

    with (
        pytest.raises(Killed),
        mock.patch.object(tasks.record_cases, "fn", killed),
        world.at_work(world.request(pair.dead)) as work,
    ):
        play(flow.recover_dead_letters, world.request(pair.dead), work)
    hour(world)
    assert rebuilt(old()) == (1, 1, 0)
    world.recover(pair.dead, connection=old())
    assert world.bodies(pair.dead) == []
    assert world.replay(connection=old(), queues=(pair.dead,)).by_action == {"replay": 1}
    assert list(everywhere(world, pair).values()) == [1]


def rebuilt(connection: Connection, *, dry_run: bool = False) -> tuple[int, int, int]:
    """Run `reprise rebuild` over all that the archive holds."""
    keys = list(archived(connection, datetime(2020, 1, 1, tzinfo=UTC)))
    now = connection.clock.now()
    return rebuild(connection.ledger, connection.archive, keys, now, timedelta(days=430), dry_run=dry_run)


def test_people_are_notified_once_more_of_a_group_of_the_forgotten_hour(world: DeadLettersWorld) -> None:
    """Only when the group fails again; within the window of the new ledger there is no third alert."""
    pair = world.pair()
    old = restored(world)
    world.die(pair, [AUTH])
    world.recover(pair.dead)
    world.aws.clock.advance(600)
    for _ in range(2):
        world.die(pair, [AUTH])
        world.recover(pair.dead, connection=old())
    assert len(world.alerts(pair.dead)) == 2


def test_a_deleted_object_of_the_archive_comes_back_from_its_version(world: DeadLettersWorld) -> None:
    """`list-object-versions` and `copy-object`, as the page says; the replay then finds its messages."""
    pair = world.pair()
    s3 = world.aws.client("s3")
    s3.put_bucket_versioning(Bucket=world.bucket, VersioningConfiguration={"Status": "Enabled"})
    world.die(pair, [INVALID])
    world.recover(pair.dead)
    [key] = [each["Key"] for each in s3.list_objects_v2(Bucket=world.bucket, Prefix="archive/")["Contents"]]
    s3.delete_object(Bucket=world.bucket, Key=key)
    assert world.replay(queues=(pair.dead,)).by_action == {}
    [version] = s3.list_object_versions(Bucket=world.bucket, Prefix=key)["Versions"]
    source = {"Bucket": world.bucket, "Key": key, "VersionId": version["VersionId"]}
    s3.copy_object(Bucket=world.bucket, Key=key, CopySource=source)
    assert world.replay(queues=(pair.dead,)).by_action == {"replay": 1}
    assert list(everywhere(world, pair).values()) == [1]
