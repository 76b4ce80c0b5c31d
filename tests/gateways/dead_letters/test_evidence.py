"""Sources of a message's failure: its own carrier, the consumer's log, or none yet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recovery.dead_letters.policy import DeadLetterPolicy
from tests.dead_letters_world import AUTH, INVALID, TIMEOUT, DeadLettersWorld, Pair, text

GROUP = "/shop/consumer"


def log(world: DeadLettersWorld, *messages: str, group: str = GROUP) -> None:
    """Write lines as a consumer does."""
    logs = world.aws.client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    now = int(world.aws.clock.now().timestamp() * 1000)
    events = [{"timestamp": now, "message": message} for message in messages]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


def logged(group: str = GROUP) -> DeadLetterPolicy:
    return DeadLetterPolicy(log_group=group)


def dead(world: DeadLettersWorld, count: int) -> tuple[Pair, list[str]]:
    """Messages that SQS moved, which carry no error."""
    pair = world.pair()
    return pair, world.die(pair, [""] * count)


def test_a_plain_redrive_is_explained_by_the_consumers_log(world: DeadLettersWorld) -> None:
    """Found by message id, once for the whole batch; what the log does not mention stays without evidence."""
    pair, ids = dead(world, 4)
    log(
        world,
        f"ERROR message_id={ids[0]} {TIMEOUT}",
        f"ERROR message_id={ids[1]} {AUTH}",
        f"ERROR message_id={ids[2]} {INVALID}",
        "ERROR message_id=11111111-2222-3333-4444-555555555555 HTTP 503 Service Unavailable",
    )
    world.aws.clear_requests()
    report = world.recover(pair.dead, policy=logged())
    assert report.by_action == {"heal": 1, "alert": 1, "archive": 1, "leave": 1}
    assert world.bodies(pair.source) == ['{"order": 0}']
    assert _looks(world) <= 3
    records = world.archived(pair.dead)
    assert {record["evidence"]["source"] for record in records} == {"logs"}
    assert all(record["message_id"] in record["log"] for record in records)


def test_the_look_up_is_bounded(world: DeadLettersWorld) -> None:
    """Some requests for a whole batch, not one for each message."""
    pair, ids = dead(world, 100)
    log(world, *[f"ERROR message_id={message} {TIMEOUT}" for message in ids])
    world.aws.clear_requests()
    assert world.recover(pair.dead, policy=logged()).by_action == {"heal": 100}
    assert _looks(world) <= 12


def _looks(world: DeadLettersWorld) -> int:
    return sum(count for name, count in world.aws.request_counts().items() if name.startswith("logs:"))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (None, "does not exist"),
        ({"code": "AccessDeniedException", "status": 400}, "permission logs:FilterLogEvents is missing"),
        ({"code": "ThrottlingException", "status": 400, "times": None}, "could not be read now"),
    ],
    ids=["missing", "denied", "throttled"],
)
def test_a_log_that_cannot_be_read_leaves_its_messages_to_a_later_run(
    world: DeadLettersWorld, rule: dict[str, Any] | None, words: str
) -> None:
    """They are not triaged, whatever the policy does with messages without evidence; one line says why."""
    pair, _ = dead(world, 3)
    if rule is not None:
        log(world, "nothing")
        world.aws.fault("error", service="logs", operation="FilterLogEvents", **rule)
    policy = DeadLetterPolicy.model_validate({"log_group": GROUP, "without_evidence": "archive"})
    report = world.recover(pair.dead, policy=policy)
    world.aws.lift_faults()
    assert report.by_action == {"leave": 3}
    assert len(report.warnings) == 1
    assert words in report.warnings[0]
    assert GROUP in report.warnings[0]
    assert world.visible(pair.dead) == 3


LEFT = {"log_group": GROUP, "actions": {"AUTH_FAILURE": "leave", "UNKNOWN": "leave"}}


def test_the_log_of_messages_that_stay_is_read_once(world: DeadLettersWorld) -> None:
    """Later sweeps know what the first read: the same kinds, reasons and groups, and not one request for logs."""
    pair, ids = dead(world, 20)
    lines = [
        f"ERROR message_id={message} {AUTH if number % 2 else 'shelf wobbles'}" for number, message in enumerate(ids)
    ]
    log(world, *lines)
    world.aws.clock.advance(20 * 60)
    policy = DeadLetterPolicy.model_validate(LEFT)
    reports, requests = [], []
    for _ in range(3):
        world.aws.clear_requests()
        reports.append(world.recover(pair.dead, policy=policy))
        requests.append(_looks(world))
        world.aws.clock.advance(6 * 3600)
    assert requests[0] > 0
    assert requests[1:] == [0, 0]
    for report in reports:
        assert report.by_action == {"leave": 20}
        assert report.by_kind == {"AUTH_FAILURE": 10, "UNKNOWN": 10}
        assert [(group.error, group.reason) for group in report.groups] == [
            (group.error, group.reason) for group in reports[0].groups
        ]


def test_a_line_that_comes_later_changes_what_was_concluded(world: DeadLettersWorld) -> None:
    """A log is only read to its end once no line can be late."""
    pair, ids = dead(world, 1)
    log(world, f"ERROR message_id={ids[0]} {AUTH}")
    policy = DeadLetterPolicy.model_validate(LEFT)
    assert world.recover(pair.dead, policy=policy).by_kind == {"AUTH_FAILURE": 1}
    world.aws.clock.advance(10 * 60)
    now = int(world.aws.clock.now().timestamp() * 1000)
    late = [{"timestamp": now, "message": f"ERROR message_id={ids[0]} {TIMEOUT}"}]
    world.aws.client("logs").put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=late)
    world.aws.clock.advance(10 * 60)
    report = world.recover(pair.dead, policy=policy)
    assert report.by_kind == {"TIMEOUT": 1}
    assert report.by_action == {"heal": 1}


def test_another_policy_reads_the_log_again(world: DeadLettersWorld) -> None:
    """A message that is not left needs its evidence, which the archive keeps as it was written."""
    pair, ids = dead(world, 1)
    log(world, f"ERROR message_id={ids[0]} {AUTH}")
    world.aws.clock.advance(20 * 60)
    assert world.recover(pair.dead, policy=DeadLetterPolicy.model_validate(LEFT)).by_action == {"leave": 1}
    world.aws.clock.advance(3600)
    report = world.recover(pair.dead, policy=DeadLetterPolicy(log_group=GROUP))
    assert report.by_action == {"alert": 1}
    assert AUTH in world.archived(pair.dead)[0]["evidence"]["error"]


@pytest.mark.parametrize(("asked", "done"), [("leave", "leave"), ("archive", "archive")])
def test_a_message_that_no_line_names_is_not_left_for_ever(world: DeadLettersWorld, asked: str, done: str) -> None:
    """Its lines may be late; after a quarter of an hour it has no evidence, and the report says how to supply some."""
    pair, ids = dead(world, 1)
    log(world, "ERROR order failed, and nobody says which")
    policy = DeadLetterPolicy.model_validate({"log_group": GROUP, "without_evidence": asked})
    early = world.recover(pair.dead, policy=policy)
    assert early.by_action == {"leave": 1}
    assert "lines may be late" in early.groups[0].reason
    world.aws.clock.advance(16 * 60)
    late = world.recover(pair.dead, policy=policy)
    assert late.by_action == {done: 1}
    assert f"no line of log group {GROUP} names it" in late.groups[0].reason
    assert "log the message id" in late.groups[0].next_step
    assert world.ids(pair.dead) == (ids if done == "leave" else [])


TIMED_OUT = {"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 3.00 seconds"}
BROKEN = {"errorType": "KeyError", "errorMessage": "'customer'"}
NOTIFICATION = {"Type": "Notification", "MessageId": "n", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": "{}"}


def record(response: dict[str, str]) -> dict[str, Any]:
    """The record that a Lambda function's failure destination gets."""
    function = "arn:aws:lambda:eu-west-1:123456789012:function:f"
    return {
        "version": "1.0",
        "requestContext": {"requestId": "r", "functionArn": function, "condition": "RetriesExhausted"},
        "requestPayload": {"order": 1},
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": response,
    }


def rule(code: str, message: str) -> dict[str, str]:
    """The attributes that EventBridge adds."""
    return {"RULE_ARN": "r", "TARGET_ARN": "t", "ERROR_CODE": code, "ERROR_MESSAGE": message}


def schedule(code: str, message: str) -> dict[str, str]:
    """The attributes that the Scheduler adds."""
    return {"SCHEDULE_ARN": "s", "TARGET_ARN": "t", "ERROR_CODE": code, "ERROR_MESSAGE": message}


INNER = "Unexpected error occurred while processing the request"


@pytest.mark.parametrize(
    ("body", "attributes", "action", "state"),
    [
        (record(TIMED_OUT), {}, "alert", "waiting"),
        (record(BROKEN), {}, "alert", "parked"),
        ({"order": 1}, {"RequestID": "r", "ErrorCode": "200", "ErrorMessage": "KeyError: 'x'"}, "alert", "parked"),
        ({"id": "e"}, rule("THROTTLING", "Rate exceeded"), "alert", "waiting"),
        ({"id": "e"}, rule("NO_PERMISSIONS", "not authorized"), "alert", "parked"),
        ({"in": 1}, schedule("AWS.Scheduler.InternalServerError", INNER), "alert", "waiting"),
        (NOTIFICATION, {}, "leave", ""),
    ],
    ids=["destination timeout", "destination bug", "lambda bug", "rule throttled", "rule denied", "schedule", "topic"],
)
def test_each_origin_shows_in_its_own_way(
    world: DeadLettersWorld, body: dict[str, Any], attributes: dict[str, str], action: str, state: str
) -> None:
    """Lambda's record and attributes, EventBridge's and the Scheduler's attributes; a subscription shows nothing."""
    pair = world.pair()
    given = {name: text(value) for name, value in attributes.items()}
    world.send(pair.dead, [{"MessageBody": json.dumps(body), "MessageAttributes": given}])
    report = world.recover(pair.dead, policy=DeadLetterPolicy(destination=pair.source))
    assert report.by_action == {action: 1}
    assert world.states(pair.dead) == ({state: 1} if state else {})
    assert world.bodies(pair.source) == [], "it did not come from there"
