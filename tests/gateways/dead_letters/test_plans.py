"""Plans: exactly the reviewed set goes back, a few messages at first, and it stops itself when the group comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flows import plans as flow
from proof.plain_prefect import play
from recovery.audit import Audit
from recovery.closing.close import close_cases
from recovery.closing.requests import CloseRequest
from recovery.dead_letters.plans.book import PlanBook
from recovery.dead_letters.plans.carry import event_of
from recovery.dead_letters.plans.commands import carry_out, control_plan
from recovery.dead_letters.plans.make import PlanReport, make
from recovery.dead_letters.plans.patch import Patch
from recovery.dead_letters.plans.plan import Plan, PlanState
from recovery.dead_letters.plans.request import CarryOutRequest, Control, ControlRequest, PlanRequest
from recovery.dead_letters.work import Work
from recovery.errors import BadInput, Conflict, RepriseError, Transient
from recovery.events.outward import PLAN_FINISHED, PLAN_STEPPED, PLAN_STOPPED
from tasks.cases import histories_of
from tasks.plans import at_desk, open_run
from tests.dead_letters_world import AUTH, POLICY, DeadLettersWorld, Pair

NOW = datetime(2030, 3, 1, 12, tzinfo=UTC)
WHO = {"operator": "ann", "reason": "the key was renewed"}
SETTLE = {"settle_seconds": 60}
ONE_ATTEMPT = POLICY.model_copy(update={"settle_seconds": 60})


def planned(world: DeadLettersWorld, **more: Any) -> PlanReport:
    with closing(at_desk(world.connection())) as work:
        return make(work, PlanRequest(**{**WHO, **SETTLE, **more}))


@contextmanager
def at_work(world: DeadLettersWorld, request: CarryOutRequest) -> Iterator[Work]:
    with closing(open_run(world.connection(), request)) as work:
        work.jitter, work.sleep, work.threads = (lambda: 0.5), (lambda _: None), 4
        yield work


def begin(world: DeadLettersWorld, plan: PlanReport, **more: Any) -> Plan:
    given = {"operator": "bob", "reason": "reviewed", "dry_run": False, **more}
    request = CarryOutRequest(**{"plan_id": plan.plan_id, "digest": plan.digest, **given})
    with at_work(world, request) as work:
        return carry_out(work, request)


def state(world: DeadLettersWorld, plan: PlanReport) -> Plan:
    return PlanBook(world.connection().ledger).read(plan.plan_id)


def sweep(world: DeadLettersWorld, pair: Pair, *, works: bool = True, seconds: int = 120) -> None:
    """The consumer takes what was sent, or fails on it; its time passes; and a sweep follows."""
    if works:
        world.work_off(pair.source)
    else:
        world.fail(pair.source)
    world.recover(pair.dead, policy=ONE_ATTEMPT)
    world.aws.clock.advance(seconds)
    world.recover(pair.dead, policy=ONE_ATTEMPT)


@pytest.fixture
def pair(world: DeadLettersWorld) -> Pair:
    return world.pair()


def parked(world: DeadLettersWorld, pair: Pair, count: int, error: str = AUTH, **message: Any) -> list[str]:
    ids = world.die(pair, [error] * count, **message)
    world.recover(pair.dead)
    return ids


def test_a_plan_goes_step_by_step_to_its_end(world: DeadLettersWorld, pair: Pair) -> None:
    """One, then two, then the rest, each only when the step before is proven; nothing else is touched."""
    ids = parked(world, pair, 8)
    plan = planned(world, queues=(pair.dead,), steps=(1, 2))
    assert (plan.count, plan.destinations, plan.left_out) == (8, {pair.source: 8}, {})
    later = parked(world, pair, 2)  # they arrive after the review
    assert begin(world, plan).sent == 1
    assert len(world.ids(pair.source)) == 1
    assert begin(world, plan).sent == 1  # not proven yet
    sweep(world, pair)
    assert state(world, plan).sent == 3
    sweep(world, pair)
    assert state(world, plan).sent == 8
    assert state(world, plan).state is PlanState.RUNNING
    sweep(world, pair)
    done = state(world, plan)
    assert (done.state, done.sent, done.cursor, dict(done.left_out)) == (PlanState.DONE, 8, 8, {})
    cases = world.cases(pair.dead)
    assert {cases[one].state.value for one in ids} == {"replayed"}
    assert {cases[one].state.value for one in later} == {"parked"}
    assert world.states(pair.dead) == {"replayed": 8, "sent": 8, "parked": 2}


def test_what_runs_do_to_a_plan_is_an_event() -> None:
    """A step that began, a plan that stopped itself, one that is finished; once each, and nothing else."""
    plan = Plan("p-1", "d", "o", 8, "ann", "why", NOW, NOW, (1, 2), 0.9, "", 0.0, 60, (), state=PlanState.RUNNING)
    first = replace(plan, cursor=1, sent=1)
    second = replace(first, cursor=3, first=1, step=1, sent=3)
    stopped, done = (replace(second, state=state) for state in (PlanState.STOPPED, PlanState.DONE))
    pairs = [(plan, plan), (plan, first), (first, second), (second, second), (second, stopped), (second, done)]
    events = [event_of(before, after, NOW) for before, after in pairs]
    assert [event and event.event for event in events] == [
        None,
        PLAN_STEPPED,
        PLAN_STEPPED,
        None,
        PLAN_STOPPED,
        PLAN_FINISHED,
    ]
    assert len({event.id for event in events if event is not None}) == 4


def test_the_canary_stops_the_plan(world: DeadLettersWorld, pair: Pair) -> None:
    """The first message comes back: nothing more goes, a person is asked, and resuming begins with one again."""
    parked(world, pair, 5)
    plan = planned(world, queues=(pair.dead,), steps=(1, 2))
    begin(world, plan)
    sweep(world, pair, works=False)
    stopped = state(world, plan)
    assert (stopped.state, stopped.sent) == (PlanState.STOPPED, 1)
    assert "came back" in stopped.why
    with pytest.raises(Conflict, match="resume or cancel"):
        begin(world, plan)
    steer(world, plan, Control.RESUME)
    sweep(world, pair)
    assert state(world, plan).sent == 2
    steer(world, plan, Control.CANCEL)
    sweep(world, pair)
    assert state(world, plan).sent == 2
    assert world.states(pair.dead)["parked"] == 4  # one that came back, three that were never sent


def steer(world: DeadLettersWorld, plan: PlanReport, control: Control, **more: Any) -> Plan:
    request = ControlRequest(plan_id=plan.plan_id, control=control, **{**WHO, "dry_run": False, **more})
    with closing(at_desk(world.connection())) as work:
        return control_plan(PlanBook(work.ledger), work, request)


def test_a_paused_plan_sends_nothing(world: DeadLettersWorld, pair: Pair) -> None:
    """Until a person resumes it, however proven its step is."""
    parked(world, pair, 3)
    plan = planned(world, queues=(pair.dead,), steps=(1,))
    begin(world, plan)
    steer(world, plan, Control.PAUSE)
    sweep(world, pair)
    assert state(world, plan).sent == 1
    steer(world, plan, Control.RESUME)
    sweep(world, pair)
    assert state(world, plan).sent == 3
    with pytest.raises(Conflict, match="means nothing"):
        steer(world, plan, Control.RESUME)


def test_what_changed_since_is_left_out_and_named(world: DeadLettersWorld, pair: Pair) -> None:
    """Sent by a replay, or dismissed by a person, since the plan was made: exactly the others go."""
    [sent, gone, *rest] = parked(world, pair, 5)
    plan = planned(world, queues=(pair.dead,), steps=())
    world.replay(message_ids=[sent])
    close_cases(histories_of(world.connection()), CloseRequest(**WHO, ids=(gone,), dry_run=False))
    done = begin(world, plan)
    assert (done.sent, dict(done.left_out)) == (
        len(rest),
        {"it was sent meanwhile": 1, "it was dismissed meanwhile": 1},
    )
    assert len(world.ids(pair.source)) == 1 + len(rest)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"digest": "0" * 64}, "digest: plan"),
        ({"operator": " "}, "operator: "),
        ({"reason": ""}, "reason: "),
        ({"operator": "Ann"}, "operator: plan .* another person"),
        ({"plan_id": "nothing"}, "plan_id: there is no plan"),
    ],
)
def test_a_plan_is_refused_in_one_line(world: DeadLettersWorld, pair: Pair, given: dict[str, str], named: str) -> None:
    """Another digest, nobody's name, or the planner where another person is demanded: nothing is sent."""
    parked(world, pair, 1)
    plan = planned(world, queues=(pair.dead,), another_person=True)
    with pytest.raises(BadInput, match=f"^{named}"):
        begin(world, plan, **given)
    assert world.ids(pair.source) == []
    assert begin(world, plan).sent == 1


def test_an_expired_plan_does_not_begin(world: DeadLettersWorld, pair: Pair) -> None:
    """Once it is under way it may take as long as its ramp needs."""
    parked(world, pair, 2)
    plan, late = (planned(world, queues=(pair.dead,), steps=(1,), expires_seconds=60) for _ in range(2))
    begin(world, plan)
    world.aws.clock.advance(120)
    begin(world, plan)
    steer(world, plan, Control.CANCEL)
    with pytest.raises(BadInput, match="expired"):
        begin(world, late)


def test_one_plan_at_a_time_for_a_destination(world: DeadLettersWorld, pair: Pair) -> None:
    """The second waits until the first has ended."""
    parked(world, pair, 2)
    first, second = (planned(world, queues=(pair.dead,), steps=(1,)) for _ in range(2))
    begin(world, first)
    with pytest.raises(Conflict, match=first.plan_id):
        begin(world, second)
    steer(world, first, Control.CANCEL)
    assert begin(world, second).sent == 1


def test_a_frozen_set_that_was_touched_is_refused(world: DeadLettersWorld, pair: Pair) -> None:
    """The digest is checked against the object in each run."""
    parked(world, pair, 2)
    plan = planned(world, queues=(pair.dead,))
    s3 = world.aws.client("s3")
    key = plan.stored_at.removeprefix(f"s3://{world.bucket}/")
    other = planned(world, queues=(pair.dead,))
    source = {"Bucket": world.bucket, "Key": other.stored_at.removeprefix(f"s3://{world.bucket}/")}
    s3.copy_object(Bucket=world.bucket, Key=key, CopySource=source)
    with pytest.raises(RepriseError, match="not what the digest names"):
        begin(world, plan)
    assert world.ids(pair.source) == []


def test_a_patch_changes_exactly_what_it_fits(world: DeadLettersWorld, pair: Pair) -> None:
    """The original stays in the archive; both cases name one another; what it does not fit is left out."""
    [first] = parked(world, pair, 1, MessageBody='{{"customer": "a", "n": 1.50}}')
    [other] = parked(world, pair, 1, MessageBody='{{"customer": "b"}}')
    patch = Patch(
        body=(
            {"op": "test", "path": "/customer", "value": "a"},
            {"op": "replace", "path": "/customer", "value": "SECRET"},
        )
    )
    plan = planned(world, queues=(pair.dead,), patch=patch)
    assert (plan.count, plan.changed, plan.left_out) == (1, 1, {"a test of the patch failed": 1})
    assert plan.differences == (f"{first}: /customer: string of 1 becomes string of 6",)
    assert "SECRET" not in plan.model_dump_json()
    begin(world, plan)
    assert [json.loads(body) for body in world.bodies(pair.source)] == [{"customer": "SECRET", "n": 1.5}]
    cases = world.cases(pair.dead)
    assert cases[cases[first].detail["next"]].detail["earlier"] == [first]
    assert cases[other].state.value == "parked"
    assert '"customer": "a"' in {record["message_id"]: record["body"] for record in world.archived(pair.dead)}[first]


def test_a_plan_has_a_message_of_every_group_in_its_first_steps(world: DeadLettersWorld) -> None:
    """Few messages try all groups, so that the rest meets no surprise."""
    pair = world.pair()
    parked(world, pair, 5)
    parked(world, pair, 2, "HTTP 403 Forbidden: not your tenant")
    plan = planned(world, queues=(pair.dead,), steps=(2,))
    assert len(plan.groups) == 2
    begin(world, plan)
    groups = {case.group for case in world.cases(pair.dead).values() if case.state.value == "sent"}
    assert groups == {one.group for one in plan.groups}


def test_a_run_that_dies_between_sends_and_cursor_sends_nothing_twice(
    world: DeadLettersWorld, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cases say what was sent; the next run goes on behind it."""
    parked(world, pair, 3)
    plan = planned(world, queues=(pair.dead,), steps=())
    taken = PlanBook.take

    def dies(book: PlanBook, one: Plan, *rest: Any) -> Plan:
        if one.cursor:
            raise Transient("the process died")
        return taken(book, one, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(PlanBook, "take", dies)
        with pytest.raises(Transient):
            begin(world, plan)
    assert len(world.ids(pair.source)) == 3
    assert state(world, plan).cursor == 0
    world.aws.clock.advance(900)
    assert begin(world, plan).sent == 3
    assert len(world.ids(pair.source)) == 3


def test_two_runs_at_once_send_each_message_once(world: DeadLettersWorld, pair: Pair) -> None:
    """While one run carries the plan on, the other is refused."""
    parked(world, pair, 2)
    plan = planned(world, queues=(pair.dead,), steps=())
    book = PlanBook(world.connection().ledger)
    begun = replace(state(world, plan), state=PlanState.RUNNING)
    book.take(begun, "another run", world.aws.clock.now())
    with pytest.raises(Conflict, match="another run"):
        begin(world, plan)
    assert world.ids(pair.source) == []


def test_who_and_why_stand_in_audit_report_and_case(world: DeadLettersWorld, pair: Pair) -> None:
    """The flow's own steps: the report names the people, each case the plan, and the audit each act."""
    [message] = parked(world, pair, 1)
    plan = planned(world, queues=(pair.dead,))
    request = CarryOutRequest(
        plan_id=plan.plan_id, digest=plan.digest, operator="bob", reason="reviewed", dry_run=False
    )
    with at_work(world, request) as work:
        report = play(flow.carry_out, request, work)
    assert report.by_action == {"replay": 1}
    assert any("by bob: reviewed" in fact for fact in report.facts)
    assert world.cases(pair.dead)[message].detail["plan"] == plan.plan_id
    acts = Audit(world.connection().ledger).of_day(world.aws.clock.now().date(), [])
    assert [(act.operator, act.action, act.count) for act in acts] == [("ann", "plan", 1), ("bob", "carry out", 1)]


def test_an_object_that_a_lifecycle_rule_deleted_leaves_its_messages_out(world: DeadLettersWorld, pair: Pair) -> None:
    """The others of the plan go; it does not stand still at the same place in every run."""
    [gone] = parked(world, pair, 1)
    rest = parked(world, pair, 2)
    plan = planned(world, queues=(pair.dead,), steps=())
    key = world.cases(pair.dead)[gone].detail["archive"]["key"]
    world.aws.client("s3").delete_object(Bucket=world.bucket, Key=key)
    done = begin(world, plan)
    assert (done.sent, sum(done.left_out.values()), done.cursor) == (len(rest), 1, 3)
    assert "NoSuchKey" in str(done.left_out)
    assert world.cases(pair.dead)[gone].state.value == "parked"


@pytest.mark.parametrize("content", [b"", b"no gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01"])
def test_a_damaged_frozen_set_is_one_line_and_other_plans_go_on(
    world: DeadLettersWorld, pair: Pair, content: bytes
) -> None:
    """Empty, no gzip, or cut: nothing of it is sent, and the run that meets it carries the others on."""
    parked(world, pair, 2)
    plan = planned(world, queues=(pair.dead,), steps=(1,))
    begin(world, plan)
    key = plan.stored_at.removeprefix(f"s3://{world.bucket}/")
    world.aws.client("s3").put_object(Bucket=world.bucket, Key=key, Body=content)
    other = world.pair()
    parked(world, other, 2)
    second = planned(world, queues=(other.dead,), steps=(1,))
    begin(world, second)
    with pytest.raises(RepriseError, match=r"^[^\n]+$"):
        begin(world, plan)
    world.work_off(other.source)
    world.recover(other.dead, policy=ONE_ATTEMPT)
    world.aws.clock.advance(120)
    world.recover(other.dead, policy=ONE_ATTEMPT)
    assert (state(world, plan).sent, state(world, second).sent) == (1, 2)


@pytest.mark.parametrize(("control", "ends_as"), [(Control.PAUSE, "paused"), (Control.CANCEL, "cancelled")])
def test_a_person_s_word_in_the_middle_of_a_run_counts_and_so_does_what_was_sent(
    world: DeadLettersWorld, pair: Pair, monkeypatch: pytest.MonkeyPatch, control: Control, ends_as: str
) -> None:
    """The run ends behind the hundred under way; the plan says how many were sent, and is held by nobody."""
    parked(world, pair, 3)
    plan = planned(world, queues=(pair.dead,), steps=())
    sent, kept = [0], PlanBook.keep

    def keep(book: PlanBook, one: Plan, *rest: Any) -> Plan:
        if not sent[0]:
            sent[0] = 1
            steer(world, plan, control)
        return kept(book, one, *rest)

    monkeypatch.setattr(PlanBook, "keep", keep)
    begin(world, plan)
    found = state(world, plan)
    assert (found.state.value, found.sent, found.cursor, found.owner) == (ends_as, 3, 3, "")
    assert "by ann" in found.why
    assert len(world.ids(pair.source)) == 3


def test_two_plans_that_begin_at_once_do_not_share_a_destination(
    world: DeadLettersWorld, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second takes the destination between the first's hold and its beginning: only one of them sends."""
    parked(world, pair, 4)
    first, second = (planned(world, queues=(pair.dead,), steps=(1,)) for _ in range(2))
    held, began = PlanBook.hold, [0]

    def hold(book: PlanBook, plan: Plan, now: datetime) -> None:
        held(book, plan, now)
        if not began[0]:
            began[0] = 1
            begin(world, second)

    monkeypatch.setattr(PlanBook, "hold", hold)
    with pytest.raises(Conflict, match=second.plan_id):
        begin(world, first)
    assert len(world.ids(pair.source)) == 1
    assert state(world, second).sent == 1


def test_a_damaged_plan_keeps_its_destination(world: DeadLettersWorld, pair: Pair) -> None:
    """It may be under way: another plan is refused in one line until a person has put it right."""
    parked(world, pair, 2)
    first, second = (planned(world, queues=(pair.dead,), steps=(1,)) for _ in range(2))
    begin(world, first)
    ledger = world.connection().ledger
    record = ledger.read_record("plans#dead_letters", first.plan_id)
    ledger.write_record(replace(record, data={**record.data, "state": "dancing"}), NOW)
    with pytest.raises(Conflict, match=first.plan_id):
        begin(world, second)


def test_another_name_of_the_same_identity_is_the_same_person(world: DeadLettersWorld, pair: Pair) -> None:
    """The commands know the AWS identity: a second name beside it carries nothing out."""
    parked(world, pair, 1)
    identity = "arn:aws:sts::000000000000:assumed-role/ops/ann"
    plan = planned(world, queues=(pair.dead,), another_person=True, identity=identity)
    with pytest.raises(BadInput, match="another person"):
        begin(world, plan, operator="bob", identity=identity)
    assert begin(world, plan, operator="bob", identity=identity.replace("ann", "bob")).sent == 1


def test_a_plan_of_nothing_is_refused_and_one_that_is_cut_says_so(world: DeadLettersWorld, pair: Pair) -> None:
    """No empty plan is stored, and no limit passes in silence."""
    with pytest.raises(BadInput, match="no archived message fits"):
        planned(world, queues=(pair.dead,))
    parked(world, pair, 3)
    cut = planned(world, queues=(pair.dead,), limit=2)
    assert cut.count == 2
    assert any("there may be more" in line for line in cut.warnings)
    assert not planned(world, queues=(pair.dead,)).warnings


def test_a_pattern_that_never_ends_is_given_up(
    world: DeadLettersWorld, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan of many messages does not take hours to fail."""
    monkeypatch.setattr("recovery.dead_letters.plans.patch.PATTERN_SECONDS", 0.001)
    monkeypatch.setattr("recovery.dead_letters.plans.make.MOST_SLOW", 2)
    parked(world, pair, 3, MessageBody="x{n}" + "a" * 5_000 + "b")
    with pytest.raises(BadInput, match=r"patch\.pattern"):
        planned(world, queues=(pair.dead,), patch=Patch(pattern=r"(a|a|aa)+?(a|aa)+?$", replacement="x"))
