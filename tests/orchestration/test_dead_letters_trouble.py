"""Something missing, refused or half done is one clear line for a person, and the rest goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.settings import get_current_settings
from prefect.states import AwaitingRetry

from blocks.estate import RecoveryEstate
from flows.dead_letters import recover_dead_letters
from recovery.cases import State
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.report import RecoveryReport
from tests.dead_letters_world import AUTH, ERROR, INVALID, TIMEOUT, DeadLettersWorld, text
from tests.orchestration.dead_letters_runs import artifacts, flow_run, incomplete, recover, refusal, run
from tests.waiting import wait_for

CHECKOUT = Path(__file__).parents[2]


def test_a_partial_failure_is_reported_first_and_then_fails_the_run(world: DeadLettersWorld) -> None:
    """The artifact says what went through and what did not; what did not stays, and the next run completes it."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, TIMEOUT, INVALID])
    throttled = {"code": "RequestThrottled", "status": 403}
    world.aws.fault("partial", service="sqs", operation="SendMessageBatch", entries=[1], **throttled)
    state = run(world, pair.dead)
    report = incomplete(state)
    assert (report.by_action, report.unsettled) == ({"heal": 1, "archive": 1}, 1)
    assert state.message == "1 of 3 did not go through and stay where they were"
    assert flow_run(state).name == f"{pair.dead}: 1 archived, 1 healed, 1 stuck"
    page = next(str(artifact.data) for artifact in artifacts(state) if artifact.type == "markdown")
    assert "did not go through" in page
    assert recover(world, pair.dead).by_action == {"heal": 1}
    assert len(world.bodies(pair.source)) == 2


@pytest.mark.parametrize(
    ("service", "operation", "code", "status", "expected"),
    [
        ("s3", "PutObject", "AccessDenied", 403, {"heal": 1}),
        ("sns", "Publish", "AuthorizationError", 403, {"heal": 1, "archive": 1}),
        ("sns", "Publish", "Throttled", 429, {"heal": 1, "archive": 1}),
        ("dynamodb", "BatchWriteItem", "AccessDeniedException", 400, {}),
        ("dynamodb", "BatchGetItem", "AccessDeniedException", 400, {}),
        ("sqs", "SendMessageBatch", "RequestThrottled", 403, {"alert": 1, "archive": 1}),
        ("sqs", "DeleteMessageBatch", "RequestThrottled", 403, {}),
    ],
)
def test_a_step_that_fails_stops_its_messages_and_not_the_run(
    world: DeadLettersWorld, service: str, operation: str, code: str, status: int, expected: dict[str, int]
) -> None:
    """Its messages are in the report, in their queue and visible; the others go on; the next run completes it all."""
    pair, other = world.pair(), world.pair("other")
    world.die(pair, [TIMEOUT, AUTH, INVALID])
    world.aws.fault("error", service=service, operation=operation, code=code, status=status, times=None)
    report = incomplete(run(world, pair.dead, other.dead))
    world.aws.lift_faults()
    assert (report.found, report.by_action, report.unsettled) == (3, expected, 3 - sum(expected.values()))
    assert world.visible(pair.dead) == report.unsettled
    refused = [] if "Throttled" in code else [f"queue {pair.dead}: permission {service}"]
    assert [":".join(line.split(":")[:2]) for line in report.problems if "sends nothing more" not in line] == refused
    recover(world, pair.dead)
    assert world.bodies(pair.dead) == []
    assert len({record["message_id"] for record in world.archived(pair.dead)}) == 2
    assert len(world.alerts(pair.dead)) == 1
    assert len(set(world.bodies(pair.source))) == 1


def test_retry_of_a_failed_run_does_the_work_of_now(world: DeadLettersWorld) -> None:
    """Retry pressed in the UI: the same run goes again from the queue as it is, and ends well."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, INVALID])
    world.aws.fault("error", service="sqs", operation="SendMessageBatch", code="AccessDenied", status=403, times=1)
    failed = run(world, pair.dead)
    assert failed.is_failed()
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run(failed).id, AwaitingRetry(), force=True)
        again = client.read_flow_run(flow_run(failed).id)
    parameters = {"request": world.request(pair.dead)}
    report = run_flow(recover_dead_letters, flow_run=again, parameters=parameters)
    assert isinstance(report, RecoveryReport)
    assert report.by_action == {"heal": 1}
    assert flow_run(failed).state_name == "Completed"
    assert len(world.bodies(pair.source)) == 1
    assert len(world.archived(pair.dead)) == 1


def test_a_queue_that_cannot_be_had_is_one_line_and_the_others_go_on(world: DeadLettersWorld) -> None:
    """It names the queue, and the permission that is missing; the run fails after its report, with those lines."""
    good, closed, mute = world.pair("good"), world.pair("closed"), world.pair("mute")
    for pair in (good, closed, mute):
        world.die(pair, [TIMEOUT])
    denied = {"service": "sqs", "code": "AccessDenied", "status": 403, "times": None}
    world.aws.fault("error", operation="GetQueueAttributes", containing=closed.dead, **denied)
    world.aws.fault("error", operation="ReceiveMessage", containing=mute.dead, **denied)
    report = incomplete(run(world, "nowhere", closed.dead, mute.dead, good.dead))
    assert tuple(line.partition(" (")[0] for line in report.problems) == (
        "queue nowhere: does not exist in this account and region",
        f"queue {closed.dead}: permission sqs:GetQueueAttributes is missing for this role",
        f"queue {mute.dead}: permission sqs:ReceiveMessage is missing for this role",
    )
    assert report.by_action == {"heal": 1}
    assert len(world.bodies(good.source)) == 1


def test_a_destination_that_does_not_exist(world: DeadLettersWorld) -> None:
    """The message is parked, not lost and not sent; one line says what is wrong with the policy."""
    dead = world.queue("dlq")
    world.send(dead, [{"MessageBody": str(n), "MessageAttributes": {ERROR: text(TIMEOUT)}} for n in range(3)])
    policy = DeadLetterPolicy(error_attributes=(ERROR,), destination="nowhere")
    report = incomplete(run(world, dead, policy=policy))
    [line] = report.problems
    assert line.startswith("destination: queue nowhere does not exist")
    assert report.by_action == {"alert": 3}
    assert world.states(dead) == {"parked": 3}


def test_a_queue_is_not_its_own_destination(world: DeadLettersWorld) -> None:
    """Otherwise every run would send what the last one sent."""
    dead = world.queue("dlq")
    world.send(dead, [{"MessageBody": "x", "MessageAttributes": {ERROR: text(TIMEOUT)}}])
    policy = DeadLetterPolicy(error_attributes=(ERROR,), destination=world.url(dead))
    report = incomplete(run(world, dead, policy=policy))
    assert "cannot be its own destination" in report.problems[0]
    assert world.states(dead) == {"parked": 1}


# -- the estate ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["REPRISE_LEDGER_TABLE", "REPRISE_ARCHIVE_BUCKET", "REPRISE_ALERT_TOPIC_ARN"])
def test_a_missing_estate_says_what_to_set(
    world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """One line that names the variable and the block; nothing was received."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    world.aws.clear_requests()
    monkeypatch.delenv(missing)
    line = refusal(run(world, pair.dead))
    assert missing in line
    assert "block" in line
    assert "default" in line
    assert set(world.aws.request_counts()) <= {"monitoring:PutMetricData"}, "only that the runs were refused is counted"


def test_a_block_that_is_not_saved_is_named(world: DeadLettersWorld) -> None:
    """The name that was asked for, and where blocks are saved."""
    line = refusal(run(world, "any", estate="production"))
    assert "'production'" in line
    assert "Blocks" in line


def test_a_policy_that_cannot_be_followed_receives_nothing(world: DeadLettersWorld) -> None:
    """A wrong rules file or schema is reported before any message is touched."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    world.aws.clear_requests()
    policy = DeadLetterPolicy(rules_file="nowhere.yaml")
    assert "rules_file" in refusal(run(world, pair.dead, queue_policies={"*": policy}))
    assert "schema" in refusal(run(world, pair.dead, policy=DeadLetterPolicy(body_schema={"type": "nonsense"})))
    assert set(world.aws.request_counts()) <= {"monitoring:PutMetricData"}, "only that the runs were refused is counted"


def test_a_table_that_is_not_there(world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong name in the estate: each queue has AWS's words, and its messages stay visible."""
    pair = world.pair()
    world.die(pair, [TIMEOUT])
    monkeypatch.setenv("REPRISE_LEDGER_TABLE", "wrong")
    report = incomplete(run(world, pair.dead))
    [line] = report.problems
    assert line.startswith(f"queue {pair.dead}: dynamodb:BatchGetItem: ResourceNotFoundException")
    assert world.visible(pair.dead) == 1


# -- more than one run ---------------------------------------------------------------------------------------------


def test_two_runs_at_once_send_no_message_twice(world: DeadLettersWorld) -> None:
    """Two flows over one queue in the same moment: each message is healed once, and one alert is sent."""
    pair = world.pair()
    world.die(pair, [TIMEOUT] * 60 + [AUTH] * 20)
    with ThreadPoolExecutor(2) as pool:
        states = list(pool.map(lambda _: run(world, pair.dead), range(2)))
    recover(world, pair.dead)
    assert {state.name for state in states} <= {"Completed", "Failed"}
    sent = world.bodies(pair.source)
    assert len(sent) == len(set(sent)) == 60
    assert world.states(pair.dead) == {"sent": 60, "parked": 20}
    assert len(world.alerts(pair.dead)) == 1
    assert world.bodies(pair.dead) == []


PROGRAM = f"""
import sys
from flows.dead_letters import recover_dead_letters
from recovery.dead_letters.policy import DeadLetterPolicy, DeadLetterRequest
policy = DeadLetterPolicy(error_attributes=[{ERROR!r}])
recover_dead_letters(DeadLetterRequest(queues=[sys.argv[1]], policy=policy, dry_run=False), return_state=True)
"""


def in_a_process(world: DeadLettersWorld, queue: str) -> subprocess.Popen[str]:
    """A run of the flow in a process of its own, on the same Prefect server and the same AWS."""
    environment = {**os.environ, **world.aws.environ(), **get_current_settings().to_environment_variables()}
    command = [sys.executable, "-c", PROGRAM, queue]
    return subprocess.Popen(command, env=environment, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)


def test_an_alert_goes_out_once_over_runs_and_processes(world: DeadLettersWorld) -> None:
    """Two processes that find messages of one group, and a later run with more of them: one message."""
    pair = world.pair()
    world.die(pair, [AUTH] * 20)
    for process in [in_a_process(world, pair.dead) for _ in range(2)]:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    world.die(pair, [AUTH] * 3, MessageBody="later {n}")
    recover(world, pair.dead)
    assert len(world.alerts(pair.dead)) == 1
    assert len({record["message_id"] for record in world.archived(pair.dead)}) == 23
    assert world.bodies(pair.dead) == []
    world.aws.clock.advance(6 * 3600)
    world.die(pair, [AUTH], MessageBody="after the window")
    recover(world, pair.dead)
    assert len(world.alerts(pair.dead)) == 2


@pytest.mark.parametrize(("operation", "copies"), [("SendMessageBatch", 2), ("DeleteMessageBatch", 1)])
def test_a_worker_that_is_killed_loses_nothing(world: DeadLettersWorld, operation: str, copies: int) -> None:
    """SIGKILL while a request is under way, which AWS carries out all the same: the next run completes the work."""
    pair = world.pair()
    world.die(pair, [TIMEOUT, AUTH])
    world.aws.fault("hold", service="sqs", operation=operation)
    with in_a_process(world, pair.dead) as process:
        wait_for("the request", lambda: world.aws.control("GET", "faults")[0]["hits"], seconds=60)
        process.kill()
    world.aws.lift_faults()
    wait_for("the held request", lambda: len(world.bodies(pair.source)) == 1, seconds=10)
    world.aws.clock.advance(400)
    recover(world, pair.dead)
    assert world.bodies(pair.dead) == []
    assert len(world.bodies(pair.source)) == copies
    assert {case.attempts for case in world.cases(pair.dead).values() if case.state is State.SENT} == {1}
    assert len(world.alerts(pair.dead)) == 1
    assert len({record["message_id"] for record in world.archived(pair.dead)}) == 1


def test_a_saved_estate_is_used(world: DeadLettersWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block that the request names takes the place of the environment's variables."""
    names = ("REPRISE_LEDGER_TABLE", "REPRISE_ARCHIVE_BUCKET", "REPRISE_ALERT_TOPIC_ARN")
    for name in names:
        monkeypatch.delenv(name)
    estate = RecoveryEstate(
        ledger_table=world.table, archive_bucket=world.bucket, alert_topic_arn=world.topic, archive_days=30
    )
    asyncio.run(estate.asave("staging", overwrite=True))
    pair = world.pair()
    world.die(pair, [TIMEOUT, AUTH])
    assert recover(world, pair.dead, estate="staging").by_action == {"heal": 1, "alert": 1}
    [parked] = [case for case in world.cases(pair.dead).values() if case.state is State.PARKED]
    assert parked.expires - parked.changed > timedelta(days=30), "a case outlives its archive object"
