"""A queue whose policy names no log group: its consumer is found, and what its log shows, also by time."""

from __future__ import annotations

from typing import Any

import pytest

from recovery.dead_letters.policy import DeadLetterPolicy
from tests.dead_letters_world import TIMEOUT, DeadLettersWorld

R1 = "8fa63b7b-9dcd-40b7-b022-ef2adf77eeea"
SILENT = DeadLetterPolicy()


def log(world: DeadLettersWorld, group: str, *lines: str, stream: str = "s") -> None:
    logs = world.aws.client("logs")
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(world.aws.clock.now().timestamp() * 1000)
    events = [{"timestamp": now + n, "message": line} for n, line in enumerate(lines)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def invocation(error: str, request: str = R1) -> list[str]:
    """An invocation that failed, and whose lines name no message."""
    return [f"START RequestId: {request} Version: $LATEST", f"[ERROR] {error}", f"END RequestId: {request}"]


def requests(world: DeadLettersWorld, service: str = "logs") -> int:
    return sum(count for name, count in world.aws.request_counts().items() if name.startswith(f"{service}:"))


def test_a_message_is_explained_without_a_log_group_in_any_policy(world: DeadLettersWorld) -> None:
    """The source queue's mapping names the function, the function its log group, and a line names the message."""
    pair = world.pair()
    group = world.consume(pair)
    [message] = world.die(pair, [""])
    log(world, group, f"ERROR message_id={message} {TIMEOUT}")
    report = world.recover(pair.dead, policy=SILENT)
    assert report.by_action == {"heal": 1}
    assert any(fact.startswith("Logs read: ") for fact in report.facts)


def test_a_policy_that_does_not_look_for_consumers_asks_lambda_nothing(world: DeadLettersWorld) -> None:
    """One switch for each queue."""
    pair = world.pair()
    world.consume(pair)
    world.die(pair, [""])
    world.aws.clear_requests()
    report = world.recover(pair.dead, policy=DeadLetterPolicy(find_consumer=False))
    assert report.by_action == {"leave": 1}
    assert requests(world, "lambda") == 0
    assert "log_group" in report.groups[0].next_step


@pytest.mark.parametrize("by_time", [True, False])
def test_a_failure_found_by_time_says_so_and_can_be_refused(world: DeadLettersWorld, by_time: bool) -> None:
    """No line names the message; the one invocation that ran when it was received timed out."""
    pair = world.pair()
    group = world.consume(pair)
    ids = world.die(pair, ["", ""])
    log(world, group, *invocation("ReadTimeout: Read timed out"))
    policy = DeadLetterPolicy(match_by_time=by_time)
    early = world.recover(pair.dead, policy=policy)
    assert early.by_action == {"leave": 2}
    assert "lines may be late" in early.groups[0].reason
    world.aws.clock.advance(120)
    report = world.recover(pair.dead, policy=policy)
    assert report.by_action == ({"heal": 2} if by_time else {"leave": 2})
    if by_time:
        assert "matched by time" in report.groups[0].reason
        cases = [case for case in world.cases(pair.dead).values() if case.state == "sent"]
        assert {case.detail["evidence"] for case in cases} == {"time"}
        assert len(cases) == len(ids)


def test_invocations_that_failed_for_two_reasons_show_nothing_by_time(world: DeadLettersWorld) -> None:
    """One of them was the message's own, and nobody knows which."""
    pair = world.pair()
    group = world.consume(pair)
    world.die(pair, [""])
    log(world, group, *invocation("ReadTimeout: Read timed out"))
    other = "11111111-1111-4111-8111-111111111111"
    log(world, group, *invocation("KeyError: 'customer'", other), stream="t")
    world.aws.clock.advance(1200)
    report = world.recover(pair.dead, policy=SILENT)
    assert report.by_action == {"leave": 1}
    assert "do not show one cause" in report.groups[0].reason


def test_a_log_that_says_nothing_is_asked_once(world: DeadLettersWorld) -> None:
    """Three sweeps over messages that no line names: only the first one reads."""
    pair = world.pair()
    world.consume(pair)
    world.die(pair, [""] * 30)
    world.aws.clock.advance(1200)
    spent = []
    for _ in range(3):
        world.aws.clear_requests()
        report = world.recover(pair.dead, policy=SILENT)
        assert report.by_action == {"leave": 30}
        assert "no line of log group /teams/orders names it" in report.groups[0].reason
        spent.append(requests(world))
        world.aws.clock.advance(300)
    assert spent[0] > 0
    assert spent[1:] == [0, 0]


def test_late_lines_are_looked_for_less_and_less_often(world: DeadLettersWorld) -> None:
    """Every half minute for a quarter of an hour: a handful of looks, each only at what is new."""
    pair = world.pair()
    group = world.consume(pair)
    [message] = world.die(pair, [""])
    looks = 0
    for _ in range(31):
        world.aws.clear_requests()
        world.recover(pair.dead, policy=DeadLetterPolicy(match_by_time=False))
        looks += requests(world) > 0
        world.aws.clock.advance(30)
    assert 3 <= looks <= 7
    assert message in world.ids(pair.dead)
    assert group


def test_a_dry_run_remembers_nothing(world: DeadLettersWorld) -> None:
    """It may not write; the run that acts reads for itself."""
    pair = world.pair()
    group = world.consume(pair)
    [message] = world.die(pair, [""])
    world.recover(pair.dead, policy=SILENT, dry_run=True)
    assert not [item for item in world.items() if item["pk"]["S"].startswith("searched#")]
    log(world, group, f"ERROR message_id={message} {TIMEOUT}")
    assert world.recover(pair.dead, policy=SILENT).by_action == {"heal": 1}


def test_a_damaged_memory_is_read_past_and_written_anew(world: DeadLettersWorld) -> None:
    """It only saves requests, so nothing waits for a person because of it."""
    pair = world.pair()
    world.consume(pair)
    world.die(pair, [""] * 3)
    world.aws.clock.advance(1200)
    world.recover(pair.dead, policy=SILENT)
    table = world.aws.client("dynamodb")
    for item in world.items():
        if item["pk"]["S"].startswith("searched#"):
            table.put_item(TableName=world.table, Item={**item, "data": {"S": '{"ids": {"a": 1}}'}})
    for expected in (True, False):
        world.aws.clear_requests()
        assert not world.recover(pair.dead, policy=SILENT).problems
        assert (requests(world) > 0) is expected


def test_a_role_that_may_not_ask_lambda_is_reported_what_it_lacks(world: DeadLettersWorld) -> None:
    """The messages are left, as without a log group, and the run does not fail."""
    pair = world.pair()
    world.die(pair, [""])
    world.aws.fault("error", service="lambda", code="AccessDeniedException", status=403)
    report = world.recover(pair.dead, policy=SILENT)
    assert report.by_action == {"leave": 1}
    assert "permission lambda:ListEventSourceMappings is missing for this role" in report.groups[0].reason
    assert not report.problems


def test_the_bound_of_a_run_is_kept_and_the_next_run_reads_on(world: DeadLettersWorld) -> None:
    """Messages that were not looked for wait, also where the policy archives those without evidence."""
    pair = world.pair()
    group = world.consume(pair)
    [message] = world.die(pair, [""])
    log(world, group, f"ERROR message_id={message} {TIMEOUT}")
    world.aws.clock.advance(1200)
    policy = DeadLetterPolicy.model_validate({"without_evidence": "archive"})
    report = world.recover(pair.dead, policy=policy, log_requests=0)
    assert report.by_action == {"leave": 1}
    assert any("allowance for reading logs is used up" in line for line in report.warnings)
    assert world.recover(pair.dead, policy=policy).by_action == {"heal": 1}


def test_an_old_error_attribute_does_not_beat_a_newer_log(world: DeadLettersWorld) -> None:
    """It came back with a message that was healed, and SQS moved it: the log speaks of the last failure."""
    pair = world.pair()
    group = world.consume(pair)
    policy = DeadLetterPolicy.model_validate(
        {"error_attributes": ["error"], "backoff": {"base_seconds": 1, "cap_seconds": 1}}
    )
    world.die(pair, [TIMEOUT])
    assert world.recover(pair.dead, policy=policy).by_action == {"heal": 1}
    world.aws.clock.advance(30)
    world.fail(pair.source)
    [again] = world.ids(pair.dead)
    log(world, group, f"ERROR message_id={again} HTTP 401 Unauthorized: token expired")
    assert world.recover(pair.dead, policy=policy).by_action == {"alert": 1}


def metric(world: DeadLettersWorld, name: str, value: float) -> None:
    datum: dict[str, Any] = {
        "MetricName": name,
        "Dimensions": [{"Name": "FunctionName", "Value": "orders"}],
        "Timestamp": world.aws.clock.now(),
        "Value": value,
    }
    world.aws.client("cloudwatch").put_metric_data(Namespace="AWS/Lambda", MetricData=[datum])


@pytest.mark.parametrize(("invocations", "action"), [(0, "heal"), (4, "leave")])
def test_a_function_that_was_throttled_left_no_log_and_that_is_an_answer(
    world: DeadLettersWorld, invocations: int, action: str
) -> None:
    """It did not run at all at the receives; if it ran for others, a person is notified of the throttles."""
    pair = world.pair()
    world.consume(pair)
    world.die(pair, [""])
    metric(world, "Throttles", 7)
    if invocations:
        metric(world, "Invocations", invocations)
    world.aws.clock.advance(1200)
    report = world.recover(pair.dead, policy=SILENT)
    assert report.by_action == {action: 1}
    if action == "leave":
        assert "was throttled at that time, and then no log exists" in report.groups[0].reason
    else:
        assert report.by_kind == {"THROTTLED": 1}


def test_a_big_log_is_read_on_by_the_next_run(world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the right to query, each run reads some pages, and the ledger remembers where it stopped."""
    monkeypatch.setattr("recovery.logs.search.PAGES", 1)
    pair = world.pair()
    group = world.consume(pair)
    [message] = world.die(pair, [""])
    log(world, group, *[f"{n} {message} " + "x" * 250_000 for n in range(9)], f"ERROR {message} {TIMEOUT}")
    world.aws.clock.advance(1200)
    world.aws.fault("error", service="logs", operation="StartQuery", code="AccessDeniedException", status=400)
    monkeypatch.setattr("recovery.logs.search.STREAM_PAGES", 20)
    seen = [world.recover(pair.dead, policy=SILENT).by_action for _ in range(4)]
    assert seen[0] == {"leave": 1}
    assert {"heal": 1} in seen
    opened = [item for item in world.items() if item["sk"]["S"].startswith("open#")]
    assert not opened
