"""Histories of items, read from a real ledger, archive and outbox table."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from recovery.archive import encode
from recovery.cases import State
from recovery.digest.book import DayBook
from recovery.errors import BadInput
from recovery.histories.pages import story_page
from recovery.histories.requests import CaseRequest, ListRequest
from recovery.histories.search import Histories
from simulated_aws.server import SimulatedAws
from tasks.cases import histories_of
from tests.dead_letters_world import AUTH, PAYLOAD, POLICY, TIMEOUT, DeadLettersWorld
from tests.outbox_world import TABLE, OutboxWorld
from tests.unit.histories.test_story import case


@pytest.fixture
def world(simulated_aws: SimulatedAws, sdk_does_not_wait: None) -> DeadLettersWorld:
    return DeadLettersWorld(simulated_aws)


def histories(world: DeadLettersWorld) -> Histories:
    return histories_of(world.connection())


def test_a_message_is_found_by_any_id_it_ever_had(world: DeadLettersWorld) -> None:
    """A message that was healed has a case under its new id only; its first one is found in the list of the run."""
    pair = world.pair()
    [first] = world.die(pair, [TIMEOUT])
    report = world.recover(pair.dead)
    DayBook(histories(world).ledger).add(report, "run", world.aws.clock.now())
    world.aws.clock.advance(900)
    [second] = world.ids(pair.source)
    assert first != second
    [healed] = histories(world).describe(CaseRequest(key=second))
    [again] = histories(world).describe(CaseRequest(key=first, path="dead_letters"))
    assert (healed.state, healed.ids) == ("sent", (first, second))
    assert again.moments == healed.moments
    with pytest.raises(BadInput, match="nothing is known"):
        histories(world).describe(CaseRequest(key=first, days=0))


def test_the_copy_in_the_archive_is_reported_and_its_body_is_not(world: DeadLettersWorld) -> None:
    """Address, diagnosis and next step; never what the message held."""
    pair = world.pair()
    [message] = world.die(pair, [AUTH], MessageBody="SECRET-BODY")
    world.recover(pair.dead)
    asked = histories(world)
    [story] = asked.describe(CaseRequest(key=message))
    assert story.kind == "AUTH_FAILURE"
    assert story.waits_for_a_person
    assert story.archive
    page = story_page([story], asked.warnings)
    assert "SECRET-BODY" not in page
    assert "s3://" in page
    assert not asked.warnings


def test_a_copy_that_is_gone_is_a_warning(world: DeadLettersWorld) -> None:
    """The ledger's part of the story is reported all the same."""
    pair = world.pair()
    [message] = world.die(pair, [AUTH])
    world.recover(pair.dead)
    s3 = world.aws.client("s3")
    for item in s3.list_objects_v2(Bucket=world.bucket, Prefix="archive/")["Contents"]:
        s3.delete_object(Bucket=world.bucket, Key=item["Key"])
    asked = histories(world)
    [story] = asked.describe(CaseRequest(key=message))
    assert story.state == State.PARKED
    assert [line for line in asked.warnings if "could not be read" in line]


def test_a_replication_is_found_by_its_name_and_by_its_arn(world: DeadLettersWorld) -> None:
    """The ledger knows ARNs; DMS, or what waits for a person, knows the name."""
    arn = "arn:aws:dms:us-east-1:000000000000:task:ABC"
    kept = case(arn, State.ESCALATED, path="replication_tasks", detail={"name": "orders", "restarts": []})
    asked = histories(world)
    asked.ledger.write_cases([kept])
    by_arn = asked.describe(CaseRequest(key=arn))
    by_name = asked.describe(CaseRequest(key="orders"))
    assert [story.ids for story in (*by_arn, *by_name)] == [("orders", arn)] * 2

    def arns(name: str) -> Sequence[str]:
        return [arn] if name == "orders" else []

    asked.ledger.write_cases([replace(kept, state=State.RECOVERED)])
    asked.arns = arns
    assert [story.state for story in asked.describe(CaseRequest(key="orders"))] == ["recovered"]


def test_an_outbox_row_shows_its_own_story(world: DeadLettersWorld) -> None:
    """By its key, in the table that is named; without what it holds."""
    outbox = OutboxWorld(world.aws)
    outbox.pending("good", "SECRET-MESSAGE")
    outbox.pending("bad", "")
    outbox.run()
    asked = histories(world)
    [good] = asked.describe(CaseRequest(key="good", outbox_tables=(TABLE,)))
    [bad] = asked.describe(CaseRequest(key="bad", path="outbox_records", outbox_tables=(TABLE,)))
    assert (good.state, good.waits_for_a_person) == ("Successful", False)
    assert (bad.state, bad.waits_for_a_person) == ("Exhausted", True)
    assert "revive" in bad.next_step
    assert "SECRET" not in story_page([good, bad])


@pytest.mark.parametrize(
    ("request_", "stated"),
    [
        ({}, "key: name a message id"),
        ({"key": "  "}, "key: name a message id"),
        ({"key": "nobody"}, "nothing is known of 'nobody' on any path"),
        ({"key": "nobody", "path": "appflow_runs"}, "on the path appflow_runs"),
        ({"key": "x", "path": "outbox_records"}, "outbox_tables: name the table"),
        ({"key": "x", "outbox_tables": ("no-such-table",)}, "there is no table 'no-such-table'"),
    ],
)
def test_a_request_that_makes_no_sense_is_reported_clearly(
    world: DeadLettersWorld, request_: dict[str, Any], stated: str
) -> None:
    """One line that names the field and what to do."""
    with pytest.raises(BadInput, match=stated):
        histories(world).describe(CaseRequest(**request_))


def test_what_waits_is_listed_by_path_group_and_age(world: DeadLettersWorld) -> None:
    """Messages, replications, flows and rows that wait for a person; what passes by itself is not listed."""
    pair = world.pair()
    world.die(pair, [AUTH, PAYLOAD, TIMEOUT])
    world.recover(pair.dead)
    outbox = OutboxWorld(world.aws)
    outbox.pending("bad", "", created_at="2020-01-01T00:00:00Z")
    outbox.run()
    asked = histories(world)
    asked.ledger.write_cases(
        [
            case("arn:x", State.ESCALATED, path="replication_tasks", detail={"name": "orders-task"}),
            case("orders-flow", State.RECOVERED, path="appflow_runs"),
            case("lost-flow", State.EXHAUSTED, path="appflow_runs"),
        ]
    )
    found = asked.waiting(ListRequest(outbox_tables=(TABLE,)))
    assert {(story.path, story.kind) for story in found} == {
        ("dead_letters", "AUTH_FAILURE"),
        ("dead_letters", "BAD_PAYLOAD"),
        ("replication_tasks", "TIMEOUT"),
        ("appflow_runs", "TIMEOUT"),
        ("outbox_records", "BAD_PAYLOAD"),
    }
    assert [story.path for story in found] == sorted(story.path for story in found)
    messages = asked.waiting(ListRequest(paths=("dead_letters",)))
    assert len(messages) == 2
    [one] = asked.waiting(ListRequest(paths=("dead_letters",), groups=(messages[0].group,)))
    assert one.group == messages[0].group
    # The replication and the flow were first seen in March 2026, the row in 2020; the messages just now.
    old = asked.waiting(ListRequest(older_than_seconds=86_400, outbox_tables=(TABLE,)))
    assert {story.path for story in old} == {"replication_tasks", "appflow_runs", "outbox_records"}


def test_a_list_that_ends_early_says_so(world: DeadLettersWorld) -> None:
    """A bounded list is not mistaken for all."""
    asked = histories(world)
    asked.ledger.write_cases([case(f"m{n}", State.PARKED) for n in range(30)])
    assert len(asked.waiting(ListRequest(limit=10))) == 10
    assert any("there may be more" in line for line in asked.warnings)
    asked = histories(world)
    assert len(asked.waiting(ListRequest())) == 30
    assert not asked.warnings


def test_a_report_says_which_messages_are_used_up_and_what_became_of_the_others(world: DeadLettersWorld) -> None:
    """Metrics, digest and histories rest on two fields: `exhausted` of a group, and `became` in the full list."""
    pair = world.pair()
    [message] = world.die(pair, [TIMEOUT])
    once = POLICY.model_copy(update={"max_attempts": 1})
    report = world.recover(pair.dead, policy=once)
    key = report.full_list.removeprefix(f"s3://{world.bucket}/")
    [line] = histories(world).archive.read_bundle(key)
    world.aws.clock.advance(900)
    [healed] = world.ids(pair.source)
    assert (line["key"], line["became"], line["exhausted"]) == (message, healed, False)
    world.fail(pair.source)
    report = world.recover(pair.dead, policy=once)
    assert [(row.action, row.exhausted) for row in report.groups] == [("alert", True)]


def test_a_list_with_lines_that_cannot_be_read_says_so(world: DeadLettersWorld) -> None:
    """The item may stand in one of them, so "nothing is known" never comes without a warning."""
    pair = world.pair()
    ids = world.die(pair, [TIMEOUT, TIMEOUT])
    report = world.recover(pair.dead)
    DayBook(histories(world).ledger).add(report, "run", world.aws.clock.now())
    key = report.full_list.removeprefix(f"s3://{world.bucket}/")
    kept = [b"{cut" if line["key"] == ids[0] else encode(line) for line in histories(world).archive.read_bundle(key)]
    world.aws.client("s3").put_object(Bucket=world.bucket, Key=key, Body=gzip.compress(b"\n".join(kept)))
    asked = histories(world)
    assert asked.describe(CaseRequest(key=ids[1], path="dead_letters"))
    assert asked.warnings == [f"the list {key} has lines that cannot be read"]
