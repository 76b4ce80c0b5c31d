"""People end what waits, on every path: each case stays as it was below the mark, and nothing waits that is closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from recovery.alerts import Alert, Announced
from recovery.audit import Audit
from recovery.cases import State
from recovery.closing.close import close_cases, note_group, reopen_cases
from recovery.closing.marks import How
from recovery.closing.pages import audit_text
from recovery.closing.requests import CloseRequest, NoteRequest, ReopenRequest
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.errors import BadInput
from recovery.histories.requests import ListRequest, Standing
from recovery.histories.search import Histories
from recovery.paths import Path
from simulated_aws.server import SimulatedAws
from tasks.cases import histories_of
from tests.dead_letters_world import AUTH, ERROR, INVALID, PAYLOAD, DeadLettersWorld
from tests.outbox_world import TABLE, OutboxWorld
from tests.unit.histories.test_story import case

WHO = {"operator": "ann", "reason": "sent by hand", "dry_run": False}


@pytest.fixture
def world(simulated_aws: SimulatedAws, sdk_does_not_wait: None) -> DeadLettersWorld:
    return DeadLettersWorld(simulated_aws)


def histories(world: DeadLettersWorld) -> Histories:
    return histories_of(world.connection())


def waiting(world: DeadLettersWorld, **filters: object) -> set[str]:
    return {story.key for story in histories(world).waiting(ListRequest.model_validate(filters))}


def test_everything_that_waits_can_be_closed_and_reopened(world: DeadLettersWorld) -> None:
    """One request on four paths: nothing waits any more, and reopening gives every case back exactly as it was."""
    pair = world.pair()
    world.die(pair, [AUTH, PAYLOAD])
    world.recover(pair.dead)
    outbox = OutboxWorld(world.aws)
    outbox.pending("bad", "")
    outbox.run()
    kept = [
        case("arn:x", State.ESCALATED, path="replication_tasks", detail={"name": "orders-task"}),
        case("lost-flow", State.EXHAUSTED, path="appflow_runs"),
    ]
    histories(world).ledger.write_cases(kept)
    before = world.cases(pair.dead)
    all_of = {"outbox_tables": (TABLE,), "sources": ("*",)}
    assert len(waiting(world, **all_of)) == 5

    closed = close_cases(histories(world), CloseRequest(**WHO, **all_of))
    assert (closed.done, closed.left_out, closed.failed) == (5, {}, "")
    assert waiting(world, **all_of) == set()
    assert waiting(world, standings=[Standing.DISMISSED], **all_of) == {*before, "orders-task", "lost-flow", "bad"}
    again = close_cases(histories(world), CloseRequest(**WHO, **all_of))
    assert again.done == 0

    reopened = reopen_cases(histories(world), ReopenRequest(**WHO, **all_of))
    assert reopened.done == 5
    assert world.cases(pair.dead) == before
    assert len(waiting(world, **all_of)) == 5


def test_a_dismissed_message_is_not_sent(world: DeadLettersWorld) -> None:
    """Neither a replay by queue nor one by its id brings back what a person has ended."""
    pair = world.pair()
    [kept, gone] = world.die(pair, [AUTH, AUTH])
    world.recover(pair.dead)
    close_cases(histories(world), CloseRequest(**WHO, ids=(gone,)))
    world.replay(queues=[pair.dead])
    world.replay(message_ids=[gone])
    assert world.states(pair.dead) == {"replayed": 1, "sent": 1, "parked": 1}
    assert world.cases(pair.dead)[gone].is_closed
    assert world.cases(pair.dead)[kept].state is State.REPLAYED


def test_a_case_that_changed_meanwhile_is_left_alone(world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing never takes back what another run has just done."""
    pair = world.pair()
    [message] = world.die(pair, [AUTH])
    world.recover(pair.dead)
    asked = histories(world)
    listed = asked.choose(ListRequest())
    monkeypatch.setattr(asked, "choose", lambda _: listed)
    world.replay(queues=[pair.dead])
    closed = close_cases(asked, CloseRequest(**WHO, ids=(message,)))
    assert closed.done == 0
    assert sum(closed.left_out.values()) == 1
    assert world.cases(pair.dead)[message].state is State.REPLAYED


def test_a_snoozed_group_alerts_nobody_until_its_time(world: DeadLettersWorld) -> None:
    """Messages that join the group are archived without an alert, and wait again when the snooze ends."""
    pair = world.pair()
    world.die(pair, [AUTH])
    world.recover(pair.dead)
    [group] = {one.group for one in world.cases(pair.dead).values()}
    alerts = len(world.alerts(pair.dead))
    until = world.aws.clock.now() + timedelta(hours=36)
    snoozed = close_cases(histories(world), CloseRequest(**WHO, how=How.SNOOZE, groups=(group,), until=until))
    assert snoozed.groups == (group,)
    world.aws.clock.advance(86_400)  # the alert's own window is over
    world.die(pair, [AUTH])
    world.recover(pair.dead)
    assert len(world.alerts(pair.dead)) == alerts
    assert world.states(pair.dead) == {"parked": 2}
    assert waiting(world) == set()
    assert len(waiting(world, standings=["snoozed"])) == 2
    world.aws.clock.advance(86_400)
    assert len(waiting(world)) == 2
    world.die(pair, [AUTH])
    world.recover(pair.dead)
    assert len(world.alerts(pair.dead)) == alerts + 1


def test_waking_a_group_ends_its_snooze(world: DeadLettersWorld) -> None:
    """The group as such is reopened with its cases."""
    connection = world.connection()
    until = world.aws.clock.now() + timedelta(days=3)
    request = CloseRequest(**WHO, how=How.SNOOZE, groups=("g",), until=until, paths=(Path.DEAD_LETTERS,))
    close_cases(histories(world), request)
    alert = Alert("dead_letters", "orders-dlq", "g", "s", "t")
    window = timedelta(hours=1)
    assert connection.alerts.announce(alert, world.aws.clock.now(), window) is Announced.ALREADY
    reopen_cases(histories(world), ReopenRequest(**WHO, groups=("g",)))
    assert connection.alerts.announce(alert, world.aws.clock.now(), window) is Announced.SENT


def test_an_exhausted_row_that_fails_again_waits_again(world: DeadLettersWorld) -> None:
    """A row that was revived since it was dismissed is a new failure, whatever mark the old one bears."""
    outbox = OutboxWorld(world.aws)
    outbox.pending("bad", "")
    outbox.run()
    rows = {"outbox_tables": (TABLE,), "paths": ("outbox_records",)}
    close_cases(histories(world), CloseRequest(**WHO, ids=("bad",), **rows))
    assert waiting(world, **rows) == set()
    world.aws.clock.advance(60)
    outbox.run(mode="revive")
    outbox.run()
    assert waiting(world, **rows) == {"bad"}


def test_what_waits_for_nobody_under_a_policy_does_not_wait(world: DeadLettersWorld) -> None:
    """Archived as "cannot succeed", dismissed at once, and reopened by a person who wants to see it."""
    pair = world.pair()
    world.die(pair, [INVALID, AUTH])
    quiet = DeadLetterPolicy(error_attributes=(ERROR,), archived_waits=False, actions={"VALIDATION_ERROR": "archive"})
    world.recover(pair.dead, policy=quiet)
    assert world.states(pair.dead) == {"archived": 1, "parked": 1}
    assert {one.kind for one in histories(world).waiting(ListRequest())} == {"AUTH_FAILURE"}
    reopen_cases(histories(world), ReopenRequest(**WHO, kinds=("VALIDATION_ERROR",)))
    assert len(waiting(world)) == 2


def test_filters_narrow_and_notes_stand_beside(world: DeadLettersWorld) -> None:
    """By kind, rule, source, text, owner and state; a comment and an owner belong to a group."""
    pair, other = world.pair("orders"), world.pair("bills")
    world.die(pair, [AUTH])
    world.die(other, [INVALID])
    world.recover(pair.dead, other.dead)
    auth, invalid = (next(iter(world.cases(queue).values())) for queue in (pair.dead, other.dead))
    assert waiting(world, kinds=["AUTH_FAILURE"]) == {auth.key}
    assert waiting(world, rules=[invalid.rule]) == {invalid.key}
    assert waiting(world, sources=["bills-*"]) == {invalid.key}
    assert waiting(world, text="UNAUTHORIZED") == {auth.key}
    assert waiting(world, states=[auth.state]) >= {auth.key}
    note_group(
        histories(world), NoteRequest(group=auth.group, operator="ann", comment="the vault was rotated", owner="team a")
    )
    assert waiting(world, owner="team a") == {auth.key}
    assert waiting(world, owner="-") == {invalid.key}
    [note] = histories(world).notes(Path.DEAD_LETTERS).values()
    assert [(one.operator, one.text) for one in note.comments] == [("ann", "the vault was rotated")]


def test_who_and_why_stand_in_the_audit_of_the_day(world: DeadLettersWorld) -> None:
    """Each act is written down before it is done; a dry run is no act."""
    asked = histories(world)
    asked.ledger.write_cases([case("m1", State.PARKED)])
    close_cases(asked, CloseRequest(operator="bob", reason="only a look", ids=("m1",)))
    close_cases(asked, CloseRequest(**WHO, ids=("m1",), identity="arn:aws:iam::1:user/ann"))
    [act] = Audit(asked.ledger).of_day(asked.now().date(), [])
    assert (act.operator, act.identity, act.action, act.reason, act.count) == (
        "ann",
        "arn:aws:iam::1:user/ann",
        "dismiss",
        "sent by hand",
        1,
    )
    assert "m1" in act.subject


def test_nobody_writes_a_line_of_the_audit_for_another(world: DeadLettersWorld) -> None:
    """A line break or a control character in a reason stays inside its own line."""
    asked = histories(world)
    asked.ledger.write_cases([case("m1", State.PARKED)])
    forged = "gone\n2026-03-01 12:00:00 bob: dismiss all (9): it was me\x1b[2J"
    close_cases(asked, CloseRequest(operator="ann", reason=forged, ids=("m1",), dry_run=False))
    text = audit_text(Audit(asked.ledger).of_day(asked.now().date(), []))
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text


def test_a_snooze_in_another_zone_ends_at_that_moment(world: DeadLettersWorld) -> None:
    """The zone of the request counts; a time without one is UTC."""
    asked = histories(world)
    asked.ledger.write_cases([case("m1", State.PARKED), case("m2", State.PARKED)])
    now = asked.now()
    zoned = (now + timedelta(hours=1)).astimezone(timezone(timedelta(hours=9)))
    naive = (now + timedelta(hours=3)).replace(tzinfo=None)
    for key, until in (("m1", zoned), ("m2", naive)):
        close_cases(asked, CloseRequest(**WHO, how=How.SNOOZE, ids=(key,), until=until))
    assert waiting(world) == set()
    world.aws.clock.advance(2 * 3600)
    assert waiting(world) == {"m1"}
    world.aws.clock.advance(2 * 3600)
    assert waiting(world) == {"m1", "m2"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"operator": "", "reason": "r", "ids": ("m",)}, "operator"),
        ({"operator": "a", "reason": " ", "ids": ("m",)}, "reason"),
        ({"operator": "a", "reason": "r"}, "sources"),
        ({"operator": "a", "reason": "r", "ids": ("m",), "how": "snooze"}, "until"),
        ({"operator": "a", "reason": "r", "ids": ("m",), "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"operator": "a", "reason": "r", "ids": ("m",), "how": "snooze", "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"operator": "a", "reason": "r", "ids": ("m",), "how": "snooze", "until": "2999-01-01T00:00:00Z"}, "until"),
    ],
)
def test_a_request_that_may_not_be_carried_out_names_its_field(
    world: DeadLettersWorld, given: dict[str, object], field: str
) -> None:
    """No person, no grounds, nothing named, no end: one line, and nothing is done."""
    with pytest.raises(BadInput, match=f"^{field}: "):
        close_cases(histories(world), CloseRequest.model_validate(given))


def test_a_mark_survives_runs_that_find_nothing_new(world: DeadLettersWorld) -> None:
    """A replication that a person dismissed stays dismissed until its facts change."""
    kept = case("arn:x", State.ESCALATED, path="replication_tasks", detail={"name": "orders", "restarts": []})
    asked = histories(world)
    asked.ledger.write_cases([kept])
    close_cases(asked, CloseRequest(**WHO, ids=("orders",)))
    read = asked.ledger.read_cases("replication_tasks", ["arn:x"])["arn:x"]
    assert read.state is State.ESCALATED
    assert replace(read, detail=kept.detail, stored="") == kept


def test_the_end_of_a_snooze_names_no_case() -> None:
    """A time alone must not snooze everything that waits."""
    with pytest.raises(BadInput, match="sources: name cases"):
        CloseRequest(**WHO, how=How.SNOOZE, until=datetime(2100, 1, 1, tzinfo=UTC)).check()
